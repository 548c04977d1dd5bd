package ptrace

import (
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"monban/internal/child"
)

// ErrAnswered is [child.ErrAnswered].
var ErrAnswered = child.ErrAnswered

// A RefusedError says that a program could not be traced, and so was not run.
type RefusedError struct {
	While string // what was tried
	Err   error
}

func (e *RefusedError) Error() string { return e.While + ": " + e.Err.Error() }
func (e *RefusedError) Unwrap() error { return e.Err }

// A Process is a child that this thread started, and traces if the child's script asks for it.
type Process struct {
	PID   int
	PIDFD int    // -1 where the kernel has none; the caller's to close
	Image *Image // nil where no calls can be injected: elsewhere than on amd64 and arm64
	Mask  uint64 // the signals that the program is to block, as its parent does

	Child *child.Child // its script; nil for what this process has not started

	goOn   *uint32 // what the child must find after its stop, or end
	traced int     // the places of its steps
	stop   int
	paused bool // it is to begin stopped
	held   bool // a SIGSTOP from outside came while we held the child
}

// Start takes a program to its first instruction, as Spawn, Hold and Exec do. Of attr it takes Dir, Env and Files.
func Start(argv0 string, argv []string, attr *syscall.ProcAttr) (*Process, error) {
	p, s := NewProcess(), new(child.Script)
	s.DieWithParent() // an orphan would be traced, and left stopped, by process 1
	if attr.Dir != "" {
		if err := s.Directory(attr.Dir); err != nil {
			return nil, err
		}
	}
	s.Files(attr.Files)
	s.OpenFiles()
	p.Ask(s)
	if err := s.Program(argv0, argv, attr.Env); err != nil {
		return nil, err
	}
	if err := p.Spawn(s); err != nil {
		return nil, err
	}
	err := p.Hold()
	if err == nil {
		err = p.Exec()
	}
	if err != nil {
		p.Kill()
		p.Close()
		return nil, err
	}
	return p, nil
}

// NewProcess is a child that is not there yet.
func NewProcess() *Process {
	return &Process{PIDFD: -1, Mask: child.SignalMask(), goOn: new(uint32)}
}

// Ask adds to a script, before its exec, that the child asks to be traced by the thread that starts it, and goes on
// only when that tells it so.
//
// No step is left uncovered, whatever ends this process and whatever a filter around it pretends. The child stops
// itself before its exec, and executes nothing unless this thread has told it to go on. That it does only when it has
// seen that it traces the child (it got a stop of a tracee), and that the options are set (a stop came marked, as one
// of them wants it, and they are set by one call): PTRACE_O_EXITKILL, with which the child dies with this thread,
// PTRACE_O_TRACEEXEC, which stops it at the exec, and those that stop it when it forks, for who lets the program run
// some way. Before that an orphan finds that it was not told to go on.
func (p *Process) Ask(s *child.Script) {
	p.traced = s.Call("ptrace(PTRACE_TRACEME)", child.Equal, unix.SYS_PTRACE, unix.PTRACE_TRACEME)
	self := s.Call("getpid", child.NoError, unix.SYS_GETPID)
	p.stop = s.Call("kill", child.Equal, unix.SYS_KILL, 0, uintptr(unix.SIGSTOP))
	s.Steps[p.stop].From = 1 + self
	s.Call("getpid", child.NoError, unix.SYS_GETPID) // for a stop that shows the options
	// A SIGCONT from outside may have taken the stop away before it took place.
	s.Add("stopping for its tracer", child.Step{Op: child.Compare, Word: unsafe.Pointer(p.goOn), Want: 1,
		Again: mostStops, Back: uintptr(p.stop)})
}

// Spawn starts the child, which performs a script. A failed fork is a syscall.Errno.
func (p *Process) Spawn(s *child.Script) error {
	c, err := s.Start()
	if err != nil {
		return err
	}
	p.Child, p.PID, p.PIDFD = c, c.PID, c.PIDFD
	return nil
}

// mostStops is how often a child stops itself for a tracer at most.
const mostStops = 100

// loadOptions are in force until the program is let go.
const loadOptions = unix.PTRACE_O_EXITKILL | unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACEEXEC |
	unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_TRACECLONE

