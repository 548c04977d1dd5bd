package sandbox

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"monban/bpf"
	"monban/internal/ptrace"
	"monban/internal/sys"
	"monban/seccomp"
)

// check finds what no system could do.
func (c *Command) check() error {
	switch {
	case c.Path == "":
		return &StartError{Kind: ErrNotFound, Why: "no command given"}
	case c.Strict && len(c.Gates) > 0:
		return invalid("strict mode and filters exclude each other")
	case c.Strict && c.Prepare != nil:
		return invalid("strict mode has nothing to prepare")
	case c.Strict && len(c.Loader) > 0:
		return invalid("strict mode can't be entered behind the loader's gates: give gates that mean the same")
	case c.Strict && c.AllowExec:
		return invalid("strict mode never allows exec: it can't be entered before it")
	case c.Flags&(seccomp.NewListener|seccomp.WaitKillableRecv) != 0:
		return invalid("flag NEW_LISTENER: nobody would answer the program's notifications")
	}
	return nil
}

// check finds what is wrong with what may have been prepared.
func (p *Prepared) check(c *Command) error {
	switch {
	case !c.Strict && len(p.Gates) == 0:
		return invalid("no gate given: the program would run without one")
	case len(p.Loader) > 0 && c.AllowExec:
		return invalid("gates for the loader are put on after the exec")
	}
	for i, g := range slices.Concat(p.Loader, p.Gates) {
		if len(g) == 0 || len(g) > bpf.MaxInstructions {
			return invalid("gate %d has %d instructions; the kernel takes 1 to %d", i+1, len(g), bpf.MaxInstructions)
		}
	}
	return nil
}

// invalid is the error of a Command that asks for what no system can do.
func invalid(format string, args ...any) error {
	return &StartError{Kind: ErrInvalid, Why: fmt.Sprintf(format, args...)}
}

// ends is an error that ends the program, whether it has begun or not.
func (r *run) ends(err error) error {
	if r.ran.Load() {
		return &LostError{r.path, err}
	}
	return r.notStarted(err)
}

// notStarted is an error that ends the start.
func (r *run) notStarted(err error) error { return &StartError{Path: r.path, Err: err} }

// failed is one with more words.
func (r *run) failed(err error, format string, args ...any) error {
	return &StartError{Path: r.path, Why: fmt.Sprintf(format, args...), Err: err}
}

// refused explains why ptrace doesn't work here, as far as can be seen.
func (r *run) refused(err error) error {
	var refused *ptrace.RefusedError
	if !errors.As(err, &refused) {
		return r.notStarted(err)
	}
	if errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, unix.ENOSYS) {
		return &StartError{Path: r.path, Kind: ErrUnsupported, Why: refused.Err.Error(), Err: err}
	}
	cause := "an LSM or a container denies it"
	yama, _ := sys.Setting("kernel.yama.ptrace_scope")
	scope, _ := strconv.Atoi(yama)
	mode, _ := unix.PrctlRetInt(unix.PR_GET_SECCOMP, 0, 0, 0, 0)
	switch {
	case scope == 3, scope == 2 && os.Geteuid() != 0:
		cause = fmt.Sprintf("Yama denies it: kernel.yama.ptrace_scope is %d", scope)
	case readStatus(unix.Getpid()).TracerPID != 0:
		cause = "this process is traced itself, and so is all that it starts (strace -f, a debugger, another sandbox " +
			"that watches)"
	case mode != 0:
		cause = "an outer seccomp sandbox denies it"
	case unix.Access(r.path, unix.R_OK) != nil:
		cause = "its file can be executed but not read, and the kernel keeps such a program's memory from us"
	}
	return &StartError{Path: r.path, Kind: ErrPtraceRefused, Err: err, Why: fmt.Sprintf("tracing it is refused (%v): %s", err, cause)}
}

// gateError explains why the i-th of all gates, those for the loader first, could not be installed.
func (r *run) gateError(i int, err error) error {
	ended := (*ptrace.EndedError)(nil)
	what := fmt.Sprintf("gate %d of %d could not be installed", i+1, len(r.set.Loader)+len(r.set.Gates))
	const compose = "each installation goes through the gates before it; compose the gates into one"
	switch {
	case errors.Is(err, ptrace.ErrFaked):
		return r.failed(err, "%s: %v, or a gate before it does", what, err)
	case errors.As(err, &ended) && i > 0:
		return r.failed(err, "%s: gate %d, or another before it, kills seccomp(2), and %s: %v", what, i, compose, err)
	case errors.As(err, &ended):
		return r.failed(err, "%s: an outer sandbox kills seccomp(2): %v", what, err)
	case errors.Is(err, unix.EINVAL):
		return r.failed(err, "%s: the kernel does not admit it, or doesn't know a flag (%v): %v", what, r.Flags, err)
	case errors.Is(err, unix.ENOMEM):
		return r.failed(err, "%s: out of memory, or more than 32768 instructions in all gates together: %v", what, err)
	case errors.Is(err, ptrace.ErrAnswered), errors.Is(err, unix.EIO):
		return r.refused(&ptrace.RefusedError{While: fmt.Sprintf("gate %d", i+1), Err: err})
	case i > 0:
		return r.failed(err, "%s: %v; gate %d, or another before it, may deny seccomp(2), and %s", what, err, i, compose)
	}
	return r.failed(err, "%s: %v (an outer sandbox may deny seccomp(2))", what, err)
}
