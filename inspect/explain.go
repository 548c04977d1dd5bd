package inspect

import (
	"errors"
	"fmt"

	"monban/abi"
	"monban/bpf"
	"monban/gate"
	"monban/lint"
	"monban/policy"
	"monban/policy/decompile"
	"monban/policy/lang"
	"monban/verdict"
)

// WellKnown is Docker's default, the gate that most people know; gates are compared with it.
const WellKnown = "@container"

// An Explanation is what there is to say of a gate.
type Explanation struct {
	Gate      *gate.Gate
	Archs     []abi.Arch     // that it speaks for, the most important first
	Policy    *policy.Policy // the gate in the policy language; nil where it has no form there
	Wordless  error          // why it has none
	Notes     []string       // what the policy cannot say and the gate does
	Findings  []lint.Finding // medium or worse, the worst first
	Views     []View         // one for each of Archs
	Elsewhere bpf.Action     // the answer to calls of other architectures
	Told      bool           // whether those get one answer, Elsewhere
}

// A View is a gate on one architecture.
type View struct {
	*Summary
	Known *Comparison // with WellKnown; nil where that does not speak for the architecture
}

// Explain finds what there is to say of a gate. Errors are the gate's.
func Explain(g *gate.Gate) (*Explanation, error) {
	archs, err := g.Archs()
	if err != nil {
		return nil, err
	}
	e := &Explanation{Gate: g, Archs: archs}
	if e.Policy, e.Notes, err = Words(g); errors.Is(err, decompile.ErrNotPolicy) {
		e.Wordless = err
	} else if err != nil {
		return nil, err
	} else {
		e.Archs = e.Policy.Archs
	}
	found, err := lint.Find(g)
	if err != nil {
		return nil, err
	}
	for _, f := range found {
		if f.Severity >= lint.Medium {
			e.Findings = append(e.Findings, f)
		}
	}
	for _, a := range e.Archs {
		s, err := Summarise(g, a)
		if err != nil {
			return nil, err
		}
		known, err := compareKnown(g, a)
		if err != nil {
			return nil, err
		}
		e.Views = append(e.Views, View{s, known})
	}
	e.Elsewhere, e.Told, err = Elsewhere(g)
	return e, err
}

// Words writes a gate down in the policy language; this is proven to mean the same. The notes are what the policy
// cannot say and the gate does. A policy that cannot be decompiled stands as it is; of programs the error is then
// decompile.ErrNotPolicy.
func Words(g *gate.Gate) (p *policy.Policy, notes []string, err error) {
	archs, err := g.Archs()
	if err != nil {
		return nil, nil, err
	}
	p, err = gate.Exact(g, func(v verdict.Verdict) (p *policy.Policy, _ error) {
		err := v.Space().Attempt(func() (err error) {
			p, notes, err = decompile.Policy(g.Name, v, archs[0], g.Policy)
			return err
		})
		if errors.Is(err, verdict.ErrTooComplex) {
			err = fmt.Errorf("%s: %w: writing it down is %w", g.Name, decompile.ErrNotPolicy, err)
		}
		return p, err
	})
	switch {
	case errors.Is(err, decompile.ErrNotPolicy) && g.Policy != nil:
		return g.Policy, nil, nil // its own words say what a decompiler cannot
	case err != nil:
		return nil, nil, err
	}
	return p, notes, nil
}

// compareKnown compares with WellKnown; nil where there is none for the architecture.
func compareKnown(g *gate.Gate, a abi.Arch) (*Comparison, error) {
	p, err := lang.LoadPreset(WellKnown, lang.Options{Archs: []abi.Arch{a}, Native: a})
	if err != nil {
		return nil, nil
	}
	v, err := g.Verdict()
	if err != nil {
		return nil, err
	}
	return Compare(g, gate.OfPolicy(WellKnown, p).In(v.Space()), a)
}
