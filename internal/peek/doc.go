// Package peek reads a thread's seccomp filters where the kernel keeps them, and stops nobody: a small eBPF program, an
// iterator over one task, copies the classic instructions of one filter of its stack to memory that is shared with this
// process.
//
//	programs, err := peek.Filters(tid) // the oldest first
//
// A stop, which ptrace needs, ends a thread's sleep: its program notices by a call that returns EINTR, by a sleep that
// begins anew, or dies of the restart_syscall that the kernel makes then. Reading memory can't be noticed at all.
//
// It needs what reading filters by ptrace needs, CAP_SYS_ADMIN in the first user namespace (or CAP_BPF with
// CAP_PERFMON), and Linux 6.1 with its own type information (CONFIG_DEBUG_INFO_BTF) on a 64-bit architecture. Elsewhere
// everything returns [ErrUnavailable].
package peek
