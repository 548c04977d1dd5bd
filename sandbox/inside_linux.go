package sandbox

import (
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"monban/bpf"
	"monban/internal/child"
	"monban/internal/ptrace"
)

// With AllowExec nobody stops the program after its exec, so its process installs the gates before it. From the first gate
// on it makes the calls seccomp (for further gates) and execve only.

// An inside is the script of such a start.
type inside struct {
	child.Script
	gates []gateSteps
	exec  int
}

// gateSteps are the places at which a gate is installed: the call that must fail and the one that must not, as
// [ptrace.Install] explains.
type gateSteps struct{ probe, install int }

// doInside runs the program with its gates installed before the exec.
func (r *run) doInside() error {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return fmt.Errorf("making a pipe: %w", err)
	}
	defer unix.Close(pipe[0])
	// Out of the way of the program's own files.
	end, err := unix.FcntlInt(uintptr(pipe[1]), unix.F_DUPFD_CLOEXEC, 3)
	unix.Close(pipe[1])
	if err != nil {
		return fmt.Errorf("making a pipe: %w", err)
	}
	var s inside
	if err := s.write(r); err != nil {
		unix.Close(end)
		return err
	}
	c, err := s.Start()
	unix.Close(end)
	if err != nil {
		return fmt.Errorf("%s was not started: %w", r.path, err)
	}
	p := &ptrace.Process{PID: c.PID, PIDFD: c.PIDFD}
	defer p.Close()
	r.pid = c.PID
	r.jobs.child(c.PID, c.PIDFD)
	r.did("started")
	// The exec closes the pipe, and so does the child's end.
	var none [1]byte
	for {
		if _, err := unix.Read(pipe[0], none[:]); err != unix.EINTR {
			break
		}
	}
	if !executed(c.PID) {
		ev, err := ptrace.Wait(c.PID, 0)
		if err != nil {
			p.Kill()
			return fmt.Errorf("waiting for the program: %w", err)
		}
		c.Release()
		return r.insideError(&s, c, ev)
	}
	c.Release()
	r.did("gated")
	if err := r.jobs.release(); err != nil {
		p.Kill()
		return err
	}
	return r.lastly(p, r.wait)
}

// executed says whether a child has performed an exec, also when it has ended since: the kernel keeps a parent from moving
// such a child to another process group.
func executed(pid int) bool {
	group, err := unix.Getpgid(pid)
	return err == nil && unix.Setpgid(pid, group) == unix.EACCES
}

// write fills in the script.
func (s *inside) write(r *run) error {
	s.DieWithParent()
	if err := s.Inherit(r.procAttr()); err != nil {
		return err
	}
	s.defaultSignals()
	for _, g := range r.Gates {
		s.gates = append(s.gates, s.install(g, uintptr(r.Flags)))
	}
	s.exec = len(s.Steps)
	return s.Program(r.path, r.argv(), r.environ())
}

// defaultSignals takes back this process's handlers, which mean nothing in the child, and then the block on signals.
func (s *inside) defaultSignals() {
	const (
		signals    = 64
		sigsetSize = 8
	)
	var byDefault, now [4]uintptr // struct sigaction, whose first word is the handler
	dfl := child.Addr(&s.Script, &byDefault)
	for n := uintptr(1); n <= signals; n++ {
		_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, n, 0, uintptr(unsafe.Pointer(&now)), sigsetSize, 0, 0)
		if errno != 0 || now[0] > sigIgnore {
			s.Call("rt_sigaction", child.Any, unix.SYS_RT_SIGACTION, n, dfl, 0, sigsetSize)
		}
	}
	mask := new(uint64)
	*mask = child.SignalMask()
	s.Call("rt_sigprocmask", child.NoError, unix.SYS_RT_SIGPROCMASK, 2 /* SIG_SETMASK */, child.Addr(&s.Script, mask), 0, sigsetSize)
}

// sigIgnore is SIG_IGN; 0 is SIG_DFL, all others are handlers.
const sigIgnore = 1

// install adds the installation of one gate.
func (s *inside) install(g bpf.Program, flags uintptr) gateSteps {
	raw := make([]unix.SockFilter, len(g))
	for i, in := range g {
		raw[i] = unix.SockFilter{Code: in.Code, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	prog := &struct { // struct sock_fprog
		length uint16
		filter uintptr
	}{uint16(len(raw)), uintptr(ptrace.Nowhere & uint64(^uintptr(0)))}
	ask := func(want uintptr) int {
		at := s.Call("seccomp", child.Equal, unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, child.Addr(&s.Script, prog))
		s.Steps[at].Want = want
		return at
	}
	var g2 gateSteps
	g2.probe = ask(child.Fails(unix.EFAULT))
	s.Add("", child.Step{Op: child.Store, Word: unsafe.Pointer(&prog.filter), Want: child.Addr(&s.Script, &raw[0])})
	g2.install = ask(0)
	return g2
}

// insideError is what became of a child that ended before its program ran.
func (r *run) insideError(s *inside, c *child.Child, ev ptrace.Event) error {
	at, result, failed := c.Progress()
	err := error(syscall.Errno(-result))
	switch {
	case !failed:
		err = &ptrace.EndedError{Call: ptrace.Seccomp, Event: ev}
	case result >= 0:
		err = nil
	}
	for i, g := range s.gates {
		switch at {
		case g.probe:
			return r.gateError(i, ptrace.Probed(err))
		case g.install:
			return r.gateError(i, ptrace.Installed(err))
		}
	}
	errno, ok := c.Ended(syscall.WaitStatus(ev.Status)).(syscall.Errno)
	switch {
	case at == s.exec && (!failed || !ok):
		return fmt.Errorf("%s was not started: the execve after installing the gates was killed, or answered by a filter; "+
			"with --allow-exec the gates must allow execve", r.path)
	case at == s.exec && (errno == unix.EPERM || errno == unix.ENOSYS):
		return fmt.Errorf("%s was not started: execve: %w; with --allow-exec the gates must allow execve", r.path, errno)
	case at == s.exec:
		return r.execError(r.path, errno)
	}
	return fmt.Errorf("%s was not started: %w", r.path, c.Ended(syscall.WaitStatus(ev.Status)))
}
