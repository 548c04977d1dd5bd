package sandbox

import (
	"debug/elf"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"monban/abi"
	"monban/bpf"
	"monban/internal/ptrace"
	"monban/internal/sys"
)

// beforeMain are the stops at which a program leaves the way to main, with the options that [ptrace.Process.Hold] has
// set.
var beforeMain = map[int]string{
	unix.PTRACE_EVENT_EXEC:  "executed another program",
	unix.PTRACE_EVENT_FORK:  "forked",
	unix.PTRACE_EVENT_VFORK: "forked",
	unix.PTRACE_EVENT_CLONE: "made a thread or process",
}

// loaderGates bind from the first instruction on, and stay under the others.
var loaderGates = step{
	name:   "loader's gates",
	parent: func(r *run) error { return r.install(r.set.Loader, 0) },
}

// wayToMain lets the program run up to main, and takes hold of it there.
var wayToMain = step{
	name:   "way to main",
	parent: (*run).toMain,
	failed: (*run).refused,
}

// oneThread sees that nothing else of the program runs, which would not be bound.
var oneThread = step{
	name: "one thread",
	holds: func(r *run) error {
		switch n := readStatus(r.pid).Threads; n {
		case 1:
			return nil
		case 0, -1:
			return r.failed(nil, "how many threads it has at main cannot be read from /proc")
		default: // the kernel's own, of io_uring
			return r.failed(nil, "it has %d threads before it reaches main; only one of them would be bound", n)
		}
	},
}

// strictMode is entered by the stopped program. No filter of ours has answered for the kernel, nor, as /proc shows, one
// that a constructor made.
var strictMode = step{
	name: "strict mode",
	parent: func(r *run) error {
		return r.injection.Do(ptrace.Prctl, unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_STRICT)
	},
	holds: func(r *run) error {
		err := ptrace.Unfiltered()
		if mode := readStatus(r.pid).Seccomp; err == nil && mode != sys.SeccompStrict {
			err = ptrace.ErrAnswered
		}
		if err != nil {
			return r.failed(err, "it could not be put into strict mode: an outer sandbox answers in the kernel's place: %v", err)
		}
		return nil
	},
	failed: func(r *run, err error) error {
		if errors.Is(err, unix.EINVAL) {
			return r.failed(err, "it could not be put into strict mode: it is behind a filter already, or the kernel lacks "+
				"CONFIG_SECCOMP: %v", err)
		}
		return r.failed(err, "it could not be put into strict mode: %v", err)
	},
}

// toMain runs the stopped program up to main. If it ends there, or is ended for leaving that way, it has run.
func (r *run) toMain() error {
	p := r.process
	if err := r.injection.End(); err != nil {
		return err
	}
	addr, err := strictPoint(p)
	if err != nil {
		return err
	}
	ev, what, err := r.runTo(p, addr)
	if err != nil {
		return err
	}
	if ev.Dead() {
		p.PID = 0
		r.ended(ev)
		r.result.BeforeMain = "ended"
		return errEnded
	}
	if what != "" {
		if child, err := ptrace.Message(p.PID); err == nil && ev.Cause() != 0 && ev.Cause() != unix.PTRACE_EVENT_EXEC {
			(&ptrace.Process{PID: int(child), PIDFD: -1}).Kill() // traced as well, and still before its first instruction
		}
		p.Kill()
		p.PID = 0
		r.result.Signal, r.result.BeforeMain = unix.SIGKILL, what+", and was killed"
		return errEnded
	}
	return r.inject()
}

// strictPoint is the address of main in a dynamic program with a symbol table, else of the program's entry point; it is
// the current instruction in a static program.
func strictPoint(p *ptrace.Process) (uint64, error) {
	entry := p.Image.Auxv[sys.AtEntry]
	f, err := elf.Open(sys.Path(p.PID, "exe"))
	if err != nil {
		return 0, fmt.Errorf("finding main: %w", err)
	}
	defer f.Close()
	dynamic := false
	for _, ph := range f.Progs {
		dynamic = dynamic || ph.Type == elf.PT_INTERP
	}
	if !dynamic {
		return entry, nil
	}
	symbols, err := f.Symbols()
	if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
		return 0, fmt.Errorf("finding main: %w", err)
	}
	for _, s := range symbols {
		if s.Name == "main" && elf.ST_TYPE(s.Info) == elf.STT_FUNC && s.Section != elf.SHN_UNDEF {
			return s.Value + entry - f.Entry, nil // the load bias of a position-independent program
		}
	}
	return entry, nil
}

