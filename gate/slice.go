package gate

import (
	"slices"

	"monban/abi"
	"monban/verdict"
)

// Slice is what the gate says of one number of an architecture, in a space that need not be the gate's. A policy's is
// found without the rest of it: there may be one where the whole is too complex, or leaves no room for further
// questions. Errors are those of [Gate.Verdict].
func (g *Gate) Slice(s *verdict.Space, a abi.Arch, nr uint32) (verdict.Verdict, error) {
	v, err := verdict.Exact(s, func() (verdict.Verdict, error) { return g.slice(s, a, nr) })
	return v, g.Named(err)
}

func (g *Gate) slice(s *verdict.Space, a abi.Arch, nr uint32) (v verdict.Verdict, err error) {
	if owner, ok := abi.Of(a.Token(), nr); ok {
		a = owner
	}
	switch {
	case g.Policy != nil && slices.Contains(g.Policy.Archs, a):
		c, err := g.decides().Chain(s, a, nr)
		if err != nil {
			return v, err
		}
		return c.Whole(), nil
	case g.Policy == nil && g.Programs == nil:
		for i, m := range g.Members {
			its, err := m.slice(s, a, nr)
			if err != nil {
				return v, err
			}
			if i > 0 {
				its = verdict.Stack(v, its)
			}
			v = its
		}
		return v, nil
	}
	whole, err := g.Verdict()
	if err != nil {
		return v, err
	}
	// The architecture and the number come first: no node is made for what is left after them.
	return s.Copy(whole.Restrict(verdict.Arch, a.Token()).Restrict(verdict.Nr, nr)), nil
}