// Hold waits for the child that asks to be traced, and sees that it is, and that the options are set. It dies with the
// calling thread. A trace that the system refuses is a *RefusedError.
func (p *Process) Hold() error {
	if err := p.hold(); err != nil {
		return err
	}
	if err := SetOptions(p.PID, loadOptions); err != nil {
		return &RefusedError{"setting trace options", err}
	}
	ev, err := p.advance(unix.PTRACE_SYSCALL)
	if err != nil {
		return err
	}
	if !ev.Syscall() {
		return &RefusedError{"setting trace options", ErrAnswered}
	}
	return nil
}

// Exec lets the child that Hold has go on to its exec and returns when the program stands before its first instruction
// (for a dynamic program, the dynamic loader's). All its signals are blocked until Mask is set. An error of execve(2)
// itself is a syscall.Errno, a trace that the system refuses a *RefusedError.
func (p *Process) Exec() error {
	atomic.StoreUint32(p.goOn, 1)
	ev, err := p.advance(unix.PTRACE_CONT)
	if err != nil {
		return err
	}
	if ev.Cause() != unix.PTRACE_EVENT_EXEC {
		return &RefusedError{"the program's exec", fmt.Errorf("%w: %v", ErrAnswered, ev)}
	}
	p.Child.Release()
	// The way out of execve, which sets the result.
	if ev, err = p.advance(unix.PTRACE_SYSCALL); err != nil {
		return err
	}
	if !ev.Syscall() {
		return &RefusedError{"the program's exec", fmt.Errorf("unexpected: %v", ev)}
	}
	if !injectable {
		return nil
	}
	if p.Image, err = ReadImage(p.PID); err != nil {
		return &RefusedError{"looking into the program", err}
	}
	return nil
}

// hold waits for the stop that the child makes itself, and sees that it is that of a tracee.
func (p *Process) hold() error {
	for {
		ev, err := Wait(p.PID, unix.WUNTRACED)
		switch {
		case err != nil:
			return &RefusedError{"waiting for the child", err}
		case ev.Dead():
			return p.ended(ev)
		}
		at, _, _ := p.Child.Progress()
		info, err := GetSigInfo(p.PID)
		switch {
		case err == nil && info.Signo == int32(unix.SIGSTOP) && at >= p.stop:
			p.held = p.held || info.sender() != p.PID
			return nil
		case err == nil && info.Signo != 0 && ev.Signal() != unix.SIGSTOP: // blocked, and so forced: SIGSYS, SIGSEGV
			return &RefusedError{"starting it", fmt.Errorf("%v", ev)}
		case err == nil && info.Signo != 0: // traced, and stopped from outside
			p.held = true
			if err := Cont(p.PID, 0); err != nil && err != unix.ESRCH {
				return &RefusedError{"ptrace(PTRACE_CONT)", err}
			}
		case err == nil:
			return &RefusedError{"ptrace(PTRACE_GETSIGINFO)", ErrAnswered}
		case err != unix.ESRCH && err != unix.EINVAL:
			return &RefusedError{"ptrace(PTRACE_GETSIGINFO)", err} // for what is not traced it is ESRCH, in a group stop EINVAL
		default:
			// A job control stop from outside, before it asked to be traced. Or it asked, and is not: then it goes on
			// from its own stop to find that it was not told to, and ends.
			p.held = true
			if err := p.signal(unix.SIGCONT); err != nil {
				return err
			}
		}
	}
}

// advance resumes the child by a ptrace request and returns its next stop, other than for signals, which are blocked.
func (p *Process) advance(request int) (Event, error) {
	for {
		ev, err := Resume(p.PID, request, 0)
		switch {
		case err != nil:
			return ev, err
		case ev.Dead():
			return ev, p.ended(ev)
		case ev.Signal() == unix.SIGSTOP:
			info, err := GetSigInfo(p.PID)
			p.held = p.held || err != nil || info.sender() != p.PID // its own, once more
		case ev.Signal() != 0 && ev.Signal() != unix.SIGTRAP:
			return ev, &RefusedError{"starting it", fmt.Errorf("%v", ev)} // SIGSYS, SIGSEGV: forced
		default:
			return ev, nil
		}
	}
}

// ended is the error for the end of the child in its script.
func (p *Process) ended(ev Event) error {
	p.PID = 0
	err := p.Child.Ended(syscall.WaitStatus(ev.Status))
	if step := (*child.StepError)(nil); errors.As(err, &step) && step.Step >= p.traced {
		return &RefusedError{"starting it", err}
	}
	return err
}

