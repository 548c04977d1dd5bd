package sandbox

import (
	"errors"
	"fmt"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"monban/abi"
	"monban/bpf"
	"monban/internal/ptrace"
	"monban/internal/sys"
)

// watchOptions follow all that the program starts, up to its exits. Not PTRACE_O_EXITKILL: everything is gated by now,
// and what the program leaves behind is to survive the launcher, as it would without us.
const watchOptions = unix.PTRACE_O_TRACEEXIT | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK |
	unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_TRACESYSGOOD

// A death is a thread's last moment.
type death struct {
	Killed
	sure bool // the kernel says that seccomp killed it; before Linux 5.17 it doesn't
}

// A watcher follows a seized program until its first process ends.
type watcher struct {
	*run
	deaths  []death
	trapped map[int]bool // threads whose last signal was a SIGSYS from a trap action
}

func (r *run) watch() error {
	w := &watcher{run: r, trapped: map[int]bool{}}
	for {
		ev, err := ptrace.Wait(-1, 0)
		if err != nil {
			return fmt.Errorf("watching the program: %w", err)
		}
		if ev.Dead() {
			delete(w.trapped, ev.TID)
			if ev.TID != r.pid {
				continue
			}
			r.ended(ev)
			r.result.Killed = w.killed()
			return nil
		}
		// ESRCH: a SIGKILL has come between. It is reported next.
		if err := w.handle(ev); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("watching the program: %w", err)
		}
	}
}

// handle deals with one stop and lets the thread go on.
func (w *watcher) handle(ev ptrace.Event) error {
	if sig, ok := ev.GroupStop(); ok {
		if w.isProgram(ev.TID) {
			w.jobs.stopped(sig)
		}
		return ptrace.Listen(ev.TID)
	}
	switch ev.Cause() {
	case unix.PTRACE_EVENT_STOP: // a new thread's first stop, or the end of a job control stop
		if w.isProgram(ev.TID) {
			w.jobs.continued()
		}
	case unix.PTRACE_EVENT_EXIT:
		w.exiting(ev.TID)
	}
	sig := ev.Signal()
	if sig == unix.SIGSYS {
		info, err := ptrace.GetSigInfo(ev.TID)
		w.trapped[ev.TID] = err == nil && info.Code == sysSeccomp
	}
	if err := ptrace.Doze(ev, w.passes); err != nil {
		return err
	}
	return ptrace.Cont(ev.TID, sig)
}

// passes says whether the gates let a call through.
func (w *watcher) passes(d *bpf.Data) bool {
	return !w.Strict && !slices.ContainsFunc(w.set.Gates, func(p bpf.Program) bool {
		return !p.Run(d, abi.Native().ByteOrder()).Passes()
	})
}

// sysSeccomp is the si_code of a SIGSYS from a trap action (SYS_SECCOMP, asm-generic/siginfo.h).
const sysSeccomp = 1

func (w *watcher) isProgram(tid int) bool {
	return tid == w.pid || readStatus(tid).TGID == w.pid
}

// exiting looks at a thread that is about to end, while its registers still hold its last call.
func (w *watcher) exiting(tid int) {
	status, err := ptrace.Message(tid)
	if err != nil {
		return
	}
	sig := syscall.Signal(status & 0x7f)
	if sig != unix.SIGSYS && sig != unix.SIGKILL {
		return
	}
	t := readStatus(tid)
	dead := t.Seccomp == sys.SeccompDead
	if sig == unix.SIGKILL && !dead && t.Seccomp != sys.SeccompStrict {
		return // any SIGKILL
	}
	regs, err := ptrace.GetRegs(tid)
	if err != nil {
		return
	}
	d := death{
		Killed: Killed{
			PID: t.TGID, TID: tid, Comm: t.Name,
			Data:   regs.Data(ptrace.CallArch(tid, &regs)),
			Strict: sig == unix.SIGKILL,
			Trap:   !dead && w.trapped[tid],
		},
		sure: dead || w.trapped[tid],
	}
	if !d.sure && !d.Strict && !regs.RolledBack() {
		return // dies because another thread of its process was killed
	}
	// A thread that seccomp ends alone goes straight to its exit: the call isn't rolled back and no signal is recorded.
	stat, _ := sys.ReadStat(tid)
	d.Thread = t.Threads > 1 && !regs.RolledBack() && !stat.Signaled()
	w.deaths = append(w.deaths, d)
}

// killed drops guesses about processes of which a killed thread is known for sure.
func (w *watcher) killed() []Killed {
	sure := map[int]bool{}
	for _, d := range w.deaths {
		sure[d.PID] = sure[d.PID] || d.sure
	}
	var killed []Killed
	for _, d := range w.deaths {
		if d.sure || !sure[d.PID] {
			killed = append(killed, d.Killed)
		}
	}
	return killed
}

// readStatus is what /proc tells of a thread: less, where there is none.
func readStatus(tid int) sys.Status {
	s, err := sys.ReadStatus(tid)
	if err != nil {
		s.TGID = tid
	}
	return s
}
