package bpf_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"

	"monban/bpf"
)

func Example() {
	p, err := bpf.Assemble("deny-execve", strings.NewReader(`
		ld   [arch]
		jne  #0xc000003e, bad
		ld   [nr]
		jeq  #59, deny
		ret  allow
	deny: ret errno(1)
	bad:  ret kill_process`))
	if err != nil {
		fmt.Println(err)
		return
	}
	call := bpf.Data{Nr: 59, Arch: 0xc000003e}
	fmt.Println(p.Run(&call, binary.LittleEndian), p.CachesAllow(call.Arch, 0))
	if err := bpf.Disassemble(os.Stdout, p, binary.LittleEndian, nil); err != nil {
		fmt.Println(err)
	}
	// Output:
	// errno(1) true
	//    0  ld   [arch]
	//    1  jeq  #0xc000003e, 2, 6           ; else kill_process
	//    2  ld   [nr]
	//    3  jeq  #59, 5, 4                   ; -> errno(1), else allow
	//    4  ret  #0x7fff0000                 ; allow
	//    5  ret  #0x00050001                 ; errno(1)
	//    6  ret  #0x80000000                 ; kill_process
}

func ExampleProgram_Check() {
	p := bpf.Program{
		{Code: bpf.LD | bpf.W | bpf.ABS, K: 18},
		{Code: bpf.RET | bpf.A},
	}
	fmt.Println(p.Check())
	// Output: instruction 0 (ld [18]): loads from an offset that is not a multiple of 4
}
