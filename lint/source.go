package lint

import (
	"slices"
	"strings"

	"monban/bpf"
	"monban/policy"
)

// sourceFindings are those that only the text shows.
func sourceFindings(g *Gate) []Finding {
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
		f := s.found("MB031", "names that no architecture here has were passed over: "+some(g.Unknown), g.Unknown, bpf.Data{Arch: s.arch.Token()})[0]
		f.Archs = g.Archs
		f.Pos.File = g.Policy.Name
		out = append(out, f)
	}
	return append(out, deadRules(g)...)
}

func (g *Gate) policyRules() []policy.Rule {
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
// not the user's to mend.
func deadRules(g *Gate) []Finding {
	byCall := map[string][]int{}
	for i, r := range g.policyRules() {
		byCall[r.Call] = append(byCall[r.Call], i)
	}
	var shadowed, repeated []int
	for i, r := range slices.Backward(g.policyRules()) {
		if r.Pos.Line == 0 || strings.HasPrefix(r.Pos.File, "@") || r.Call == "" || r.Call == "socketcall" || r.Call == "ipc" {
			continue // what reaches through a multiplexer is not looked for
		}
		found := g.reach(i, byCall)
		switch found {
		case unreached:
			shadowed = append(shadowed, i)
		case changesNothing:
			repeated = append(repeated, i)
		}
		if found != changes {
			byCall[r.Call] = slices.DeleteFunc(byCall[r.Call], func(j int) bool { return j == i })
		}
	}
	slices.Reverse(shadowed)
	slices.Reverse(repeated)
	return append(g.listRules("MB029", shadowed), g.listRules("MB030", repeated)...)
}

// listRules makes one finding of the rules at one place.
func (g *Gate) listRules(id string, rules []int) (out []Finding) {
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

func (g *Gate) ruleAt(pos policy.Pos) int {
	return slices.IndexFunc(g.Policy.Rules, func(r policy.Rule) bool { return r.Pos == pos })
}

// A reached is what becomes of the gate without a rule.
type reached int

const (
	changes        reached = iota // it would mean something else
	changesNothing                // it would mean the same, and the rule's calls get the rule's answer
	unreached                     // it would mean the same, and they get another one
)

// reach compares the gate's answers to a rule's call with and without the rule. Only the rules that speak of the call matter, and
// those for any number.
func (g *Gate) reach(i int, byCall map[string][]int) reached {
	r := g.Policy.Rules[i]
	related := append(slices.Clone(byCall[r.Call]), byCall[""]...)
	for _, a := range g.Policy.Archs {
		if m, ok := a.Mux(r.Call); ok {
			related = append(related, byCall[m.Call]...)
		}
	}
	if len(related) == 1 && (r.Cond != nil || r.Action != g.Policy.Default) {
		return changes // nothing else speaks of it
	}
	slices.Sort(related)
	related = slices.Compact(related)
	small := *g.Policy
	small.Rules = nil
	without := small
	for _, j := range related {
		small.Rules = append(small.Rules, g.Policy.Rules[j])
		if j != i {
			without.Rules = append(without.Rules, g.Policy.Rules[j])
		}
	}
	space := g.Verdict.Space()
	with, less := small.Decider(), without.Decider()
	got := changesNothing
	for _, a := range g.Policy.Archs {
		if len(r.Archs) > 0 && !slices.Contains(r.Archs, a) {
			continue
		}
		for _, nr := range a.Reaching(r.Call) {
			x, err := with.Meaning(space, a, nr)
			if err != nil {
				return changes // the policy is not one: its own reading says so
			}
			if y, err := less.Meaning(space, a, nr); err != nil || x != y {
				return changes
			}
			if do, ok := x.Constant(); ok && policy.ActionOn(a, do) != r.Action {
				got = unreached
			}
		}
	}
	return got
}
