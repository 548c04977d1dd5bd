// Package bpf is classic BPF as seccomp runs it: the instructions, the kernel's own admission check, an interpreter,
// the emulation behind the kernel's cache of allowed calls, a disassembler and an assembler.
//
// It is for anyone who holds a filter as bytes (struct sock_filter, eight bytes each) and wants to know whether the
// kernel would take it, what it answers, and what it says in a form that a person reads. The package knows nothing of
// system calls: names reach the disassembler through a [Namer].
//
//	p, err := bpf.Decode(raw, binary.LittleEndian)
//	if err != nil {
//		return err
//	}
//	if err := p.Check(); err != nil { // the answer that seccomp(2) would give
//		return err
//	}
//	call := bpf.Data{Nr: 41, Arch: 0xc000003e, Args: [6]uint64{2, 1, 0}}
//	fmt.Println(p.Run(&call, binary.LittleEndian))              // errno(1)
//	fmt.Println(p.CachesAllow(call.Arch, call.Nr))              // false
//	return bpf.Disassemble(os.Stdout, p, binary.LittleEndian, nil)
//
// A listing is in the style of the kernel's bpf_asm, with the field names of struct seccomp_data; [Assemble] reads it
// back to the identical program:
//
//	.order little
//	   0  ld   [arch]
//	   1  jeq  #0xc000003e, 2, 5             ; x86_64, else kill_process
//	   2  ld   [args[0].lo]
//	   3  jeq  #2, 4, 5                      ; -> allow, else kill_process
//	   4  ret  #0x7fff0000                   ; allow
//	   5  ret  #0x80000000                   ; kill_process
package bpf
