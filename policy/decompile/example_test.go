package decompile_test

import (
	"fmt"

	"monban/abi"
	"monban/policy/decompile"
	"monban/policy/lang"
	"monban/verdict"
)

// What two gates allow together is a verdict, and so a policy.
func ExamplePolicy() {
	s := verdict.NewSpace(verdict.DefaultBudget)
	var gates []verdict.Verdict
	for _, text := range []string{"default errno(EPERM)\nallow read write", "default errno(EPERM)\nallow read(fd == 0) close"} {
		p, err := lang.Load("gate", []byte(text), lang.Options{Archs: []abi.Arch{abi.X86_64}})
		if err != nil {
			fmt.Println(err)
			return
		}
		v, err := p.Verdict(s)
		if err != nil {
			fmt.Println(err)
			return
		}
		gates = append(gates, v)
	}
	both, err := verdict.Exact(s, func() (verdict.Verdict, error) { return verdict.Stack(gates[0], gates[1]), nil })
	if err != nil {
		fmt.Println(err)
		return
	}
	p, _, err := decompile.Policy("both", both, abi.X86_64, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(lang.Print(p))
	// Output:
	// arch     x86_64
	// default  errno(EPERM)
	// unknown  errno(ENOSYS)
	// badarch  kill_process
	//
	// allow    read(fd == 0)
}
