package inspect

import (
	"slices"

	"monban/abi"
	"monban/gate"
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
	Behind []Case         // the answers to the multiplexer's call that makes it, where there is one
	Rules  []*policy.Rule // of the gate's text, that speak of it or of its multiplexer, in order
}

// Tell tells a call's story on those of the architectures that have it, from what the gate says of that call alone; the
// work is done in a space of its own. Errors name the gate; what is too complex is a *gate.ComplexError.
func Tell(g *gate.Gate, call string, archs []abi.Arch) ([]Story, error) {
	s := verdict.NewSpace(verdict.DefaultBudget)
	out, err := verdict.Exact(s, func() ([]Story, error) { return tell(g, s, call, archs) })
	return out, g.Named(err)
}

func tell(g *gate.Gate, s *verdict.Space, call string, archs []abi.Arch) ([]Story, error) {
	p := g.Policy
	var out []Story
	for _, a := range archs {
		st := Story{Arch: a}
		if st.Number, st.Direct = a.Number(call); st.Direct {
			own, err := g.Slice(s, a, st.Number)
			if err == nil {
				st.Cases, err = casesOf(a, call, own)
			}
			if err != nil {
				return nil, err
			}
		}
		if m, ok := a.Mux(call); ok {
			nr, _ := a.Number(m.Call)
			own, err := g.Slice(s, a, nr)
			if err == nil {
				st.Mux = &m
				st.Behind, err = casesOf(a, m.Call, own.Restrict(verdict.ArgHi(0), 0).Restrict(verdict.ArgLo(0), m.Sub))
			}
			if err != nil {
				return nil, err
			}
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
	return out, nil
}
