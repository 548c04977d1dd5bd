// Package ptrace is the only ptrace(2) code of Monban: stop a thread, read its registers and memory, and make it
// perform a system call of our choice. It knows nothing of gates; packages sandbox and seccomp decide what to inject
// and why.
//
// ptrace ties a tracee to one thread of the tracer, so everything here runs inside [OwnThread]. A program of one's own
// begins with [Start]; a thread of somebody else is stopped by [Look] alone, which lets it go on as if nobody had been
// there:
//
//	err := ptrace.Look(tid, time.Second, func() error {
//		regs, err := ptrace.GetRegs(tid)
//		call := regs.Data(arch)          // number and arguments, as a seccomp filter sees them
//		...
//	})
//
// Injection ([Image], [Injection]) works on linux/amd64 (64-bit and i386 tracees) and linux/arm64 (64-bit tracees). It
// runs a system call instruction that is already mapped, the vDSO's as a rule, and never patches text; elsewhere it
// returns errors.ErrUnsupported.
package ptrace
