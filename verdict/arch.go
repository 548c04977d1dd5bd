package verdict

import (
	"cmp"
	"slices"

	"monban/abi"
	"monban/bpf"
)

// Calls is the condition that a call is one of an architecture's: by its token and, where another architecture shares
// that, by its number, as abi.Of tells them apart.
func (s *Space) Calls(a abi.Arch) Node {
	return s.Patch(Arch, []Case{{Lo: a.Token(), Hi: a.Token(), Then: s.Numbers(a)}}, False)
}

// Numbers is the condition that a number is the architecture's own under its token.
func (s *Space) Numbers(a abi.Arch) Node {
	first, last := a.Numbers()
	return s.Patch(Nr, []Case{{Lo: first, Hi: last, Then: True}}, False)
}

// On is what v says of the calls of one architecture; numbers that are another's, under the same token, get elsewhere.
// The result doesn't look at the token.
func (v Verdict) On(a abi.Arch, elsewhere bpf.Action) Verdict {
	s := v.space
	return Verdict{s, s.If(s.Numbers(a), v.Restrict(Arch, a.Token()).node, s.Action(elsewhere))}
}

// Call is what v says of one number on an architecture: it depends on nothing but the arguments and the instruction
// pointer.
func (v Verdict) Call(a abi.Arch, nr uint32) Verdict {
	return v.Restrict(Arch, a.Token()).Restrict(Nr, nr)
}

// Elsewhere is what v says of the calls of architectures that nobody has: one thing, or several.
func (v Verdict) Elsewhere() []Leaf {
	var known []Case
	for _, a := range abi.Archs() {
		known = append(known, Case{Lo: a.Token(), Hi: a.Token()})
	}
	slices.SortFunc(known, func(a, b Case) int { return cmp.Compare(a.Lo, b.Lo) })
	return v.Without(Arch, slices.CompactFunc(known, func(a, b Case) bool { return a.Lo == b.Lo }))
}
