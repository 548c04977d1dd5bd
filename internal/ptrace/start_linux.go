package ptrace

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A RefusedError says that a program could not be traced, and so was not run.
type RefusedError struct {
	While string // what was tried
	Err   error
}

func (e *RefusedError) Error() string { return e.While + ": " + e.Err.Error() }
func (e *RefusedError) Unwrap() error { return e.Err }

// A Process is a child that this thread started and traces.
type Process struct {
	PID   int
	Image *Image // nil where no calls can be injected: elsewhere than on amd64 and arm64
	Mask  uint64 // the signals that the program is to block, as its parent does
}

// Start starts a program and returns when it stands before its first instruction (for a dynamic program, the dynamic
// loader's). All its signals are blocked until Mask is set. It dies with the calling thread. An error of execve(2) itself
// is a syscall.Errno, a trace that the system refuses a *RefusedError.
//
// How no step is left uncovered: the child asks to be traced (PTRACE_TRACEME) and has PDEATHSIG set to SIGKILL before its
// exec; the exec ends in a pending SIGTRAP, which stops a traced program and kills an orphaned one; and from the first
// wait on PTRACE_O_EXITKILL holds.
func Start(argv0 string, argv []string, attr *syscall.ProcAttr, sys syscall.SysProcAttr) (*Process, error) {
	if err := preflight(); err != nil {
		return nil, err
	}
	// The fork gives this thread's mask to the child. A signal that stopped it before its exec would find us in vfork(2),
	// waiting for that exec. The signals of faults stay open for the Go runtime, SIGTRAP for the exec.
	var all, old unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	for _, s := range []syscall.Signal{unix.SIGTRAP, unix.SIGSEGV, unix.SIGBUS, unix.SIGFPE, unix.SIGILL} {
		clearSignal(&all, s)
	}
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &all, &old); err != nil {
		return nil, fmt.Errorf("blocking signals: %w", err)
	}
	sys.Ptrace = true
	sys.Pdeathsig = unix.SIGKILL
	traced := *attr
	traced.Sys = &sys
	pid, err := syscall.ForkExec(argv0, argv, &traced)
	if merr := unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil); merr != nil && err == nil {
		err = fmt.Errorf("unblocking signals: %w", merr)
	}
	if err != nil {
		if refused := tryTraceMe(); refused != nil {
			return nil, refused
		}
		return nil, err
	}
	p := &Process{PID: pid, Mask: maskBits(&old)}
	if err := p.prepare(); err != nil {
		p.Kill()
		return nil, err
	}
	return p, nil
}

// prepare takes the child from its exec's SIGTRAP to where calls can be injected.
func (p *Process) prepare() error {
	for {
		ev, err := Wait(p.PID, 0)
		if err != nil {
			return fmt.Errorf("waiting for the program's exec: %w", err)
		}
		if ev.Dead() {
			p.PID = 0
			// Not a refusal: it may have run.
			return fmt.Errorf("the program ended before it was stopped after its exec, and may have run without a gate: %v", ev)
		}
		if ev.Signal() == unix.SIGTRAP {
			break
		}
		if err := Cont(p.PID, ev.Signal()); err != nil {
			return err
		}
	}
	if err := SetOptions(p.PID, unix.PTRACE_O_EXITKILL|unix.PTRACE_O_TRACESYSGOOD); err != nil {
		return &RefusedError{"setting trace options", err}
	}
	if !injectable {
		return nil
	}
	var err error
	if p.Image, err = ReadImage(p.PID); err != nil {
		return &RefusedError{"looking into the program", err}
	}
	return nil
}

// Kill ends and reaps the process.
func (p *Process) Kill() {
	if p.PID == 0 {
		return
	}
	if unix.Kill(p.PID, unix.SIGKILL) != nil {
		return
	}
	for {
		if ev, err := Wait(p.PID, 0); err != nil || ev.Dead() {
			return
		}
		_ = Cont(p.PID, 0) // an exit event, or a stop from before the SIGKILL
	}
}

