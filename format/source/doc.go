// Package source reads filters that stand in source code, and writes them as such: arrays of struct sock_filter in C,
// of bpf.Instruction and its like in Go, tcpdump -dd's bare lists, and arrays of bytes.
//
// An instruction is {code, jt, jf, k}, with or without the fields' names, or one of the macros BPF_STMT and BPF_JUMP.
// Constants are numbers and the names of linux/filter.h, linux/seccomp.h, linux/audit.h, errno.h and sys/syscall.h.
// What cannot be read for certain is an error: no instruction is ignored. Go is read by Go's own parser and rules,
// everything else by C's, whose operators bind in another way.
package source
