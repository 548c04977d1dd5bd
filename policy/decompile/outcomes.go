package decompile

import (
	"cmp"
	"slices"

	"monban/abi"
	"monban/bpf"
	"monban/policy"
	"monban/verdict"
)

// An Outcome is one of the answers that a call can get, and when.
type Outcome struct {
	Action policy.Action
	On     bpf.Action // the same as the filter's number
	Cond   policy.Expr
}

// Outcomes lists what can happen to one call, given what its arguments leave open, the most permissive answer first.
// The conditions exclude each other and together always hold. The error is ErrNotPolicy where a condition has no form,
// or none of a bearable length, or verdict.ErrTooComplex.
func Outcomes(a abi.Arch, call string, left verdict.Verdict) ([]Outcome, error) {
	return verdict.Exact(left.Space(), func() ([]Outcome, error) { return outcomes(a, call, left) })
}

func outcomes(a abi.Arch, call string, left verdict.Verdict) ([]Outcome, error) {
	d := &decompiler{p: &policy.Policy{Name: call}}
	var out []Outcome
	actions := slices.SortedFunc(left.Actions(), func(x, y bpf.Action) int { return cmp.Compare(int32(y), int32(x)) })
	for _, do := range actions {
		cond, err := d.condition(a, call, left.Space(), left.Space().When(left, do))
		if err != nil {
			return nil, err
		}
		out = append(out, Outcome{numeric(a, do), do, cond})
	}
	return out, nil
}

// Condition writes a condition on the arguments of one call as an expression. The error is ErrNotPolicy where that has
// no form, or none of a bearable length, or verdict.ErrTooComplex.
func Condition(a abi.Arch, call string, s *verdict.Space, n verdict.Node) (policy.Expr, error) {
	return verdict.Exact(s, func() (policy.Expr, error) {
		d := &decompiler{p: &policy.Policy{Name: call}}
		return d.condition(a, call, s, n)
	})
}

// Answers are the answers that a call put to a verdict can get, with their conditions. Errors are those of [Outcomes].
func Answers(a *policy.Answer) ([]Outcome, error) {
	return verdict.Exact(a.Left().Space(), func() ([]Outcome, error) {
		actions, err := a.Actions()
		if err != nil {
			return nil, err
		}
		var out []Outcome
		for _, do := range actions {
			when, err := a.When(do)
			if err != nil {
				return nil, err
			}
			cond, err := Condition(a.Call.Arch, a.Call.Label(), a.Left().Space(), when)
			if err != nil {
				return nil, err
			}
			out = append(out, Outcome{policy.ActionOn(a.Call.Arch, do), do, cond})
		}
		return out, nil
	})
}
