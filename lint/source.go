package lint

import (
	"slices"
	"strings"

	"monban/abi"
	"monban/bpf"
	"monban/policy"
)

// repeatedArgument is what the reader of a profile noticed.
func repeatedArgument(s *subject) (out []Finding) {
	for _, pos := range s.Repeated {
		f := s.found("", nil, bpf.Data{Arch: s.arch.Token()})[0]
		f.Pos = pos
		for i := range s.policyRules() {
			if r := &s.Policy.Rules[i]; r.Pos.File == pos.File && r.Pos.Line == pos.Line {
				f.Calls = append(f.Calls, r.Call)
			}
		}
		f.show(s)
		out = append(out, f)
	}
	return out
}

// unknownNames is likewise.
func unknownNames(s *subject) []Finding {
	if s.Unknown == nil {
		return nil
	}
	out := s.found(": "+some(s.Unknown), s.Unknown, bpf.Data{Arch: s.arch.Token()})
	out[0].Pos.File = s.Name
	return out
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

// idle are rules without which the gate would mean the same, by their place among its rules: what no call reaches, and
// what changes nothing. Of two that say the same, it is the later one. A preset's are not the user's to fix.
type idle struct{ shadowed, repeated []int }

func shadowed(s *subject) []Finding { return s.listRules(s.idleRules().shadowed) }
func repeated(s *subject) []Finding { return s.listRules(s.idleRules().repeated) }

func (s *subject) idleRules() *idle {
	if s.idle != nil {
		return s.idle
	}
	s.idle = &idle{}
	if s.Policy == nil {
		return s.idle
	}
	d := &dead{meant: s.meant, decider: s.Policy.Decider(), chains: map[number]*policy.Chain{}, speak: map[string]int{}}
	for _, r := range s.Policy.Rules {
		d.speak[r.Call]++
	}
	for i, r := range slices.Backward(s.Policy.Rules) {
		if r.Pos.Line == 0 || strings.HasPrefix(r.Pos.File, "@") || r.Call == "" || r.Call == "socketcall" || r.Call == "ipc" {
			continue // what reaches through a multiplexer is not looked for
		}
		switch d.reach(i) {
		case unreached:
			s.idle.shadowed = append(s.idle.shadowed, i)
		case changesNothing:
			s.idle.repeated = append(s.idle.repeated, i)
		}
	}
	slices.Reverse(s.idle.shadowed)
	slices.Reverse(s.idle.repeated)
	return s.idle
}

// listRules makes one finding of the rules on one line.
func (s *subject) listRules(rules []int) (out []Finding) {
	index := map[policy.Pos]int{}
	left := map[policy.Pos]int{} // how many rules of an item are not among these
	for i := range s.policyRules() {
		left[s.Policy.Rules[i].Pos]++
	}
	for _, i := range rules {
		r := &s.Policy.Rules[i]
		at := policy.Pos{File: r.Pos.File, Line: r.Pos.Line}
		n, ok := index[at]
		if !ok {
			n = len(out)
			index[at] = n
			f := s.found("", nil, bpf.Data{Arch: s.arch.Token()})[0]
			f.Pos = r.Pos
			out = append(out, f)
		}
		out[n].Calls = append(out[n].Calls, r.Call)
		if left[r.Pos]--; left[r.Pos] == 0 {
			out[n].idle = append(out[n].idle, r.Pos)
		}
	}
	for n := range out {
		out[n].Title = ": " + s.Policy.Rules[s.ruleAt(out[n].Pos)].Action.String() + " " + some(out[n].Calls)
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
