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

// Tell tells a call's story on those of the architectures that have it. The error is the gate's.
func Tell(g *gate.Gate, call string, archs []abi.Arch) ([]Story, error) {
	return gate.Exact(g, func(v verdict.Verdict) ([]Story, error) { return tell(v, call, archs, g.Policy) })
}

func tell(v verdict.Verdict, call string, archs []abi.Arch, p *policy.Policy) (out []Story, err error) {
	for _, a := range archs {
		st := Story{Arch: a}
		own := v.Restrict(verdict.Arch, a.Token())
		if st.Number, st.Direct = a.Number(call); st.Direct {
			if st.Cases, err = casesOf(a, call, own.Restrict(verdict.Nr, st.Number)); err != nil {
				return nil, err
			}
		}
		if m, ok := a.Mux(call); ok {
			nr, _ := a.Number(m.Call)
			st.Mux = &m
			behind := own.Restrict(verdict.Nr, nr).Restrict(verdict.ArgHi(0), 0).Restrict(verdict.ArgLo(0), m.Sub)
			if st.Behind, err = casesOf(a, m.Call, behind); err != nil {
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
