// Package abi holds facts about the system calls of Linux: architectures and how seccomp tells them apart, the numbers
// of calls, the kernels that brought them, their arguments and where a filter finds those, the values of constants, and
// groups of calls. It decides nothing and asks the running system nothing: all facts are tables inside the program, for
// 23 architectures.
//
//	arch, err := abi.ParseArch("arm64") // also aarch64, SCMP_ARCH_AARCH64
//	nr, ok := arch.Number("openat")     // 56, true
//	call, ok := abi.X86.MuxMember("socketcall", 1) // "socket": what socketcall(1, …) does
//	args, ok := abi.ARM.Args("pread64") // the offset lies in registers 4 and 5
//	v, ok := abi.MIPS.Errno("ENOSYS")   // 89
//	abi.X86_64.ConstantName("clone", 0, 0x10000100) // "CLONE_VM|CLONE_NEWUSER"
//	calls, ok := abi.Group("@basic-io", abi.Version{Major: 6, Minor: 12})
//
// The tables in data are made by go generate from the facts in facts and from golang.org/x/sys/unix, read as source.
// Each is parsed when first asked for.
package abi
