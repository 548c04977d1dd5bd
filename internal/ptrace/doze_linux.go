package ptrace

import (
	"syscall"

	"golang.org/x/sys/unix"

	"monban/bpf"
	"monban/internal/sys"
)

// Doze has a thread whose stop is the delivery of a signal that its program ignores go back to the sleep that it was
// in: without a tracer such a signal would not have woken it (a terminal's new size, the end of a child). The call that
// the signal has ended is made again: by restart_syscall, on time, if passes says so of that call, and else as it was
// made, so that a relative time-out begins anew. A call that ends in EINTR after any stop is made again as it was, too,
// except connect (see Look). The thread is still stopped afterwards.
func Doze(ev Event, passes func(*bpf.Data) bool) error {
	sig := ev.Signal()
	if sig == 0 || !ignores(ev.TID, sig) {
		return nil
	}
	regs, err := GetRegs(ev.TID)
	if err != nil {
		return err
	}
	d := regs.Data(CallArch(ev.TID, &regs))
	switch regs.interrupted(d.Arch) {
	case byEINTR:
	case byRestart:
		d.Nr = regs.restartNumber(d.Arch)
		if passes(&d) {
			return nil
		}
	default:
		return nil
	}
	regs.again()
	return SetRegs(ev.TID, &regs)
}

// ignores says whether a signal does nothing at all to a thread.
func ignores(tid int, sig syscall.Signal) bool {
	status, _ := sys.ReadStatus(tid)
	switch {
	case status.IgnoredSignals&bit(sig) != 0:
		return true
	case status.CaughtSignals&bit(sig) != 0:
		return false
	}
	return sig == unix.SIGCHLD || sig == unix.SIGCONT || sig == unix.SIGURG || sig == unix.SIGWINCH
}
