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

	// Loader are gates that bind from the first instruction on, where Gates are put on at main only, as Strict is: what the
	// dynamic loader and constructors need and the program does not. They stay, under Gates, and must let
	// seccomp(SECCOMP_SET_MODE_FILTER) through, which puts those on. The kernel lets nobody behind a filter enter strict mode:
	// Gates that mean the same do instead of Strict.
	Loader []bpf.Program

	// Prepare, if set, fills in Gates and Watch while the program is being loaded, and touches nothing else. Its error is
	// Run's, before any other that the program's start may have; the program has then not run.
	Prepare func(*Command) error `json:"-"`

	AllowExec bool // install the gates before the exec, which they must then allow. Needs no ptrace; Watch has no effect
	Detach    bool // let go once the gate is on: a killed call will not be named
	Watch     bool // stay attached to name a killed call. It forbids debuggers inside

	// KeepSignals leaves this process's signals to its own handlers: nothing is passed on to the program, and the process
	// doesn't stop when the program does. It is for programs that are more than a launcher.
	KeepSignals bool
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
}

// ExitStatus is the status that a launcher passes on: the program's, or 128+n if signal n ended it.
func (r *Result) ExitStatus() int {
	if r.Signal != 0 {
		return 128 + int(r.Signal)
	}
	return r.ExitCode
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

// Kinds of errors from Run. Any of them means that the program was not run; see Run for the others.
var (
	// ErrNotFound means that there is no such program.
	ErrNotFound = errors.New("command not found")
	// ErrNotExecutable means that the program exists but can't be executed.
	ErrNotExecutable = errors.New("command cannot be executed")
	// ErrPtraceRefused means that the system doesn't let Monban trace the program, and so can't gate it after the exec.
	ErrPtraceRefused = errors.New("tracing the program is refused")
	// ErrUnsupported means that gating after the exec isn't possible on this system.
	ErrUnsupported = fmt.Errorf("gating a program needs Linux on amd64 or arm64: %w", errors.ErrUnsupported)
)

// ExitStatus is the status with which a launcher reports an error of Run: 127 if the program was not found, 126 if it
// can't be executed, else 125.
func ExitStatus(err error) int {
	switch {
	case errors.Is(err, ErrNotFound):
		return 127
	case errors.Is(err, ErrNotExecutable):
		return 126
	}
	return 125
}
