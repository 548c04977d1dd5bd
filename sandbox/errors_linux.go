package sandbox

import (
	"errors"
	"fmt"
	"slices"

	"monban/bpf"
	"monban/seccomp"
)

// startError is a cause in the words of this package with its kind and the system's own error.
type startError struct {
	kind error // ErrNotFound and the like
	text string
	err  error // may be nil
}

func (e *startError) Error() string { return e.text }

func (e *startError) Unwrap() []error {
	if e.err == nil {
		return []error{e.kind}
	}
	return []error{e.kind, e.err}
}

// check finds what no system could do.
func (c *Command) check() error {
	switch {
	case c.Path == "":
		return &startError{kind: ErrNotFound, text: "no command given"}
	case c.Strict && len(c.Gates) > 0:
		return errors.New("strict mode and filters exclude each other")
	case c.Strict && c.Prepare != nil:
		return errors.New("strict mode has nothing to prepare")
	case c.Strict && len(c.Loader) > 0:
		return errors.New("strict mode can't be entered behind the loader's gates: give gates that mean the same")
	case len(c.Loader) > 0 && c.AllowExec:
		return errors.New("gates for the loader are put on after the exec")
	case c.Strict && c.AllowExec:
		return errors.New("strict mode never allows exec: it can't be entered before it")
	case c.Flags&(seccomp.NewListener|seccomp.WaitKillableRecv) != 0:
		return errors.New("flag NEW_LISTENER: nobody would answer the program's notifications")
	}
	return nil
}

// checkGates is check for what Prepare fills in.
func (c *Command) checkGates() error {
	if !c.Strict && len(c.Gates) == 0 {
		return errors.New("no gate given: the program would run without one")
	}
	for i, p := range slices.Concat(c.Loader, c.Gates) {
		if len(p) == 0 || len(p) > bpf.MaxInstructions {
			return fmt.Errorf("gate %d has %d instructions; the kernel takes 1 to %d", i+1, len(p), bpf.MaxInstructions)
		}
	}
	return nil
}
