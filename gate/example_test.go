package gate_test

import (
	"fmt"

	"monban/abi"
	"monban/bpf"
	"monban/gate"
	"monban/policy/lang"
)

func ExampleStack() {
	var gates []*gate.Gate
	for _, text := range []string{"default errno(EPERM)\nallow read write openat\n", "default allow\nunknown allow\nlog openat\n"} {
		p, err := lang.Load("policy", []byte(text), lang.Options{Archs: []abi.Arch{abi.X86_64}})
		if err != nil {
			fmt.Println(err)
			return
		}
		gates = append(gates, gate.OfPolicy("policy", p))
	}
	stack, err := gate.Stack("all", gates...)
	if err != nil {
		fmt.Println(err)
		return
	}
	v, err := stack.Verdict()
	if err != nil {
		fmt.Println(err)
		return
	}
	nr, _ := abi.X86_64.Number("openat")
	fmt.Println(v.At(&bpf.Data{Arch: abi.X86_64.Token(), Nr: nr}))
	// Output: log
}
