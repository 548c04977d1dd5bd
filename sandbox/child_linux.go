package sandbox

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"monban/internal/child"
	"monban/seccomp"
)

// noNewPrivs is inherited by the child. It is read back, as a positive number.
var noNewPrivs = step{
	name:   "no_new_privs",
	parent: func(*run) error { return seccomp.NoNewPrivs() },
	failed: (*run).notStarted,
}

// spawn starts the child, which then performs its parts of the list.
var spawn = step{
	name: "child process",
	parent: func(r *run) error {
		s, err := r.script()
		if err != nil {
			return err
		}
		r.ran.Store(r.AllowExec) // nobody lets it run then: it may, from here on
		if err := r.process.Spawn(s); err != nil {
			r.ran.Store(false)
			return err
		}
		r.jobs.child(r.process.PID, r.process.PIDFD)
		r.pid = r.process.PID
		return nil
	},
	failed: (*run).notStarted,
}

// dieWithParent has the kernel kill the child when the thread ends; it is read back into poisoned memory.
var dieWithParent = step{
	name: "parent-death signal",
	child: func(_ *run, s *child.Script) error {
		s.DieWithParent()
		return nil
	},
}

var directory = step{
	name: "working directory",
	child: func(r *run, s *child.Script) error {
		if r.Dir == "" {
			return nil
		}
		return s.Directory(r.Dir)
	},
}

var files = step{
	name: "standard files",
	child: func(r *run, s *child.Script) error {
		var fds []uintptr
		for i, f := range []*os.File{r.Stdin, r.Stdout, r.Stderr} {
			fd := uintptr(i)
			if f != nil {
				fd = f.Fd()
			} else if _, err := unix.FcntlInt(fd, unix.F_GETFD, 0); err != nil {
				fd = child.Closed // and it stays so
			}
			fds = append(fds, fd)
		}
		s.Files(fds)
		return nil
	},
}

var openFiles = step{
	name: "limit on open files",
	child: func(_ *run, s *child.Script) error {
		s.OpenFiles()
		return nil
	},
}

// defaultSignals takes back this process's handlers, which mean nothing in the child, and then the block on signals.
var defaultSignals = step{
	name: "signals",
	child: func(_ *run, s *child.Script) error {
		const (
			signals    = 64
			sigsetSize = 8
			sigIgnore  = 1 // SIG_IGN
		)
		var byDefault, now [4]uintptr // struct sigaction, whose first word is the handler
		dfl := child.Addr(s, &byDefault)
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
		s.Call("rt_sigprocmask", child.NoError, unix.SYS_RT_SIGPROCMASK, 2 /* SIG_SETMASK */, child.Addr(s, mask), 0, sigsetSize)
		return nil
	},
}

// program adds the exec to the child's script.
func (r *run) program(s *child.Script) error {
	argv := r.Args
	if len(argv) == 0 {
		argv = []string{r.Path}
	}
	return s.Program(r.path, argv, r.environ())
}
