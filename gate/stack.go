package gate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"monban/verdict"
)

// Stack is several gates on one task, as the kernel runs them, the first the oldest: the strictest answer wins, and of
// equals the newest gate's. Its notes are those of all. Members share the stack's space.
func Stack(name string, gates ...*Gate) (*Gate, error) {
	if len(gates) == 0 {
		return nil, errors.New("a stack has at least one gate")
	}
	all := &Gate{Name: name, Kind: "stack", space: verdict.NewSpace(verdict.DefaultBudget)}
	for _, g := range gates {
		all.Members = append(all.Members, g.In(all.space))
		order, err := g.ByteOrder()
		if err != nil {
			return nil, err
		}
		if all.Order != nil && order != all.Order {
			return nil, &OrderError{g.Name, order}
		}
		all.Order = order
		all.Notes = append(all.Notes, g.Notes...)
	}
	if !slices.ContainsFunc(gates, func(g *Gate) bool { return g.Programs == nil }) {
		all.Kind, all.Format = gates[0].Kind, gates[0].Format
		for _, g := range gates {
			all.Programs = append(all.Programs, g.Programs...)
		}
	}
	return all, nil
}

// composed is a stack's verdict.
func (g *Gate) composed() (verdict.Verdict, error) {
	if len(g.Members) == 0 {
		return verdict.Verdict{}, fmt.Errorf("%s: a gate has a policy, programs or members, and this one has none of them", g.Name)
	}
	return verdict.Exact(g.space, func() (verdict.Verdict, error) {
		var all verdict.Verdict
		for i, m := range g.Members {
			if m.space != g.space {
				m = m.In(g.space)
			}
			v, err := m.Verdict()
			if err != nil {
				return all, err
			}
			if i == 0 {
				all = v
			} else {
				all = verdict.Stack(all, v)
			}
		}
		return all, nil
	})
}

// An OrderError says that a gate cannot be installed on a task with those before it.
type OrderError struct {
	Gate  string
	Order binary.ByteOrder
}

func (e *OrderError) Error() string {
	return fmt.Sprintf("%s: its byte order is not that of the gates before it: no kernel runs both", e.Gate)
}

// Share puts the gates' verdicts into one space, so that they can be compared or merged; gates of one space stay in it.
// That they do not fit into it together is a *TogetherError.
func Share(gates ...*Gate) ([]*Gate, error) {
	if len(gates) > 0 && gates[0].space != nil && !slices.ContainsFunc(gates, func(g *Gate) bool { return g.space != gates[0].space }) {
		return gates, nil
	}
	var out []*Gate
	space := verdict.NewSpace(verdict.DefaultBudget)
	names := ""
	for i, g := range gates {
		in := g.In(space)
		if i > 0 {
			names += " and "
		}
		names += g.Name
		if _, err := in.Verdict(); errors.Is(err, verdict.ErrTooComplex) && i > 0 {
			return nil, &TogetherError{names, verdict.ErrTooComplex}
		} else if err != nil {
			return nil, err
		}
		out = append(out, in)
	}
	return out, nil
}

// Together gives verdict.ErrTooComplex the names of the gates that were worked with: a [*TogetherError]. Other errors
// stay as they are.
func Together(err error, gates ...*Gate) error {
	if _, named := errors.AsType[*TogetherError](err); named || !errors.Is(err, verdict.ErrTooComplex) {
		return err
	}
	var names []string
	for _, g := range gates {
		names = append(names, g.Name)
	}
	return &TogetherError{strings.Join(names, " and "), err}
}

// A TogetherError says that gates do not fit one budget, each of which may.
type TogetherError struct {
	Gates string // "a.gate and b.gate"
	Err   error
}

func (e *TogetherError) Error() string { return fmt.Sprintf("%s together are %v", e.Gates, e.Err) }
func (e *TogetherError) Unwrap() error { return e.Err }