// Reseize changes the hold on a stopped child from that of PTRACE_TRACEME to that of PTRACE_SEIZE, which alone can leave a
// child in a job control stop. The child is stopped by a signal of ours from one hold to the other and runs no
// instruction between them. It returns with the child running. If the child ended instead the event says so.
func (p *Process) Reseize(options int) (Event, error) {
	if err := unix.Kill(p.PID, unix.SIGSTOP); err != nil {
		return Event{}, err
	}
	if err := Detach(p.PID, 0); err != nil {
		return Event{}, err
	}
	ev, err := Wait(p.PID, unix.WUNTRACED)
	if err != nil || ev.Dead() {
		return ev, err
	}
	if err := Seize(p.PID, options); err != nil {
		return Event{}, &RefusedError{"attaching to the started program", err}
	}
	for {
		ev, err = Wait(p.PID, 0)
		if err != nil || ev.Dead() {
			return ev, err
		}
		if ev.Cause() == unix.PTRACE_EVENT_STOP {
			break
		}
		if err := Cont(p.PID, ev.Signal()); err != nil && err != unix.ESRCH {
			return Event{}, err
		}
	}
	if err := unix.Kill(p.PID, unix.SIGCONT); err != nil {
		return Event{}, err
	}
	if err := Cont(p.PID, 0); err != nil && err != unix.ESRCH {
		return Event{}, err
	}
	return Event{}, nil
}

// preflight meets an outer seccomp filter that pretends ptrace(2) to succeed: behind it a program would run untraced.
func preflight() error {
	if !Filtered() {
		return nil
	}
	if err := tryTraceMe(); err != nil { // in a child, as the filter may kill
		return err
	}
	if err := Cont(0, 0); err != unix.ESRCH { // there is no process 0
		return &RefusedError{"ptrace(2)", fmt.Errorf("a filter answers in the kernel's place (%v)", err)}
	}
	return tryExec()
}

// tracedName is the arg 0 under which this executable, started once more, does nothing.
const tracedName = "monban-traced"

func init() {
	if len(os.Args) == 1 && os.Args[0] == tracedName {
		os.Exit(0)
	}
}

// tryExec starts something harmless, this executable under tracedName, to see that the exec of a child that asks to be
// traced does stop it.
func tryExec() error {
	const while = "ptrace(PTRACE_TRACEME)"
	pid, err := syscall.ForkExec("/proc/self/exe", []string{tracedName}, &syscall.ProcAttr{
		Sys: &syscall.SysProcAttr{Ptrace: true, Pdeathsig: unix.SIGKILL},
	})
	if err != nil {
		return &RefusedError{while, fmt.Errorf("trying it with /proc/self/exe: %w", err)}
	}
	for {
		ev, err := Wait(pid, 0)
		switch {
		case err != nil:
			return &RefusedError{while, err}
		case ev.Dead():
			return &RefusedError{while, fmt.Errorf("a filter answers in the kernel's place: the exec of a child that asked "+
				"to be traced did not stop it (%v)", ev)}
		case ev.Signal() == unix.SIGTRAP:
			(&Process{PID: pid}).Kill()
			return nil
		}
		if err := Cont(pid, ev.Signal()); err != nil && err != unix.ESRCH {
			(&Process{PID: pid}).Kill()
			return &RefusedError{"ptrace(PTRACE_CONT)", err}
		}
	}
}

// tryTraceMe finds out whether a child may ask to be traced. It execs the empty path, which always fails with ENOENT.
func tryTraceMe() error {
	pid, err := syscall.ForkExec("", []string{""}, &syscall.ProcAttr{
		Sys: &syscall.SysProcAttr{Ptrace: true, Pdeathsig: unix.SIGKILL},
	})
	if err == nil {
		// No message from the child and no exec: it was killed.
		ev, werr := Wait(pid, 0)
		if werr != nil {
			return &RefusedError{"ptrace(PTRACE_TRACEME)", werr}
		}
		return &RefusedError{"ptrace(PTRACE_TRACEME)", fmt.Errorf("%v", ev)}
	}
	if err != unix.ENOENT {
		return &RefusedError{"ptrace(PTRACE_TRACEME)", err}
	}
	return nil
}

func clearSignal(set *unix.Sigset_t, s syscall.Signal) {
	const bits = 8 * int(unsafe.Sizeof(set.Val[0]))
	n := int(s) - 1
	set.Val[n/bits] &^= 1 << (n % bits)
}

// maskBits is a signal set as one number; bit n-1 is signal n.
func maskBits(set *unix.Sigset_t) uint64 {
	mask := uint64(set.Val[0])
	if unsafe.Sizeof(set.Val[0]) == 4 {
		mask |= uint64(set.Val[1]) << 32
	}
	return mask
}
