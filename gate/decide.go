package gate

import (
	"monban/abi"
	"monban/bpf"
	"monban/policy"
)

// A Decision is what a gate's text says of a call.
type Decision struct {
	Action bpf.Action
	Rule   *policy.Rule // that decided; nil: it was a header
	Header string       // "default", "unknown" or "badarch", where no rule did
	Text   string       // the rule as the language writes it, or the header's name
}

// Pos is the place of the rule; Line is 0 where there is none.
func (d *Decision) Pos() policy.Pos {
	if d.Rule == nil {
		return policy.Pos{}
	}
	return d.Rule.Pos
}

// Decide finds the rule or header that decides a call. Programs have neither: nil.
func (g *Gate) Decide(call *bpf.Data) (*Decision, error) {
	if g.Policy == nil {
		return nil, nil
	}
	d, err := g.decides().Decide(call)
	if err != nil {
		return nil, err
	}
	out := &Decision{Action: d.Action, Rule: d.Rule, Header: d.Header, Text: d.Header}
	if d.Rule != nil {
		out.Text = g.decider.Text(d.Rule)
	}
	return out, nil
}

// Fixed says that one rule or header decides all calls of a number, whatever their arguments; programs have none.
func (g *Gate) Fixed(a abi.Arch, nr uint32) bool {
	if g.Policy == nil {
		return true
	}
	return g.decides().Fixed(a, nr)
}

// decides is the decider of the gate's policy.
func (g *Gate) decides() *policy.Decider {
	if g.decider == nil {
		g.decider = g.Policy.Decider()
	}
	return g.decider
}
