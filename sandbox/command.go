package sandbox

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"monban/bpf"
	"monban/seccomp"
)

// A Command is a program to be run behind a gate.
type Command struct {
	// Path is the program. Without a slash it is looked up in the PATH of Env, as execvp(3) does, the current directory
	// included if PATH names it. A relative path with a slash starts from Dir.
	Path string
	Args []string // with the program's name first; empty: just Path
	Env  []string // nil: this process's
	Dir  string   // "": this process's

	Stdin, Stdout, Stderr *os.File // nil: this process's. Descriptors above 2 pass on unless they are close-on-exec

	Gates  []bpf.Program // installed in this order, the first is the oldest
	Flags  seccomp.Flags // for each of Gates; NewListener is refused
	Strict bool          // instead of Gates: the kernel's strict mode, from main on (see Run)

	// Loader are gates that bind from the first instruction on, where Gates are put on at main only, as Strict is: what
	// the dynamic loader and constructors need and the program does not. They stay, under Gates, and must let
	// seccomp(SECCOMP_SET_MODE_FILTER) through, which puts those on. The kernel lets nobody behind a filter enter
	// strict mode: Gates that mean the same do instead of Strict.
	Loader []bpf.Program

	// Prepare, if set, makes what has not been made yet while the program is being loaded; it takes the place of Gates,
	// Loader and Watch. Its error is Run's, before any other that the program's start may have; the program has then
	// not run.
	Prepare func() (Prepared, error) `json:"-"`

	AllowExec bool // install the gates before the exec, which they must then allow. Needs no ptrace; Watch has no effect
	Detach    bool // let go once the gate is on: a killed call will not be named
	Watch     bool // stay attached to name a killed call. It forbids debuggers inside

	// KeepSignals leaves this process's signals to its own handlers: nothing is passed on to the program, and the
	// process doesn't stop when the program does. It is for programs that are more than a launcher.
	KeepSignals bool
}

// Prepared are the fields of a Command that it may be worth to make while the program is being loaded.
type Prepared struct {
	Gates, Loader []bpf.Program
	Watch         bool
}

// A Result is how a program ended.
type Result struct {
	ExitCode int            // 0 to 255, if Signal is 0
	Signal   syscall.Signal // what ended the program, 0 if it exited
	CoreDump bool
	Killed   []Killed // the calls that were killed, in the order of the deaths; with Watch only

	// BeforeMain says what the program did on its way to main instead of coming there: it ended, or it was killed for
	// leaving that way. With Strict or Loader only. Strict mode, or Gates, never began; it has run all the same.
	BeforeMain string
	// AtStart says that Strict, or Gates behind Loader, began at the program's first instruction and not at main: it is
	// static.
	AtStart bool
}

// ExitStatus is the status that a launcher passes on: the program's, or 128+n if signal n ended it.
func (r *Result) ExitStatus() int {
	if r.Signal != 0 {
		return 128 + int(r.Signal)
	}
	return r.ExitCode
}

// Calls are the calls that were killed, each once and as it was killed first, in that order, and how often it was.
func (r *Result) Calls() (first []Killed, times []int) {
	type call struct{ arch, nr uint32 }
	at := map[call]int{}
	for _, k := range r.Killed {
		id := call{k.Data.Arch, k.Data.Nr}
		i, again := at[id]
		if !again {
			i = len(first)
			at[id], first, times = i, append(first, k), append(times, 0)
		}
		times[i]++
	}
	return first, times
}

// Killed is a system call that a gate killed a thread or process for.
type Killed struct {
	PID, TID int
	Comm     string   // the thread's name, at most 15 bytes
	Data     bpf.Data // the call as the filter saw it
	Thread   bool     // only the thread died, not its process
	Strict   bool     // by strict mode
	Trap     bool     // by SIGSYS of a trap action, which the program did not catch
}

// Kinds of a [StartError].
var (
	// ErrNotFound means that there is no such program.
	ErrNotFound = errors.New("command not found")
	// ErrNotExecutable means that the program exists but can't be executed.
	ErrNotExecutable = errors.New("command cannot be executed")
	// ErrPtraceRefused means that the system doesn't let Monban trace the program, and so can't gate it after the exec.
	ErrPtraceRefused = errors.New("tracing the program is refused")
	// ErrExecRefused means that the gates, installed before the exec (AllowExec), don't let it through.
	ErrExecRefused = errors.New("the gates do not allow execve")
	// ErrInvalid means that a Command asks for what no system can do, such as to start a program without a gate.
	ErrInvalid = errors.New("what the command asks for cannot be done")
	// ErrUnsupported means that gating after the exec isn't possible on this system.
	ErrUnsupported = fmt.Errorf("gating a program needs Linux on amd64 or arm64: %w", errors.ErrUnsupported)
)

// A StartError says why a program was not started: nothing of it has run, with Strict or Loader nothing from main on.
type StartError struct {
	Path string // "" where there is nothing wrong with the program
	Step string // the step of the start that has ended it, as docs/design.md lists them; "" for one that hasn't begun
	Kind error  // ErrNotFound and the like, nil for any other
	Why  string // in words, "" for those of Err
	Err  error  // what the system said; may be nil
}

func (e *StartError) Error() string {
	why := e.Why
	if why == "" && e.Err != nil {
		why = e.Err.Error()
	}
	switch {
	case e.Path == "":
		return why
	case e.Kind == ErrNotFound, e.Kind == ErrNotExecutable:
		return e.Path + ": " + why
	}
	return e.Path + " was not started: " + why
}

// Unwrap gives the kind and the system's error.
func (e *StartError) Unwrap() []error {
	var errs []error
	for _, err := range []error{e.Kind, e.Err} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// A LostError says that a program was killed behind its gate, and may have run till then, because this process could
// not follow it to its end: a filter around this process answers wait4(2) or ptrace(2) in the kernel's place, or killed
// the thread that makes those calls.
type LostError struct {
	Path string
	Err  error
}

func (e *LostError) Error() string { return e.Path + " was killed behind its gate: " + e.Err.Error() }

func (e *LostError) Unwrap() error { return e.Err }

// ExitStatus is the status with which a launcher reports an error of Run: 127 if the program was not found, 126 if it
// can't be executed, 137 if it ran and had to be killed (LostError), else 125. An error that says itself how the
// program ended, as monban.ExitError does, has that status.
func ExitStatus(err error) int {
	lost := (*LostError)(nil)
	var ended interface{ ExitStatus() int }
	switch {
	case errors.As(err, &ended):
		return ended.ExitStatus()
	case errors.Is(err, ErrNotFound):
		return 127
	case errors.Is(err, ErrNotExecutable):
		return 126
	case errors.As(err, &lost):
		return 128 + int(syscall.SIGKILL)
	}
	return 125
}
