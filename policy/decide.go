package policy

import (
	"slices"

	"monban/abi"
	"monban/bpf"
	"monban/internal/plain"
)

// A Decision is the policy's answer to one call and what made it so.
type Decision struct {
	Action bpf.Action
	Rule   *Rule  // the rule that decided; nil where none matched
	Header string // where none matched: default, unknown or badarch
}

// Decide answers one call by trying the rules in order, without diagrams: the plain reading of the policy.
func (p *Policy) Decide(d *bpf.Data) (Decision, error) { return p.Decider().Decide(d) }

// A Decider answers many calls, as Policy.Decide does each.
type Decider struct {
	p      *Policy
	byArch map[abi.Arch]map[uint32][]clause // the clauses that speak of a number, in order
	any    map[abi.Arch][]clause            // those that speak of all numbers
	texts  map[*Rule]string                 // what Text said
}

// Decider prepares for many decisions. The policy must not change meanwhile.
func (p *Policy) Decider() *Decider {
	return &Decider{p, map[abi.Arch]map[uint32][]clause{}, map[abi.Arch][]clause{}, map[*Rule]string{}}
}

// maxText is how much of a rule is shown as the reason for an answer, in characters.
const maxText = 240

// Text is a rule of the policy as a line of the language, as the reason for an answer: one that lists 100,000 values is
// cut short. It is made once for each rule.
func (d *Decider) Text(r *Rule) string {
	text, ok := d.texts[r]
	if !ok {
		text = plain.Brief(r.String(), maxText)
		d.texts[r] = text
	}
	return text
}

// clauses are those that speak of a number on an architecture, in order.
func (d *Decider) clauses(a abi.Arch, nr uint32) ([]clause, error) {
	byNr, ok := d.byArch[a]
	if !ok {
		all, err := d.p.on(a)
		if err != nil {
			return nil, err
		}
		byNr = map[uint32][]clause{}
		var any []clause
		for _, c := range all {
			if !c.any {
				if _, ok := byNr[c.nr]; !ok {
					byNr[c.nr] = slices.Clone(any)
				}
				byNr[c.nr] = append(byNr[c.nr], c)
				continue
			}
			any = append(any, c)
			for nr := range byNr {
				byNr[nr] = append(byNr[nr], c)
			}
		}
		d.byArch[a], d.any[a] = byNr, any
	}
	if of, ok := byNr[nr]; ok {
		return of, nil
	}
	return d.any[a], nil
}

// Fixed says that all calls of a number are decided by the same rule or header, whatever their arguments.
func (d *Decider) Fixed(a abi.Arch, nr uint32) bool {
	clauses, err := d.clauses(a, nr)
	return err == nil && (len(clauses) == 0 || clauses[0].cond == nil)
}

// Decide answers one call.
func (d *Decider) Decide(call *bpf.Data) (Decision, error) {
	p := d.p
	arch, ok := p.ArchOf(call)
	if !ok {
		// An errno of badarch is numbered as on the architecture that shares the token, or the policy's first.
		on := p.Archs[0]
		for _, a := range p.Archs {
			if a.Token() == call.Arch {
				on = a
			}
		}
		do, err := p.BadArch.on(on, Pos{File: p.Name})
		return Decision{Action: do.Canonical(), Header: "badarch"}, err
	}
	clauses, err := d.clauses(arch, call.Nr)
	if err != nil {
		return Decision{}, err
	}
	for i := range clauses {
		if c := &clauses[i]; c.cond.holds(call) {
			return Decision{Action: c.do.Canonical(), Rule: &p.Rules[c.rule]}, nil
		}
	}
	do, header, err := p.otherwise(arch, call.Nr)
	return Decision{Action: do.Canonical(), Header: header}, err
}

// otherwise is the answer to a number of an architecture where no rule matches, and the header that gives it.
func (p *Policy) otherwise(a abi.Arch, nr uint32) (do bpf.Action, header string, err error) {
	act, header := p.Unknown, "unknown"
	if name, ok := a.Name(nr); ok && p.knows(a, name) {
		act, header = p.Default, "default"
	}
	do, err = act.on(a, Pos{File: p.Name})
	return do, header, err
}

// ArchOf is the policy's architecture that a call belongs to.
func (p *Policy) ArchOf(d *bpf.Data) (abi.Arch, bool) {
	a, ok := abi.Of(d.Arch, d.Nr)
	return a, ok && slices.Contains(p.Archs, a)
}
