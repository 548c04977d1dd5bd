package sandbox

import (
	"debug/elf"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"monban/internal/ptrace"
)

// strictOptions are in force on the way to main: what leaves that way is stopped.
const strictOptions = unix.PTRACE_O_EXITKILL | unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACEEXEC |
	unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_TRACECLONE

// beforeMain are the stops of strictOptions.
var beforeMain = map[int]string{
	unix.PTRACE_EVENT_EXEC:  "executed another program",
	unix.PTRACE_EVENT_FORK:  "forked",
	unix.PTRACE_EVENT_VFORK: "forked",
	unix.PTRACE_EVENT_CLONE: "made a thread or process",
}

// atMain runs the stopped program up to main, behind the loader's gates if there are any, and puts its gates or strict mode
// on it there.
func (r *run) atMain(p *ptrace.Process, in *ptrace.Injection) error {
	if err := r.install(in, r.Loader, 0); err != nil {
		return err
	}
	addr, err := strictPoint(p)
	if err != nil {
		return fmt.Errorf("%s was not started: %w", r.path, err)
	}
	if err := ptrace.SetOptions(p.PID, strictOptions); err != nil {
		return r.refused(&ptrace.RefusedError{While: "setting trace options", Err: err})
	}
	ev, err := runTo(p.PID, addr, r.jobs.release)
	if err != nil {
		return err
	}
	if ev.Dead() {
		p.PID = 0
		r.ended(ev)
		r.result.BeforeMain = "ended"
		return nil
	}
	if what, ok := beforeMain[ev.Cause()]; ok {
		if child, err := ptrace.Message(p.PID); err == nil && ev.Cause() != unix.PTRACE_EVENT_EXEC {
			(&ptrace.Process{PID: int(child), PIDFD: -1}).Kill() // traced as well, and still before its first instruction
		}
		p.Kill()
		p.PID = 0
		r.result.Signal, r.result.BeforeMain = unix.SIGKILL, what+", and was killed"
		return nil
	}
	if err := ptrace.SetOptions(p.PID, unix.PTRACE_O_EXITKILL|unix.PTRACE_O_TRACESYSGOOD); err != nil {
		return fmt.Errorf("setting trace options: %w", err)
	}
	r.did("at main")
	if n := readTask(p.PID).threads; n > 1 {
		return fmt.Errorf("%s has %d threads before it reaches main; only one of them would be bound", r.path, n)
	}
	if in, err = ptrace.NewInjection(p.Image); err != nil {
		return err
	}
	if !r.Strict {
		return r.install(in, r.Gates, len(r.Loader))
	}
	if err := in.Do(ptrace.Prctl, unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_STRICT); err != nil {
		if errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("%s could not be put into strict mode: it is behind a filter already, "+
				"or the kernel lacks CONFIG_SECCOMP: %w", r.path, err)
		}
		return fmt.Errorf("%s could not be put into strict mode: %w", r.path, err)
	}
	// No filter of ours has answered that, nor, as /proc shows, one that a constructor made.
	err = ptrace.Unfiltered()
	if mode := readTask(p.PID).seccomp; err == nil && mode != modeStrict {
		err = ptrace.ErrAnswered
	}
	if err != nil {
		return fmt.Errorf("%s could not be put into strict mode: an outer sandbox answers in the kernel's place: %w", r.path, err)
	}
	return in.End()
}

// strictPoint is the address of main in a dynamic program with a symbol table, else of the program's entry point; it is
// the current instruction in a static program.
func strictPoint(p *ptrace.Process) (uint64, error) {
	entry := p.Image.Auxv[ptrace.AtEntry]
	f, err := elf.Open(fmt.Sprintf("/proc/%d/exe", p.PID))
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

// runTo lets a stopped program run until it is about to execute the instruction at addr. The breakpoint is in the
// process's private copy of the page, and gone again when runTo returns the zero event; another is a death or a stop of
// strictOptions. release is called before it runs, and may forbid it.
func runTo(pid int, addr uint64, release func() error) (ptrace.Event, error) {
	regs, err := ptrace.GetRegs(pid)
	if err != nil {
		return ptrace.Event{}, err
	}
	if regs.PC() == addr {
		return ptrace.Event{}, nil
	}
	text := make([]byte, len(ptrace.Breakpoint))
	if err := ptrace.Read(pid, addr, text); err != nil {
		return ptrace.Event{}, fmt.Errorf("reading main's first instruction: %w", err)
	}
	if err := ptrace.Write(pid, addr, ptrace.Breakpoint); err != nil {
		return ptrace.Event{}, fmt.Errorf("setting a breakpoint at main: %w", err)
	}
	if err := release(); err != nil {
		return ptrace.Event{}, err
	}
	for sig := unix.Signal(0); ; {
		if err := ptrace.Cont(pid, sig); err != nil && !errors.Is(err, unix.ESRCH) {
			return ptrace.Event{}, err
		}
		ev, err := ptrace.Wait(pid, 0)
		if err != nil || ev.Dead() {
			return ev, err
		}
		if beforeMain[ev.Cause()] != "" {
			return ev, nil
		}
		sig = ev.Signal()
		if sig != unix.SIGTRAP {
			continue
		}
		if regs, err = ptrace.GetRegs(pid); err != nil {
			return ptrace.Event{}, err
		}
		if regs.PC()-ptrace.BreakpointAdvance == addr {
			break
		}
	}
	if err := ptrace.Write(pid, addr, text); err != nil {
		return ptrace.Event{}, fmt.Errorf("removing the breakpoint at main: %w", err)
	}
	regs.SetPC(addr)
	return ptrace.Event{}, ptrace.SetRegs(pid, &regs)
}
