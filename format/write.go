package format

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"monban/abi"
	"monban/bpf"
	"monban/format/codec"
	"monban/gate"
	"monban/policy"
	"monban/policy/decompile"
	"monban/verdict"
)

// Write turns a gate into a text of another format. What it writes is read back and proven to mean the same; target is
// one of the format's For, or "". The options are those that the gate was read with. The error is a *TargetError,
// *ReadOnlyError or *RulesError, or wraps decompile.ErrNotPolicy, compile.ErrTooLong or verdict.ErrTooComplex (the
// default budget's).
func Write(g *gate.Gate, to codec.Format, target string, o Options) (*codec.Text, error) {
	switch {
	case !to.Writes():
		return nil, &ReadOnlyError{to.Title}
	case target == "" && len(to.For) > 0:
		target = to.For[0]
	case target != "" && !slices.Contains(to.For, target):
		return nil, &TargetError{target, to.Title, to.For}
	case to.WriteProgram != nil:
		return writeProgram(g, to, o)
	}
	space := verdict.NewSpace(verdict.DefaultBudget)
	text, err := verdict.Exact(space, func() (*codec.Text, error) {
		m, err := meaning(g, target, o, space)
		if err != nil {
			return nil, err
		}
		text, err := to.Write(m)
		if err != nil {
			return nil, fmt.Errorf("%s as %s: %w", g.Name, to.Title, err)
		}
		return text, prove(m, to, text)
	})
	return text, g.Named(err)
}

func meaning(g *gate.Gate, target string, o Options, space *verdict.Space) (*codec.Meaning, error) {
	v, err := g.In(space).Verdict()
	if err != nil {
		return nil, err
	}
	m := &codec.Meaning{Name: g.Name, Policy: g.Policy, Verdict: v, For: target, Options: o}
	if m.Policy != nil {
		return m, nil
	}
	p, notes, err := decompile.Policy(g.Name, v, g.Native(), nil)
	if err != nil {
		return nil, err
	}
	if len(notes) > 0 {
		return nil, &RulesError{g.Name, notes[0]}
	}
	m.Policy = p
	return m, nil
}

// errChanged is a writer's bug, caught.
var errChanged = errors.New("what was written does not mean the same (this is a bug in Monban; nothing was written)")

// prove reads a text back and compares it with what it was to say.
func prove(m *codec.Meaning, to codec.Format, text *codec.Text) error {
	o := m.Options
	if text.ReadBack != nil {
		o = *text.ReadBack
	}
	back, err := Parse(to, "what was written", bytes.Clone(text.Bytes), o)
	if err != nil {
		return fmt.Errorf("%w: %w", errChanged, err)
	}
	v, err := back.In(m.Verdict.Space()).Verdict()
	if err != nil {
		return err
	}
	if v.Node() == m.Verdict.Node() {
		return nil
	}
	if text.KillsForeign {
		own, kills := ownCalls(v.Space(), m.Policy.Archs), true
		foreign := func(v verdict.Verdict) {
			s := v.Space()
			for do := range s.Verdict(s.If(own, s.Action(bpf.KillProcess), v.Node())).Actions() {
				kills = kills && do.Kills()
			}
		}
		foreign(v)
		foreign(m.Verdict)
		s := v.Space()
		if kills && s.If(own, v.Node(), verdict.False) == s.If(own, m.Verdict.Node(), verdict.False) {
			return nil
		}
	}
	d, _ := verdict.Violation(m.Verdict, v, func(x, y bpf.Action) bool { return x != y })
	a, ok := abi.Of(d.Data.Arch, d.Data.Nr)
	if !ok {
		a = m.Policy.Archs[0]
	}
	return fmt.Errorf("%w: %s gets %s instead of %s on %s", errChanged, policy.FormatCall(a, &d.Data), d.B, d.A, a)
}

// ownCalls is the condition for the calls of some architectures.
func ownCalls(s *verdict.Space, archs []abi.Arch) verdict.Node {
	cond := verdict.False
	for _, a := range archs {
		cond = s.Or(cond, s.Calls(a))
	}
	return cond
}
