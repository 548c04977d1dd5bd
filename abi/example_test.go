package abi_test

import (
	"fmt"

	"monban/abi"
)

func Example() {
	for _, a := range []abi.Arch{abi.X86_64, abi.AArch64, abi.X86} {
		nr, ok := a.Number("openat")
		fmt.Println(a, nr, ok)
	}
	_, ok := abi.AArch64.Number("open")
	fmt.Println("aarch64 has open:", ok)
	enosys, _ := abi.X86_64.Constant("ENOSYS")
	fmt.Println("ENOSYS is", enosys)
	since, _ := abi.Since("openat2")
	fmt.Println("openat2 is there since Linux", since)
	// Output:
	// x86_64 257 true
	// aarch64 56 true
	// x86 295 true
	// aarch64 has open: false
	// ENOSYS is 38
	// openat2 is there since Linux 5.6
}

// Whose call a filter sees is the token and, on x86_64, a bit of the number.
func ExampleOf() {
	for _, nr := range []uint32{1, 1 | abi.X32Bit} {
		a, ok := abi.Of(0xc000003e, nr)
		name, _ := a.Name(nr)
		fmt.Println(a, name, ok)
	}
	// Output:
	// x86_64 write true
	// x32 write true
}

// Arguments have a width and a sign of their own: the kernel does not look at the rest of the register.
func ExampleArch_Args() {
	args, _ := abi.X86_64.Args("ioctl")
	for _, a := range args {
		fmt.Println(a.Index, a.Name, a.Bits, a.Signed)
	}
	// Output:
	// 0 fd 32 false
	// 1 request 32 false
	// 2 argp 64 false
}
