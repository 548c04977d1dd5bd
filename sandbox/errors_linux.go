package sandbox

import (
	"errors"
	"fmt"
	"slices"

	"monban/bpf"
	"monban/seccomp"
)

// check finds what no system could do.
func (c *Command) check() error {
	switch {
	case c.Path == "":
		return &StartError{Kind: ErrNotFound, Why: "no command given"}
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

// check is Command.check for what may have been prepared.
func (p *Prepared) check(strict bool) error {
	if !strict && len(p.Gates) == 0 {
		return errors.New("no gate given: the program would run without one")
	}
	for i, g := range slices.Concat(p.Loader, p.Gates) {
		if len(g) == 0 || len(g) > bpf.MaxInstructions {
			return fmt.Errorf("gate %d has %d instructions; the kernel takes 1 to %d", i+1, len(g), bpf.MaxInstructions)
		}
	}
	return nil
}
