package inspect

import (
	"cmp"
	"slices"

	"monban/abi"
	"monban/policy"
	"monban/verdict"
)

// A Story is what becomes of one call on one architecture.
type Story struct {
	Arch   abi.Arch
	Number uint32
	Direct bool   // it has a number of its own
	Cases  []Case // the answers to that number
	Mux    *abi.Mux
	Behind []Case // the answers to the multiplexer's call that makes it, where there is one
	Rules  []*policy.Rule
}

// Tell tells a call's story on the architectures that have it; p is the gate's policy, where it has one. The error is
// verdict.ErrTooComplex.
func Tell(v verdict.Verdict, call string, archs []abi.Arch, p *policy.Policy) ([]Story, error) {
	return verdict.Exact(v.Space(), func() ([]Story, error) { return tell(v, call, archs, p), nil })
}

func tell(v verdict.Verdict, call string, archs []abi.Arch, p *policy.Policy) []Story {
	var out []Story
	for _, a := range archs {
		st := Story{Arch: a}
		own := v.Restrict(verdict.Arch, a.Token())
		if st.Number, st.Direct = a.Number(call); st.Direct {
			st.Cases = answers(a, call, own.Restrict(verdict.Nr, st.Number))
		}
		if m, ok := a.Mux(call); ok {
			nr, _ := a.Number(m.Call)
			st.Mux = &m
			st.Behind = answers(a, m.Call, own.Restrict(verdict.Nr, nr).Restrict(verdict.ArgHi(0), 0).Restrict(verdict.ArgLo(0), m.Sub))
		}
		if !st.Direct && st.Mux == nil {
			continue
		}
		if p != nil {
			for i := range p.Rules {
				r := &p.Rules[i]
				if (r.Call == call || r.Call == "" || st.Mux != nil && r.Call == st.Mux.Call) && (len(r.Archs) == 0 || slices.Contains(r.Archs, a)) {
					st.Rules = append(st.Rules, r)
				}
			}
		}
		out = append(out, st)
	}
	return out
}

func answers(a abi.Arch, call string, left verdict.Verdict) []Case {
	if do, ok := left.Constant(); ok {
		return []Case{{Action: do}}
	}
	return cases(a, call, left)
}

// SameCases says that two lists of answers read alike.
func SameCases(x, y []Case) bool {
	return slices.EqualFunc(x, y, func(p, q Case) bool { return cmp.Compare(p.Action, q.Action) == 0 && p.When == q.When })
}
