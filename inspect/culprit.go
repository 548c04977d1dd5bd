package inspect

import (
	"slices"

	"monban/abi"
	"monban/bpf"
	"monban/gate"
	"monban/verdict"
)

// A Culprit is a gate that ends programs for a call.
type Culprit struct {
	Gate     *gate.Gate
	Arch     abi.Arch       // the call's
	Call     bpf.Data       // what was killed
	Decision *gate.Decision // what decided; nil for programs
}

// NeedsArch says that the gate would have to speak for the call's architecture first.
func (c *Culprit) NeedsArch() bool {
	return c.Decision != nil && c.Decision.Header == "badarch" && !slices.Contains(c.Gate.Policy.Archs, c.Arch)
}

// Culprits are the gates, of a stack its members, that end a program with a signal for a call. The error is a gate's.
func Culprits(g *gate.Gate, d *bpf.Data) (out []Culprit, err error) {
	gates := g.Members
	if gates == nil {
		gates = []*gate.Gate{g}
	}
	arch, ok := abi.Of(d.Arch, d.Nr)
	if !ok {
		arch = abi.Native()
	}
	for _, m := range gates {
		kills, err := gate.Exact(m, func(v verdict.Verdict) (bool, error) { return v.At(d).Signals(), nil })
		if err != nil {
			return nil, err
		}
		if !kills {
			continue
		}
		c := Culprit{Gate: m, Arch: arch, Call: *d}
		if c.Decision, err = m.Decide(d); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// Kills says whether a gate can end a program of an architecture with a signal. The error is the gate's.
func Kills(g *gate.Gate, a abi.Arch) (bool, error) {
	return gate.Exact(g, func(v verdict.Verdict) (bool, error) {
		for do := range v.On(a, bpf.Allow).Actions() {
			if do.Signals() {
				return true, nil
			}
		}
		return false, nil
	})
}
