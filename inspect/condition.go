package inspect

import (
	"cmp"
	"errors"
	"slices"

	"monban/abi"
	"monban/bpf"
	"monban/policy"
	"monban/policy/decompile"
	"monban/verdict"
)

// A Condition says for which arguments of a call something is so.
type Condition struct {
	Expr       policy.Expr // nil: always, unless it is unreadable
	Unreadable bool        // it would take thousands of alternatives to write down
}

// Always says that the arguments do not matter.
func (c Condition) Always() bool { return c.Expr == nil && !c.Unreadable }

// Unreadable is how a condition is written that has no form that a person could read.
const Unreadable = "for some arguments"

// String is the condition in the policy language: "" where it always holds, [Unreadable] where it has no form there.
func (c Condition) String() string {
	switch {
	case c.Unreadable:
		return Unreadable
	case c.Expr == nil:
		return ""
	}
	return c.Expr.String()
}

// condition is a condition on a call's arguments as a fact.
func condition(a abi.Arch, call string, s *verdict.Space, n verdict.Node) Condition {
	if n == verdict.True {
		return Condition{}
	}
	expr, err := decompile.Condition(a, call, s, n)
	return Condition{Expr: expr, Unreadable: err != nil}
}

// A Case is one answer to a call.
type Case struct {
	Action bpf.Action
	When   Condition
}

// SameCases says that two lists of answers read alike.
func SameCases(x, y []Case) bool {
	return slices.EqualFunc(x, y, func(p, q Case) bool { return p.Action == q.Action && p.When.String() == q.When.String() })
}

// casesOf are the answers to a call, the most permissive first; one where the arguments do not matter.
func casesOf(a abi.Arch, call string, left verdict.Verdict) ([]Case, error) {
	if do, ok := left.Constant(); ok {
		return []Case{{Action: do}}, nil
	}
	outcomes, err := decompile.Outcomes(a, call, left)
	if err != nil {
		return unreadable(slices.Collect(left.Actions()), err)
	}
	return readable(outcomes), nil
}

func readable(outcomes []decompile.Outcome) (out []Case) {
	for _, o := range outcomes {
		out = append(out, Case{o.On, Condition{Expr: o.Cond}})
	}
	return out
}

// unreadable are answers whose conditions have no form; any other error is returned.
func unreadable(actions []bpf.Action, err error) (out []Case, _ error) {
	if !errors.Is(err, decompile.ErrNotPolicy) {
		return nil, err
	}
	slices.SortFunc(actions, func(x, y bpf.Action) int { return cmp.Compare(int32(y), int32(x)) })
	for _, do := range actions {
		out = append(out, Case{do, Condition{Unreadable: true}})
	}
	return out, nil
}
