package lint_test

import (
	"fmt"

	"monban/abi"
	"monban/lint"
	"monban/policy/lang"
	"monban/verdict"
)

func ExampleFind() {
	p, err := lang.Load("web.gate", []byte("default errno(EPERM)\nallow exit exit_group rt_sigreturn restart_syscall\nallow bpf\n"),
		lang.Options{Archs: []abi.Arch{abi.AArch64}})
	if err != nil {
		fmt.Println(err)
		return
	}
	v, err := p.Verdict(verdict.NewSpace(verdict.DefaultBudget))
	if err != nil {
		fmt.Println(err)
		return
	}
	findings, err := lint.Find(lint.Gate{Verdict: v, Archs: p.Archs, Policy: p})
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
