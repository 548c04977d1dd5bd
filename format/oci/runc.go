package oci

import (
	"slices"

	"monban/abi"
	"monban/bpf"
	"monban/policy"
)

// runc adds what runc adds to the filter that libseccomp makes.
func (in *importer) runc(all []clause, listed []abi.Arch) {
	p := in.policy
	p.BadArch = policy.Action{Kind: bpf.KillThread}
	switch p.Default.Kind {
	case bpf.Allow, bpf.Log, bpf.Trace:
		return
	}
	enosys := func(a abi.Arch, op policy.Op, nr uint32) {
		p.Rules = append(p.Rules, policy.Rule{
			Action: policy.Action{Kind: bpf.Errno, Errno: "ENOSYS"},
			Cond:   policy.Compare{X: policy.Operand{Name: "nr"}, Op: op, Y: policy.Num(nr)},
			Archs:  []abi.Arch{a},
			Pos:    in.Pos(in.off),
		})
	}
	for _, a := range p.Archs {
		if !slices.Contains(listed, a) {
			continue // runc looks only at the architectures that the profile lists, be the native one among them or not
		}
		var last uint32
		for _, c := range all {
			// To runc, a call that a multiplexer makes has a negative number, whatever other number it has.
			if _, behind := a.Mux(c.name); !behind {
				if nr, ok := a.Number(c.name); ok {
					last = max(last, nr)
				}
			}
		}
		if last == 0 {
			continue
		}
		if a == abi.S390 || a == abi.S390X {
			enosys(a, policy.EQ, 0) // what the kernel makes of a number that it does not know
		}
		enosys(a, policy.GT, last)
	}
}
