package lint

import (
	"slices"
	"strings"

	"monban/abi"
	"monban/bpf"
	"monban/policy"
)

// sourceFindings are those that only the text shows.
func sourceFindings(g meant) []Finding {
	s := newSubject(g, g.Archs[0])
	var out []Finding
	for _, pos := range g.Repeated {
		f := s.found("MB007", "", nil, bpf.Data{Arch: s.arch.Token()})[0]
		f.Pos, f.Archs = pos, g.Archs
		for i := range g.policyRules() {
			if r := &g.Policy.Rules[i]; r.Pos.File == pos.File && r.Pos.Line == pos.Line {
				f.Calls = append(f.Calls, r.Call)
			}
		}
		f.show(s)
		out = append(out, f)
	}
	if g.Unknown != nil {
		f := s.found("MB031", "names that no architecture here has are ignored: "+some(g.Unknown), g.Unknown, bpf.Data{Arch: s.arch.Token()})[0]
		f.Archs = g.Archs
		f.Pos.File = g.Name
		out = append(out, f)
	}
	return append(out, deadRules(g)...)
}

func (g meant) policyRules() []policy.Rule {
	if g.Policy == nil {
		return nil
	}
	return g.Policy.Rules
}

// show makes the first of a finding's calls its witness.
func (f *Finding) show(s *subject) {
	slices.Sort(f.Calls)
	f.Calls = slices.Compact(f.Calls)
	for _, name := range f.Calls {
		if _, nr, ok := s.call(name); ok {
			f.Call.Nr = nr
			f.Action = s.Verdict.At(&f.Call)
			return
		}
	}
}

// deadRules looks for rules without which the gate would mean the same. Of two that say the same, it is the later one. A preset's are
// not the user's to fix.
func deadRules(g meant) []Finding {
	if g.Policy == nil {
		return nil
	}
	d := &dead{meant: g, decider: g.Policy.Decider(), chains: map[number]*policy.Chain{}, speak: map[string]int{}}
	for _, r := range g.Policy.Rules {
		d.speak[r.Call]++
	}
	var shadowed, repeated []int
	for i, r := range slices.Backward(g.Policy.Rules) {
		if r.Pos.Line == 0 || strings.HasPrefix(r.Pos.File, "@") || r.Call == "" || r.Call == "socketcall" || r.Call == "ipc" {
			continue // what reaches through a multiplexer is not looked for
		}
		switch d.reach(i) {
		case unreached:
			shadowed = append(shadowed, i)
		case changesNothing:
			repeated = append(repeated, i)
		}
	}
	slices.Reverse(shadowed)
	slices.Reverse(repeated)
	return append(g.listRules("MB029", shadowed), g.listRules("MB030", repeated)...)
}

// listRules makes one finding of the rules at one place.
func (g meant) listRules(id string, rules []int) (out []Finding) {
	s := newSubject(g, g.Archs[0])
	index := map[policy.Pos]int{}
	for _, i := range rules {
		r := &g.Policy.Rules[i]
		at := policy.Pos{File: r.Pos.File, Line: r.Pos.Line}
		n, ok := index[at]
		if !ok {
			n = len(out)
			index[at] = n
			f := s.found(id, "", nil, bpf.Data{Arch: s.arch.Token()})[0]
			f.Pos, f.Archs = r.Pos, g.Archs
			out = append(out, f)
		}
		out[n].Calls = append(out[n].Calls, r.Call)
	}
	for n := range out {
		e := out[n].Entry
		out[n].Title = e.Title + ": " + g.Policy.Rules[g.ruleAt(out[n].Pos)].Action.String() + " " + some(out[n].Calls)
		out[n].show(s)
	}
	return out
}

func (g meant) ruleAt(pos policy.Pos) int {
	return slices.IndexFunc(g.Policy.Rules, func(r policy.Rule) bool { return r.Pos == pos })
}

// A reached is what becomes of the gate without a rule.
type reached int

const (
	changes        reached = iota // it would mean something else
	changesNothing                // it would mean the same, and the rule's calls get the rule's answer
	unreached                     // it would mean the same, and they get another one
)

// dead looks for rules that decide nothing.
type dead struct {
	meant
	decider *policy.Decider
	chains  map[number]*policy.Chain // nil where the policy is not one: its own reading says so
	speak   map[string]int           // how many rules name a call
}

// A number is a call's on an architecture.
type number struct {
	arch abi.Arch
	nr   uint32
}

func (d *dead) chain(n number) *policy.Chain {
	c, ok := d.chains[n]
	if !ok {
		c, _ = d.decider.Chain(d.Verdict.Space(), n.arch, n.nr)
		d.chains[n] = c
	}
	return c
}

// reach compares the gate's answers to a rule's call with and without the rule, the last rule first.
func (d *dead) reach(i int) reached {
	r := d.Policy.Rules[i]
	related := d.speak[r.Call] + d.speak[""]
	for _, a := range d.Policy.Archs {
		if m, ok := a.Mux(r.Call); ok {
			related += d.speak[m.Call]
		}
	}
	if related == 1 && (r.Cond != nil || r.Action != d.Policy.Default) {
		return changes // nothing else speaks of it
	}
	got := changesNothing
	var on []*policy.Chain
	for _, a := range d.Policy.Archs {
		if len(r.Archs) > 0 && !slices.Contains(r.Archs, a) {
			continue
		}
		for _, nr := range a.Reaching(r.Call) {
			c := d.chain(number{a, nr})
			if c == nil {
				return changes
			}
			if matters, err := c.Matters(i); err != nil || matters {
				return changes
			}
			if do, ok := c.Whole().Constant(); ok && policy.ActionOn(a, do) != r.Action {
				got = unreached
			}
			on = append(on, c)
		}
	}
	for _, c := range on {
		c.Drop(i)
	}
	d.speak[r.Call]--
	return got
}
