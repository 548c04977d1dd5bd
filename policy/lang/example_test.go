package lang_test

import (
	"errors"
	"fmt"

	"monban/abi"
	"monban/bpf"
	"monban/policy"
	"monban/policy/lang"
)

// A file is changed as a tree: comments stay where they are.
func ExampleFile() {
	f, err := lang.Parse("web.gate", []byte("# the front end\narch x86_64\nallow read write # its log\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	f.AddHeader(lang.Head("kernel", "6.12"))
	f.SpeakFor([]abi.Arch{abi.X86_64}, []abi.Arch{abi.AArch64})
	f.Section("for the new machine", &lang.Rules{
		On:    lang.Archs([]abi.Arch{abi.AArch64}),
		Do:    lang.Act(policy.Action{Kind: bpf.Allow}),
		Items: lang.Calls("read", "write"),
	})
	fmt.Print(f)
	// Output:
	// # the front end
	// kernel   6.12
	// arch     x86_64 aarch64
	// on x86_64: allow read write  # its log
	//
	// # for the new machine
	// on aarch64: allow read write
}

// Errors have their places, and what was probably meant; what was understood is there all the same.
func ExampleParse() {
	f, err := lang.Parse("web.gate", []byte("alow read\nallow write\nerrno(EPREM) close\n"))
	var all lang.Errors
	if errors.As(err, &all) {
		for _, e := range all {
			fmt.Printf("%d:%d-%d: %s -> %s\n", e.Pos.Line, e.Pos.Col, e.End.Col, e.Msg, e.Near)
		}
	}
	for r := range f.Rules {
		fmt.Println(r.Do, r.Items[0].Name)
	}
	// Output:
	// 1:1-5: unknown action or header alow -> allow
	// 3:7-12: unknown errno EPREM -> EPERM
	// allow write
}