// A way is a program's from its first instruction to main, followed by its tracer.
type way struct {
	*run
	p    *ptrace.Process
	comm string
	last bpf.Data // the last call that it made
	into bool     // its last stop at a call was on the way into it
	trap bool     // a filter's trap action has since sent it SIGSYS
	sent bool     // somebody else has
}

// runTo lets a stopped program run until it is about to execute the instruction at addr. The breakpoint is in the
// process's private copy of the page, and gone again when runTo returns the zero event; another is a death or the stop
// at which the program leaves its way, and what says how.
//
// It stops at every system call on the way, since no option reports a fork that asks not to be traced.
func (r *run) runTo(p *ptrace.Process, addr uint64) (ev ptrace.Event, what string, err error) {
	pid := p.PID
	regs, err := ptrace.GetRegs(pid)
	if err != nil || regs.PC() == addr {
		r.result.AtStart = err == nil
		return ev, "", err
	}
	text := make([]byte, len(ptrace.Breakpoint))
	if err := ptrace.Read(pid, addr, text); err != nil {
		return ev, "", fmt.Errorf("reading main's first instruction: %w", err)
	}
	if err := ptrace.Write(pid, addr, ptrace.Breakpoint); err != nil {
		return ev, "", fmt.Errorf("setting a breakpoint at main: %w", err)
	}
	let := func() error {
		if err := ptrace.ToSyscall(pid, 0); err != nil && err != unix.ESRCH {
			return &ptrace.RefusedError{While: "letting it run to main", Err: err}
		}
		return nil
	}
	var onItsWay atomic.Bool // which is not the program's own yet
	if err := r.letRun(let, p.Runs, &onItsWay); err != nil {
		return ev, "", err
	}
	w := &way{run: r, p: p, comm: readStatus(pid).Name}
	for ev, err = ptrace.Wait(pid, 0); ; ev, err = ptrace.Resume(pid, unix.PTRACE_SYSCALL, ev.Signal()) {
		if err != nil || ev.Dead() {
			w.ended(ev)
			return ev, "", err
		}
		if what := beforeMain[ev.Cause()]; what != "" {
			return ev, what, nil
		}
		if ev.Signal() == unix.SIGSYS {
			info, err := ptrace.GetSigInfo(pid)
			w.trap = err == nil && info.Code == sysSeccomp
			w.sent = !w.trap
		}
		if !ev.Syscall() && ev.Signal() != unix.SIGTRAP {
			continue
		}
		if regs, err = ptrace.GetRegs(pid); err != nil {
			return ev, "", err
		}
		if ev.Syscall() {
			if w.into = !w.into; w.into {
				w.trap, w.sent = false, false
				w.last = regs.Data(ptrace.CallArch(pid, &regs))
			}
			if untraced(pid, &regs) {
				return ev, beforeMain[unix.PTRACE_EVENT_CLONE], nil
			}
		}
		if ev.Signal() == unix.SIGTRAP && regs.PC()-ptrace.BreakpointAdvance == addr {
			break
		}
	}
	if err := ptrace.Write(pid, addr, text); err != nil {
		return ev, "", fmt.Errorf("removing the breakpoint at main: %w", err)
	}
	regs.SetPC(addr)
	return ptrace.Event{}, "", ptrace.SetRegs(pid, &regs)
}

// ended names the call that ended the program on its way. The SIGSYS that a filter kills by is not reported as a
// signal, only as the end.
func (w *way) ended(ev ptrace.Event) {
	if w.set.Watch && ev.Dead() && ev.Status.Signaled() && ev.Status.Signal() == unix.SIGSYS && !w.sent {
		w.result.Killed = append(w.result.Killed, Killed{PID: w.p.PID, TID: w.p.PID, Comm: w.comm, Data: w.last, Trap: w.trap})
	}
}

// untraced says whether the call that a stopped thread is in may make a child or thread which its tracer never sees: a
// clone with CLONE_UNTRACED, or a clone3, whose flags are in memory where another process could change them. Where the
// kernel does not say by which convention the call was made (before Linux 5.3, or a filter keeps it from saying so) it
// is each.
func untraced(tid int, regs *ptrace.Regs) bool {
	tokens := []uint32{}
	if token, err := ptrace.AuditArch(tid); err == nil && token != 0 {
		tokens = append(tokens, token)
	} else {
		for _, a := range abi.Native().Family() {
			tokens = append(tokens, a.Token())
		}
	}
	return slices.ContainsFunc(tokens, func(token uint32) bool {
		d := regs.Data(token)
		arch, ok := abi.Of(token, d.Nr)
		name, _ := arch.Name(d.Nr)
		return ok && (name == "clone3" || name == "clone" && d.Args[0]&unix.CLONE_UNTRACED != 0)
	})
}