// Resume lets a stopped tracee run, delivering sig if it isn't 0, and waits for what it does next.
func Resume(tid, how int, sig syscall.Signal) (Event, error) {
	if err := request(how, tid, 0, uintptr(sig)); err != nil && err != unix.ESRCH { // ESRCH: a SIGKILL was faster
		return Event{}, &RefusedError{"resuming it", err}
	}
	if !resumed(tid) {
		return Event{}, &RefusedError{"resuming it", ErrAnswered}
	}
	ev, err := Wait(tid, 0)
	if err != nil {
		err = &RefusedError{"waiting for it", err}
	}
	return ev, err
}

// stopped says whether a thread is a tracee of ours and stopped. It looks at the registers: whoever comes here has had
// them, so that no filter can be keeping them from us.
func stopped(tid int) bool {
	_, err := GetRegs(tid)
	if errors.Is(err, errors.ErrUnsupported) {
		_, err = Message(tid)
	}
	return err == nil || errors.Is(err, ErrAnswered)
}

// resumed says that a tracee which was let run did: it runs, or has stopped again and that can be waited for. A filter
// that answers ptrace(2) in the kernel's place would have us wait for ever.
func resumed(tid int) bool {
	if !stopped(tid) {
		return true
	}
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, tid, &info, unix.WEXITED|unix.WSTOPPED|unix.WNOHANG|unix.WNOWAIT|unix.WALL|unix.WNOTHREAD, nil)
	return err == nil && info.Signo == int32(unix.SIGCHLD)
}

// Detach lets the stopped program go, and run. A stop that came meanwhile is delivered now.
func (p *Process) Detach() error {
	var sig syscall.Signal
	if p.stopPending() {
		sig = unix.SIGSTOP
	}
	return detach(p.PID, sig)
}

// detach ends the trace. That the process is gone, by a SIGKILL, is not an error.
func detach(pid int, sig syscall.Signal) error {
	if err := Detach(pid, sig); err != nil && err != unix.ESRCH {
		return err
	}
	return nil
}

// Runs returns nil if the program, which was let run, does not stand still where it was: a filter that answers
// ptrace(2) in the kernel's place would have us wait for ever.
func (p *Process) Runs() error {
	if !resumed(p.PID) {
		return &RefusedError{"letting it run", ErrAnswered}
	}
	return nil
}

// stopPending says that the program is to begin stopped: a SIGSTOP came, and no SIGCONT after it, which would be
// pending.
func (p *Process) stopPending() bool {
	return (p.held || p.Image != nil && p.Image.held) && !pendingSignal(p.PID, unix.SIGCONT)
}

// Close gives back what the start needed, PIDFD too. The process has ended, or its program runs.
func (p *Process) Close() {
	if p.PIDFD >= 0 {
		unix.Close(p.PIDFD)
		p.PIDFD = -1
	}
	if p.PID == 0 && p.Child != nil {
		p.Child.Release()
	}
}

// Reseize changes the hold on a stopped child from that of PTRACE_TRACEME to that of PTRACE_SEIZE, which alone can
// leave a child in a job control stop. The child, in a system call stop, is stopped by a signal of ours from one hold
// to the other and runs no instruction between them, unless somebody sends it a SIGCONT just then. If the child ended
// instead the event says so.
func (p *Process) Reseize(options int) (Event, error) {
	p.paused = p.stopPending()
	if err := detach(p.PID, unix.SIGSTOP); err != nil {
		return Event{}, err
	}
	if stopped(p.PID) {
		return Event{}, &RefusedError{"letting it go", ErrAnswered}
	}
	if err := Seize(p.PID, options); err == unix.ESRCH {
		return Wait(p.PID, 0)
	} else if err != nil {
		return Event{}, &RefusedError{"attaching to the started program", err}
	}
	if err := interrupt(p.PID); err != nil && err != unix.ESRCH {
		return Event{}, &RefusedError{"stopping the started program", err}
	}
	for {
		ev, err := Wait(p.PID, 0)
		if err != nil || ev.Dead() {
			return ev, err
		}
		if ev.Cause() == unix.PTRACE_EVENT_STOP {
			return Event{}, nil
		}
		if err := Cont(p.PID, ev.Signal()); err != nil && err != unix.ESRCH {
			return Event{}, err
		}
	}
}

// Continue lets the program run that Reseize holds.
func (p *Process) Continue() error {
	if err := p.signal(unix.SIGCONT); err != nil {
		return err
	}
	if p.paused {
		if err := p.signal(unix.SIGSTOP); err != nil {
			return err
		}
	}
	if err := Cont(p.PID, 0); err != nil && err != unix.ESRCH {
		return err
	}
	return nil
}
