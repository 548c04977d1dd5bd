package sandbox

import (
	"encoding/binary"
	"fmt"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"monban/bpf"
	"monban/internal/child"
	"monban/internal/ptrace"
	"monban/internal/sys"
)

// With AllowExec nobody stops the program after its exec, so its process installs the gates before it. From the first
// gate on it makes the calls seccomp (for further gates) and execve only.

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
	var s inside
	if err := s.write(r); err != nil {
		return err
	}
	r.ran.Store(true) // nobody lets it run: it may, from here on
	c, err := s.Start()
	if err != nil {
		r.ran.Store(false)
		return r.notStarted(err)
	}
	p := &ptrace.Process{PID: c.PID, PIDFD: c.PIDFD}
	defer p.Close()
	r.pid = c.PID
	r.jobs.child(c.PID, c.PIDFD)
	r.did("started")
	switch executed, err := s.executed(c, r.jobs.lost); {
	case err != nil:
		p.Kill()
		return &LostError{r.path, err}
	case !executed:
		r.ran.Store(false)
		ev, err := ptrace.Wait(c.PID, 0)
		if err != nil {
			p.Kill()
			return r.failed(err, "waiting for it: %v", err)
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
	r.jobs.runs()
	return r.lastly(p, r.wait)
}

// executed waits until the child has performed its exec or has failed to, and says which, also when the program has
// ended since. The error is that a filter keeps that from us, and the child has come through its exec or ended there.
func (s *inside) executed(c *child.Child, lost <-chan struct{}) (bool, error) {
	for pause := 20 * time.Microsecond; ; pause = min(2*pause, 100*time.Microsecond) { // no signal may come between exec and release
		dead := ended(c.PID)
		at, _, failed := c.Progress()
		if failed {
			return false, nil
		}
		if at == s.exec && c.Gone() {
			switch execed, known := child.Execed(c.PID); {
			case execed:
				return true, nil
			case !known:
				return false, fmt.Errorf("waitid(2): %w", ptrace.ErrAnswered)
			}
		}
		if dead {
			return false, nil
		}
		select {
		case <-lost: // it can't be killed, and will be with this thread
			return false, ptrace.ErrAnswered
		case <-time.After(pause):
		}
	}
}

// ended says whether a child has ended and is not reaped.
func ended(pid int) bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT|unix.WALL|unix.WNOTHREAD, nil)
	return err == nil && info.Signo == int32(unix.SIGCHLD)
}

// write fills in the script.
func (s *inside) write(r *run) error {
	s.DieWithParent()
	if err := s.Inherit(r.procAttr()); err != nil {
		return err
	}
	s.defaultSignals()
	for _, g := range r.set.Gates {
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
		// What has no handler yet may get one until the child is there, from us (newJobs) or from the rest of this
		// process.
		if errno != 0 || now[0] != sigIgnore {
			s.Call("rt_sigaction", child.Any, unix.SYS_RT_SIGACTION, n, dfl, 0, sigsetSize)
		}
	}
	mask := new(uint64)
	*mask = child.SignalMask()
	s.Call("rt_sigprocmask", child.NoError, unix.SYS_RT_SIGPROCMASK, 2 /* SIG_SETMASK */, child.Addr(&s.Script, mask), 0, sigsetSize)
}

// sigIgnore is SIG_IGN.
const sigIgnore = 1

// install adds the installation of one gate.
func (s *inside) install(g bpf.Program, flags uintptr) gateSteps {
	filter := g.Encode(binary.NativeEndian)
	prog := &sys.Fprog{Len: uint16(len(g)), Filter: uintptr(ptrace.Nowhere & uint64(^uintptr(0)))}
	ask := func(want uintptr) int {
		at := s.Call("seccomp", child.Equal, unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, child.Addr(&s.Script, prog))
		s.Steps[at].Want = want
		return at
	}
	var g2 gateSteps
	g2.probe = ask(child.Fails(unix.EFAULT))
	s.Add("", child.Step{Op: child.Store, Word: unsafe.Pointer(&prog.Filter), Want: child.Addr(&s.Script, &filter[0])})
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
	ended := c.Ended(syscall.WaitStatus(ev.Status))
	errno, ok := ended.(syscall.Errno)
	const must = "its gates are there before it is executed, and must allow execve"
	switch {
	case at == s.exec && (!failed || !ok):
		return &StartError{r.path, ErrExecRefused, "execve was killed, or answered by a filter: " + must, ended}
	case at == s.exec && (errno == unix.EPERM || errno == unix.ENOSYS):
		return &StartError{r.path, ErrExecRefused, fmt.Sprintf("execve: %v: %s", errno, must), errno}
	case at == s.exec:
		return r.execError(r.path, errno)
	}
	return r.notStarted(ended)
}
