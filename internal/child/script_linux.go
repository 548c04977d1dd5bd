package child

import (
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"monban/internal/nofile"
	"monban/internal/sys"
)

// A Script is what a child does from its fork to its exec, with a name for each step and all that the steps point to.
type Script struct {
	Steps []Step
	Part  string // what the steps that are added next belong to, for a StepError

	names []string // of the steps' calls
	parts []string
	keep  []any // keeps memory alive that steps know by its address only

	exec int // the place of execve
}

// Call adds a system call and returns its place.
func (s *Script) Call(name string, op Op, nr uintptr, args ...uintptr) int {
	st := Step{Op: op, Nr: nr}
	copy(st.Args[:], args)
	return s.Add(name, st)
}

// Add adds a step and returns its place.
func (s *Script) Add(name string, st Step) int {
	s.Steps, s.names, s.parts = append(s.Steps, st), append(s.names, name), append(s.parts, s.Part)
	return len(s.Steps) - 1
}

// Addr is the address of what p points to, which stays where it is as long as the script is.
func Addr[T any](s *Script, p *T) uintptr {
	s.keep = append(s.keep, p)
	return uintptr(unsafe.Pointer(p))
}

// poison is what no call of ours would write.
const poison = 0x5ea15ea1

// PrctlSet adds a prctl(2) that sets a number, and one that reads it back into a poisoned word: a filter may answer the
// first in the kernel's place, but it can't write memory.
func (s *Script) PrctlSet(name string, set, value, get uintptr) {
	word := new(uint32)
	*word = poison
	s.Call(name, Equal, unix.SYS_PRCTL, set, value)
	s.Call(name, Equal, unix.SYS_PRCTL, get, Addr(s, word))
	s.Add(name, Step{Op: Compare, Word: unsafe.Pointer(word), Want: value})
}

// DieWithParent adds what has the child killed when the calling thread ends, and ends it if that came before.
func (s *Script) DieWithParent() {
	s.PrctlSet("prctl(PR_SET_PDEATHSIG)", unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), unix.PR_GET_PDEATHSIG)
	at := s.Call("getppid", Equal, unix.SYS_GETPPID)
	s.Steps[at].Want = uintptr(unix.Getpid())
}

// Directory adds a change of the working directory.
func (s *Script) Directory(path string) error {
	dir, err := syscall.BytePtrFromString(path)
	if err != nil {
		return err
	}
	s.Call("chdir", Equal, unix.SYS_CHDIR, Addr(s, dir))
	return nil
}

// Files adds what gives the child its descriptors: from 0 on those that are named, up to the third none besides. A
// place where there is to be none has Closed.
func (s *Script) Files(files []uintptr) {
	// First what would be overwritten before it has come to its place.
	moved := map[int]int{}
	for i, fd := range files {
		if fd != Closed && int(fd) < i {
			moved[i] = 1 + s.Call("fcntl", NoError, unix.SYS_FCNTL, fd, unix.F_DUPFD_CLOEXEC, uintptr(len(files)))
		}
	}
	for i, fd := range files {
		switch {
		case fd == Closed:
			s.Call("close", Any, unix.SYS_CLOSE, uintptr(i))
		case int(fd) == i:
			s.Call("fcntl", NoError, unix.SYS_FCNTL, fd, unix.F_SETFD, 0)
		default:
			at := s.Call("dup3", NoError, unix.SYS_DUP3, fd, uintptr(i), 0)
			s.Steps[at].From = moved[i]
		}
	}
	for i := len(files); i < 3; i++ {
		s.Call("close", Any, unix.SYS_CLOSE, uintptr(i))
	}
}

// Closed is a place among files where no file is.
const Closed = ^uintptr(0)

// OpenFiles adds what takes back the limit on open files that package syscall has raised in this process.
func (s *Script) OpenFiles() {
	if soft, hard, change := nofile.ForChild(); change {
		s.Call("prlimit64", Any, unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NOFILE, Addr(s, &unix.Rlimit{Cur: soft, Max: hard}))
	}
}

// Program adds the exec.
func (s *Script) Program(argv0 string, argv, env []string) error {
	path, err := syscall.BytePtrFromString(argv0)
	if err != nil {
		return err
	}
	args, err := syscall.SlicePtrFromStrings(argv)
	if err != nil {
		return err
	}
	envp, err := syscall.SlicePtrFromStrings(env)
	if err != nil {
		return err
	}
	s.keep = append(s.keep, args, envp)
	s.exec = s.Call("execve", Equal, unix.SYS_EXECVE, Addr(s, path), Addr(s, &args[0]), Addr(s, &envp[0]))
	s.Steps[s.exec].Want = ^uintptr(0) >> 1 // it doesn't return; -1 would be EPERM
	return nil
}

// ErrAnswered means that a call reported success and had no effect: a seccomp filter around this process answers it in
// the kernel's place.
var ErrAnswered = sys.ErrAnswered

// A StepError says at which step a child came to an end before its exec.
type StepError struct {
	Step int
	Part string
	Call string
	Err  error // the call's error, or ErrAnswered, or how the child was killed
}

func (e *StepError) Error() string { return e.Call + ": " + e.Err.Error() }
func (e *StepError) Unwrap() error { return e.Err }

// Ended explains the end of a child that has not come through its exec. An error of execve itself is a bare
// syscall.Errno, all others are a *StepError.
func (c *Child) Ended(status syscall.WaitStatus) error {
	at, result, failed := c.Progress()
	e := &StepError{at, c.script.parts[at], c.script.names[at], ErrAnswered}
	switch {
	case !failed && status.Signaled():
		e.Err = fmt.Errorf("the child was ended by %s", unix.SignalName(status.Signal()))
	case failed && result < 0 && at == c.script.exec:
		return syscall.Errno(-result)
	case failed && result < 0 && c.script.Steps[at].Op != Compare:
		e.Err = syscall.Errno(-result)
	}
	return e
}
