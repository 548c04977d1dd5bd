package inspect

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"monban/abi"
	"monban/gate"
	"monban/policy/decompile"
	"monban/verdict"
)

// An Operation says what several gates make together.
type Operation string

// The operations. Actions are ordered as the kernel orders them, kill_process the strictest, allow the loosest.
const (
	Union     Operation = "union"     // a call gets the loosest of the gates' answers: what any of them allows
	Intersect Operation = "intersect" // the strictest: what all of them allow; of equals the first gate's
	Stack     Operation = "stack"     // what the kernel does with filters installed in this order: the strictest; of equals the last one's
)

// steps are what an operation makes of two gates, and its noun.
var steps = map[Operation]struct {
	noun string
	step func(v, w verdict.Verdict) verdict.Verdict
}{
	Union:     {"union", verdict.Loosest},
	Intersect: {"intersection", verdict.Strictest},
	Stack:     {"stack", verdict.Stack},
}

// A NoPolicyError says that what gates make together has no form as a policy: a policy names its architectures.
type NoPolicyError struct {
	Name string // "union of a, b"
	Note string // what no policy says
}

func (e *NoPolicyError) Error() string {
	return fmt.Sprintf("%s: %s: no policy says that", e.Name, e.Note)
}
func (e *NoPolicyError) Unwrap() error { return decompile.ErrNotPolicy }

// Merge joins gates, in order, to one that is proven to mean exactly what they make together: a policy, called "union
// of a, b". Errors are the gates', a *gate.TogetherError, a *[NoPolicyError] or decompile.ErrNotPolicy.
func Merge(op Operation, gates ...*gate.Gate) (*gate.Gate, error) {
	of, ok := steps[op]
	if !ok {
		return nil, fmt.Errorf("gates can be merged by union, intersect or stack, not by %q", op)
	}
	if len(gates) == 0 {
		return nil, errors.New("there is nothing to merge")
	}
	gates, verdicts, err := together(gates)
	if err != nil {
		return nil, err
	}
	archs, err := gates[0].Archs()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, g := range gates {
		names = append(names, g.Name)
	}
	name := of.noun + " of " + strings.Join(names, ", ")
	v, err := verdict.Exact(verdicts[0].Space(), func() (verdict.Verdict, error) {
		v := verdicts[0]
		for _, w := range verdicts[1:] {
			v = of.step(v, w)
		}
		return v, nil
	})
	if err != nil {
		return nil, gate.Together(err, gates...)
	}
	p, notes, err := decompile.Policy(name, v, archs[0], nil)
	if err == nil && len(notes) > 0 {
		err = &NoPolicyError{name, notes[0]}
	}
	if err != nil {
		return nil, gate.Together(err, gates...)
	}
	return gate.OfPolicy(name, p), nil
}

// together are gates in one space, and what they mean.
func together(gates []*gate.Gate) ([]*gate.Gate, []verdict.Verdict, error) {
	gates, err := gate.Share(gates...)
	if err != nil {
		return nil, nil, err
	}
	var all []verdict.Verdict
	for _, g := range gates {
		v, err := g.Verdict()
		if err != nil {
			return nil, nil, err
		}
		all = append(all, v)
	}
	return gates, all, nil
}

// An Origin is the calls of an architecture that the same gates let pass: of recordings, which runs the calls came
// from.
type Origin struct {
	Arch  abi.Arch
	Gates []string // by name; nil where all let the calls pass, in different ways
	Calls []string // in alphabetic order
}

// Origins say which calls only some of the gates let pass, and which ones they let pass differently. Errors are those
// of [Diff].
func Origins(archs []abi.Arch, gates ...*gate.Gate) ([]Origin, error) {
	if len(gates) == 0 {
		return nil, nil
	}
	gates, verdicts, err := together(gates)
	if err != nil {
		return nil, err
	}
	out, err := verdict.Exact(verdicts[0].Space(), func() (out []Origin, err error) {
		for _, a := range archs {
			some, err := originsOn(a, gates, verdicts)
			if err != nil {
				return nil, err
			}
			out = append(out, some...)
		}
		return out, nil
	})
	return out, gate.Together(err, gates...)
}

func originsOn(a abi.Arch, gates []*gate.Gate, verdicts []verdict.Verdict) (out []Origin, err error) {
	passing := map[string][]string{} // by call, the gates
	for i, v := range verdicts {
		s, err := summarise(v, a)
		if err != nil {
			return nil, err
		}
		for _, c := range s.Calls {
			if c.Passes() != Never {
				passing[c.Name] = append(passing[c.Name], gates[i].Name)
			}
		}
	}
	calls := map[string][]string{} // by gates
	gatesOf := map[string][]string{}
	differ := Origin{Arch: a}
	for _, call := range slices.Sorted(maps.Keys(passing)) {
		at := passing[call]
		nr, _ := a.Number(call)
		first := verdicts[0].Call(a, nr)
		switch {
		case len(at) < len(gates):
			key := strings.Join(at, ", ")
			calls[key], gatesOf[key] = append(calls[key], call), at
		case slices.ContainsFunc(verdicts, func(v verdict.Verdict) bool { return v.Call(a, nr) != first }):
			differ.Calls = append(differ.Calls, call)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(calls)) {
		out = append(out, Origin{a, gatesOf[key], calls[key]})
	}
	if differ.Calls != nil {
		out = append(out, differ)
	}
	return out, nil
}
