package inspect

import (
	"monban/abi"
	"monban/bpf"
	"monban/gate"
	"monban/verdict"
)

// A Subset is a call, or the part of it that a condition holds for.
type Subset struct {
	Call string
	When Condition
}

// A Comparison is the calls that pass at one gate and not at another, on one architecture.
type Comparison struct {
	More, Fewer []Subset
	Equal       bool // every call gets the same answers, refused ones included
}

// Compare tells what passes at g and not at h, and the reverse, on one architecture. The error is a gate's, or a
// *gate.TogetherError.
func Compare(g, h *gate.Gate, a abi.Arch) (*Comparison, error) {
	_, v, err := together([]*gate.Gate{g, h})
	if err != nil {
		return nil, err
	}
	c, err := verdict.Exact(v[0].Space(), func() (*Comparison, error) { return compare(v[0], v[1], a), nil })
	return c, gate.Together(err, g, h)
}

func compare(v, w verdict.Verdict, a abi.Arch) *Comparison {
	s := v.Space()
	x, y := v.Restrict(verdict.Arch, a.Token()), w.Restrict(verdict.Arch, a.Token())
	out := &Comparison{Equal: true}
	for nr, name := range a.Calls() {
		l, r := x.Restrict(verdict.Nr, nr), y.Restrict(verdict.Nr, nr)
		if l == r {
			continue
		}
		out.Equal = false
		p, q := l.Where(bpf.Action.Passes), r.Where(bpf.Action.Passes)
		if n := s.And(p, s.Not(q)); n != verdict.False {
			out.More = append(out.More, Subset{name, condition(a, name, s, n)})
		}
		if n := s.And(q, s.Not(p)); n != verdict.False {
			out.Fewer = append(out.Fewer, Subset{name, condition(a, name, s, n)})
		}
	}
	return out
}

// Elsewhere is the answer to calls of architectures that nobody has; ok is false where the gate judges them by anything
// else. The error is the gate's.
func Elsewhere(g *gate.Gate) (do bpf.Action, ok bool, err error) {
	type answer struct {
		do bpf.Action
		ok bool
	}
	one, err := gate.Exact(g, func(v verdict.Verdict) (answer, error) {
		elsewhere := v.Elsewhere()
		do, constant := elsewhere[0].Then.Constant()
		return answer{do, constant && len(elsewhere) == 1}, nil
	})
	return one.do, one.ok, err
}
