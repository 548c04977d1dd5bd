package policy

import (
	"monban/abi"
	"monban/bpf"
)

// A Decision is the policy's answer to one call and what made it so.
type Decision struct {
	Action bpf.Action
	Rule   *Rule  // the rule that decided; nil where none matched
	Header string // where none matched: default, unknown or badarch
}

// Decide answers one call by trying the rules in order, without diagrams: the plain reading of the policy.
func (p *Policy) Decide(d *bpf.Data) (Decision, error) {
	arch, ok := p.ArchOf(d)
	if !ok {
		// An errno of badarch is numbered as on the architecture that shares the token, or the policy's first.
		on := p.Archs[0]
		for _, a := range p.Archs {
			if a.Token() == d.Arch {
				on = a
			}
		}
		do, err := p.BadArch.on(on, Pos{File: p.Name})
		return Decision{Action: do.Canonical(), Header: "badarch"}, err
	}
	clauses, err := p.on(arch)
	if err != nil {
		return Decision{}, err
	}
	for i := range clauses {
		c := &clauses[i]
		if (c.any || c.nr == d.Nr) && c.cond.holds(d) {
			return Decision{Action: c.do.Canonical(), Rule: &p.Rules[c.rule]}, nil
		}
	}
	header, do := "unknown", p.Unknown
	if call, ok := arch.Name(d.Nr); ok && p.knows(arch, call) {
		header, do = "default", p.Default
	}
	a, err := do.on(arch, Pos{File: p.Name})
	return Decision{Action: a.Canonical(), Header: header}, err
}

// ArchOf is the policy's architecture that a call belongs to.
func (p *Policy) ArchOf(d *bpf.Data) (abi.Arch, bool) {
	for _, a := range p.Archs {
		if a.Token() != d.Arch {
			continue
		}
		if (a == abi.X32 || a == abi.X86_64) && (a == abi.X32) != (d.Nr >= abi.X32Bit) {
			continue
		}
		return a, true
	}
	return 0, false
}
