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

// ownGates is the installation of gates by the child itself. Each is asked for twice, as [ptrace.Install] explains.
var ownGates = step{
	name: "gates",
	child: func(r *run, s *child.Script) error {
		for _, g := range r.set.Gates {
			r.installs = append(r.installs, install(s, g, uintptr(r.Flags)))
		}
		return nil
	},
	failed: (*run).ownGateError,
}

// ownExec waits for the child's exec, which lets it run. That it has performed it the kernel says in memory.
var ownExec = step{
	name:   "exec",
	child:  (*run).program,
	parent: (*run).waitForExec,
	failed: func(r *run, err error) error {
		errno, ok := err.(syscall.Errno)
		const must = "its gates are there before it is executed, and must allow execve"
		switch {
		case !ok:
			return &StartError{Path: r.path, Kind: ErrExecRefused, Err: err,
				Why: "execve was killed, or answered by a filter: " + must}
		case errno == unix.EPERM || errno == unix.ENOSYS:
			return &StartError{Path: r.path, Kind: ErrExecRefused, Err: errno, Why: fmt.Sprintf("execve: %v: %s", errno, must)}
		}
		return r.execError(r.path, errno)
	},
}

// An installation are the places at which a gate is installed: the call that must fail and the one that must not.
type installation struct{ probe, install int }

// install adds the installation of one gate.
func install(s *child.Script, g bpf.Program, flags uintptr) installation {
	filter := g.Encode(binary.NativeEndian)
	prog := &sys.Fprog{Len: uint16(len(g)), Filter: uintptr(ptrace.Nowhere & uint64(^uintptr(0)))}
	ask := func(want uintptr) int {
		at := s.Call("seccomp", child.Equal, unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, child.Addr(s, prog))
		s.Steps[at].Want = want
		return at
	}
	var i installation
	i.probe = ask(child.Fails(unix.EFAULT))
	s.Add("", child.Step{Op: child.Store, Word: unsafe.Pointer(&prog.Filter), Want: child.Addr(s, &filter[0])})
	i.install = ask(0)
	return i
}

// ownGateError says which gate a child has ended at, and why.
func (r *run) ownGateError(err error) error {
	at, result, failed := r.process.Child.Progress()
	answer := error(syscall.Errno(-result))
	switch {
	case !failed:
		answer = &ptrace.EndedError{Call: ptrace.Seccomp, Event: r.last}
	case result >= 0:
		answer = nil
	}
	for i, g := range r.installs {
		switch at {
		case g.probe:
			return r.gateError(i, ptrace.Probed(answer))
		case g.install:
			return r.gateError(i, ptrace.Installed(answer))
		}
	}
	return r.notStarted(err)
}

// waitForExec waits until the child has performed its exec or has failed to.
func (r *run) waitForExec() error {
	p := r.process
	switch executed, err := executed(p.Child, r.jobs.lost); {
	case err != nil:
		return &LostError{r.path, err}
	case !executed:
		r.ran.Store(false)
		ev, err := ptrace.Wait(p.PID, 0)
		if err != nil {
			return r.failed(err, "waiting for it: %v", err)
		}
		p.PID, r.last = 0, ev
		return p.Child.Ended(syscall.WaitStatus(ev.Status))
	}
	p.Child.Release()
	if err := r.jobs.release(); err != nil {
		return &LostError{r.path, err}
	}
	r.jobs.runs()
	return nil
}

// executed waits until a child has performed its exec or has failed to, and says which, also when the program has
// ended since. The error is that a filter keeps that from us, and the child has come through its exec or ended there.
func executed(c *child.Child, lost <-chan struct{}) (bool, error) {
	for pause := 20 * time.Microsecond; ; pause = min(2*pause, 100*time.Microsecond) { // no signal may come between exec and release
		dead := ended(c.PID)
		atExec, failed := c.AtExec()
		if failed {
			return false, nil
		}
		if atExec && c.Gone() {
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
