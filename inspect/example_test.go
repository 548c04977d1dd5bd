package inspect_test

import (
	"fmt"
	"log"

	"monban/abi"
	"monban/gate"
	"monban/inspect"
	"monban/policy/lang"
)

// What changes for programs when one gate is replaced by another: facts, which package report has words for.
func ExampleDiff() {
	read := func(name, text string) *gate.Gate {
		p, err := lang.Load(name, []byte(text), lang.Options{})
		if err != nil {
			log.Fatal(err)
		}
		return gate.OfPolicy(name, p)
	}
	old := read("old.gate", "arch x86_64\ndefault errno(EPERM)\nallow read write\n")
	new := read("new.gate", "arch x86_64\ndefault errno(EPERM)\nallow read socket(family == AF_UNIX)\n")
	d, err := inspect.Diff(old, new)
	if err != nil {
		log.Fatal(err)
	}
	for _, c := range d.Classes {
		for _, s := range c.Calls {
			fmt.Println(c.Change, s.Call, s.When, c.A, "->", c.B)
		}
	}
	// Output:
	// newly allowed socket family == AF_UNIX errno(EPERM) -> allow
	// newly denied write  allow -> errno(EPERM)
}

// How many calls a gate lets pass, and what becomes of one.
func ExampleSummarise() {
	p, err := lang.LoadPreset("@strict", lang.Options{Archs: []abi.Arch{abi.X86_64}})
	if err != nil {
		log.Fatal(err)
	}
	s, err := inspect.Summarise(gate.OfPolicy("@strict", p), abi.X86_64)
	if err != nil {
		log.Fatal(err)
	}
	always, sometimes := s.Passing()
	fmt.Println(always, "calls pass,", sometimes, "for some arguments")
	for _, c := range s.Calls {
		if c.Passes() == inspect.Always {
			fmt.Println(c.Name, "for", c.Purpose)
		}
	}
	// Output:
	// 4 calls pass, 0 for some arguments
	// read for reading and writing
	// write for reading and writing
	// rt_sigreturn for signals
	// exit for processes and threads
}
