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

// What one change of rules fixes is fixed in the text, and proven by looking again.
func ExampleFix() {
	look := func(text []byte) (*lint.Result, error) {
		p, err := lang.Load("web.gate", text, lang.Options{Archs: []abi.Arch{abi.AArch64}})
		if err != nil {
			return nil, err
		}
		g := gate.OfPolicy("web.gate", p)
		g.Source = text
		return lint.Run(g, lint.Options{})
	}
	found, err := look([]byte("default errno(EPERM)\n# threads\nallow exit_group rt_sigreturn clone(flags & CLONE_NEWUSER == 0) clone3 # no namespaces\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	left, fixed, err := lint.Fix(found, lint.Medium, look)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range fixed {
		fmt.Println(f.ID, f.Title)
	}
	for _, f := range left.Findings {
		fmt.Println("left:", f.ID, f.Title)
	}
	fmt.Print(string(left.Gate.Source))
	// Output:
	// MB009 clone's flags are restricted, and clone3 is allowed
	// left: MB025 restart_syscall is not allowed
	// default  errno(EPERM)
	// errno(ENOSYS) clone3
	// # threads
	// allow    exit_group rt_sigreturn clone(flags & CLONE_NEWUSER == 0)  # no namespaces
}
