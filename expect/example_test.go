package expect_test

import (
	"fmt"

	"monban/abi"
	"monban/expect"
	"monban/gate"
	"monban/policy"
	"monban/policy/lang"
)

// Each line holds for all values of what it leaves open, or has a call that refutes it.
func Example() {
	p, err := lang.Load("web.gate", []byte("default errno(EPERM)\nallow openat(flags & O_ACCMODE == O_RDONLY)\n"), lang.Options{Archs: []abi.Arch{abi.X86_64}})
	if err != nil {
		fmt.Println(err)
		return
	}
	f, err := expect.Parse("web.expect", []byte("allow openat(AT_FDCWD, ?, O_RDONLY)\ndeny openat ptrace\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	results, err := f.Prove(gate.OfPolicy("web.gate", p))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range results {
		if r.Holds {
			fmt.Println("ok    ", r.Want.Text, r.Call)
		} else {
			fmt.Println("not ok", r.Want.Text, r.Call, "-", policy.FormatCall(r.Arch, &r.Witness), "gets", r.Got)
		}
	}
	// Output:
	// ok     allow openat(AT_FDCWD, ?, O_RDONLY)
	// not ok deny openat - openat(dirfd=0, pathname=0, flags=O_RDONLY, mode=0) gets allow
	// ok     deny ptrace
}
