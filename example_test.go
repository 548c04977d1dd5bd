package monban_test

import (
	"fmt"
	"testing/fstest"

	"monban"
	"monban/abi"
)

func ExampleParse() {
	p, err := monban.Parse("default errno(EPERM)\nallow read write\nallow raed\n", monban.Options{Arch: abi.X86_64})
	fmt.Println(p != nil, err)
	p, err = monban.Parse("default errno(EPERM)\nallow read write\n", monban.Options{Arch: abi.X86_64})
	fmt.Println(p.Archs, len(p.Rules), err)
	// Output:
	// false policy:3:7: unknown system call raed (did you mean read?)
	// [x86_64] 2 <nil>
}

// A policy and what it includes can come from anywhere, such as files that are embedded in the program.
func ExampleLoad() {
	files := fstest.MapFS{
		"gates/web.gate":  {Data: []byte("include \"base.gate\"\nallow socket(domain == AF_INET)\n")},
		"gates/base.gate": {Data: []byte("default errno(EPERM)\nallow read write\n")},
	}
	p, err := monban.Load("gates/web.gate", monban.Options{Arch: abi.X86_64, FS: files})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range p.Rules {
		fmt.Println(r.Pos, r.Call)
	}
	// Output:
	// gates/base.gate:2:7 read
	// gates/base.gate:2:12 write
	// gates/web.gate:2:7 socket
}

// Check tells before the program runs anywhere whether Enforce would refuse the policy.
func ExampleCheck() {
	o := monban.Options{Arch: abi.X86_64}
	for _, text := range []string{"default errno(EPERM)\nallow read write\n", "include @go-runtime\nallow read write\n"} {
		p, err := monban.Parse(text, o)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(monban.Check(p, o) == nil)
	}
	// Output:
	// false
	// true
}
