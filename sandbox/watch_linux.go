package sandbox

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"monban/abi"
	"monban/bpf"
	"monban/internal/ptrace"
)

// watchOptions follow all that the program starts, up to its exits. Not PTRACE_O_EXITKILL: everything is gated by now, and
// what the program leaves behind is to survive the launcher, as it would without us.
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
	return tid == w.pid || readTask(tid).tgid == w.pid
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
	t := readTask(tid)
	dead := t.seccomp == modeDead
	if sig == unix.SIGKILL && !dead && t.seccomp != modeStrict {
		return // any SIGKILL
	}
	regs, err := ptrace.GetRegs(tid)
	if err != nil {
		return
	}
	d := death{
		Killed: Killed{
			PID: t.tgid, TID: tid, Comm: t.comm,
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
	d.Thread = t.threads > 1 && !regs.RolledBack() && !t.signaled()
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

// Values of Seccomp in /proc/PID/status (linux/seccomp.h, kernel/seccomp.c).
const (
	modeStrict = 1
	modeDead   = 3 // SECCOMP_MODE_DEAD, Linux 5.17: seccomp has killed the thread
)

// A task is what /proc tells of a thread.
type task struct {
	tid, tgid int
	comm      string
	seccomp   int
	threads   int
	tracer    int
}

func readTask(tid int) task {
	t := task{tid: tid, tgid: tid}
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", tid))
	if err != nil {
		return t // no /proc: less to tell
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		k, v, _ := strings.Cut(lines.Text(), ":")
		v = strings.TrimSpace(v)
		n, _ := strconv.Atoi(v)
		switch k {
		case "Name":
			t.comm = v
		case "Tgid":
			t.tgid = n
		case "Seccomp":
			t.seccomp = n
		case "Threads":
			t.threads = n
		case "TracerPid":
			t.tracer = n
		}
	}
	return t
}

// signaled says whether a signal is what ends the task (PF_SIGNALED in the flags of /proc/PID/task/TID/stat).
func (t task) signaled() bool {
	const pfSignaled = 0x400 // include/linux/sched.h
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/stat", t.tgid, t.tid))
	if err != nil {
		return false
	}
	// The name, in parentheses, may hold anything; the flags are the seventh field after it.
	_, rest, _ := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), " ")
	fields := strings.Fields(rest)
	if len(fields) < 7 {
		return false
	}
	flags, err := strconv.ParseUint(fields[6], 10, 64)
	return err == nil && flags&pfSignaled != 0
}
