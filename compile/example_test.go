package compile_test

import (
	"encoding/binary"
	"fmt"

	"monban/abi"
	"monban/bpf"
	"monban/compile"
	"monban/policy/lang"
	"monban/verdict"
)

func ExampleProgram() {
	p, err := lang.Load("web.gate", []byte("default errno(EPERM)\nallow read write\nallow socket(family == AF_UNIX)\n"), lang.Options{Archs: []abi.Arch{abi.X86_64}})
	if err != nil {
		fmt.Println(err)
		return
	}
	v, err := p.Verdict(verdict.NewSpace(verdict.DefaultBudget))
	if err != nil {
		fmt.Println(err)
		return
	}
	program, err := compile.Program(v, binary.LittleEndian, compile.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("proven:", compile.Prove(program, v, binary.LittleEndian) == nil)
	fmt.Println("read never runs it:", program.CachesAllow(abi.X86_64.Token(), 0))

	// Whatever else the program did, the proof would fail.
	wrong := append(bpf.Program{}, program...)
	for i := range wrong {
		if wrong[i].Code == bpf.RET && wrong[i].K == uint32(bpf.Errno)|1 {
			wrong[i].K = uint32(bpf.Allow)
		}
	}
	fmt.Println("changed:", compile.Prove(wrong, v, binary.LittleEndian) == nil)
	// Output:
	// proven: true
	// read never runs it: true
	// changed: false
}
