package main

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"monban/abi"
	"monban/bpf"
	"monban/compile"
	"monban/format"
	"monban/gate"
	"monban/inspect"
	"monban/sandbox"
	"monban/verdict"
)

// prepare reads the gates and compiles them into one filter, while the program is being loaded.
func (p *runPlan) prepare() (st *gate.Gate, set sandbox.Prepared, err error) {
	refs := p.refs
	if len(refs) == 0 {
		refs = []string{defaultGate}
	}
	if st, err = p.flags.readStack(refs); err != nil {
		return nil, set, err
	}
	if set.Gates, err = st.Compile(compile.Options{}); err != nil {
		return nil, set, err
	}
	set.Watch, err = inspect.Kills(st, abi.Native())
	if err == nil && p.denials.name != "" && !set.Watch {
		err = fmt.Errorf("--denials %s: no answer of this gate kills a call, and run sees no others: say kill_process in it", p.denials.name)
	}
	return st, set, err
}

// behindLoader makes gates for the loader and, from main on, what strict mode means as a filter. first are the
// loader's.
func (f *gateFlags) behindLoader(loader []string) (first *gate.Gate, p sandbox.Prepared, err error) {
	p.Watch = true
	if first, err = f.readStack(loader); err != nil {
		return nil, p, err
	}
	strict, err := f.readStack([]string{"@strict"})
	if err != nil {
		return nil, p, err
	}
	p.Loader, err = gate.Exact(first, func(v verdict.Verdict) ([]bpf.Program, error) {
		return compile.Programs(lettingInstall(v), first.Order, compile.Options{})
	})
	if err != nil {
		return nil, p, fmt.Errorf("%s: %w", first.Name, err)
	}
	p.Gates, err = strict.Compile(compile.Options{})
	return first, p, err
}

// lettingInstall is v with seccomp(SECCOMP_SET_MODE_FILTER) allowed, through which the next filter comes. That one can
// only take away.
func lettingInstall(v verdict.Verdict) verdict.Verdict {
	s := v.Space()
	is := func(w verdict.Word, value uint32) verdict.Node {
		return s.Compare(verdict.Single(w), verdict.EQ, false, uint64(value))
	}
	const setModeFilter = 1 // SECCOMP_SET_MODE_FILTER
	cond := verdict.False
	for _, a := range abi.Archs() {
		if nr, ok := a.Number("seccomp"); ok {
			cond = s.Or(cond, s.And(is(verdict.Arch, a.Token()), s.And(is(verdict.Nr, nr), is(verdict.ArgLo(0), setModeFilter))))
		}
	}
	return s.Verdict(s.If(cond, s.Action(bpf.Allow), v.Node()))
}

// readStack reads the gates that bind a program together on this machine, the oldest first.
func (f *gateFlags) readStack(refs []string) (*gate.Gate, error) {
	o, err := f.options()
	if err != nil {
		return nil, err
	}
	var gates []*gate.Gate
	for _, ref := range refs {
		g, err := format.Read(ref, o) // no notes: standard error is the program's
		if err != nil {
			return nil, err
		}
		if g, err = g.For(abi.Native()); err != nil {
			return nil, err
		}
		gates = append(gates, g)
	}
	st, err := gate.Stack(refs[0], gates...)
	if err != nil {
		return nil, err
	}
	for i, g := range st.Members {
		if st.Programs != nil {
			g = gates[i] // what programs mean together is not made of what each means, and has the stack's budget to itself
		}
		if _, err := gate.Exact(g, func(v verdict.Verdict) (bool, error) { return true, answered(g, v) }); err != nil {
			return nil, err
		}
	}
	return st, nil
}

// answered says that nobody need answer a gate's calls.
func answered(g *gate.Gate, v verdict.Verdict) error {
	for a := range v.Actions() {
		if a.Asks() {
			return fmt.Errorf("%s says %s for some calls, and run has nobody to answer them: allow or deny those calls", g.Name, a)
		}
	}
	return nil
}

// start runs the program and turns its end into ours. st gives the gates that can have killed a call, nil for strict
// mode.
func start(ctx context.Context, c *sandbox.Command, st func(*sandbox.Result) *gate.Gate, denials *denialsFile) error {
	if err := denials.create(); err != nil {
		return exit{exitUsage, err}
	}
	// A program that runs for long need not keep what its gate was made with.
	defer time.AfterFunc(2*time.Second, debug.FreeOSMemory).Stop()
	r, err := c.Run(ctx)
	if err != nil {
		denials.discard()
		return exit{sandbox.ExitStatus(err), err}
	}
	if r.BeforeMain != "" {
		say("%s %s before main: strict mode never began", c.Path, r.BeforeMain)
	}
	explainKills(r, c, st(r))
	if err := denials.write(c.Args, r, st(r)); err != nil {
		say("%v", err) // the status is the program's
	}
	if status := r.ExitStatus(); status != 0 {
		return exit{status, nil}
	}
	return nil
}
