package lint_test

import (
	"fmt"

	"monban/abi"
	"monban/gate"
	"monban/lint"
	"monban/policy/lang"
)

func ExampleFind() {
	p, err := lang.Load("web.gate", []byte("default errno(EPERM)\nallow exit exit_group rt_sigreturn restart_syscall\nallow bpf\n"),
		lang.Options{Archs: []abi.Arch{abi.AArch64}})
	if err != nil {
		fmt.Println(err)
		return
	}
	findings, err := lint.Find(gate.OfPolicy("web.gate", p))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range findings {
		fmt.Println(f.Pos, f.ID, f.Title)
	}
	// Output:
	// web.gate:3:7 MB017 calls with a history of kernel bugs are allowed: bpf
}
