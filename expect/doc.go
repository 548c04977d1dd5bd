// Package expect reads test files for gates, and proves or refutes what they say. A file stands beside its gate,
// web.expect beside web.gate, and says what must become of calls:
//
//	allow        openat(AT_FDCWD, ?, O_RDONLY)
//	deny         ptrace mount
//	errno(EPERM) socket(AF_VSOCK..)
//
// What a call leaves open is not sampled: a case holds for all values, or has a call that refutes it.
package expect
