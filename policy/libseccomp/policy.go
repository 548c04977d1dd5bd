package libseccomp

import (
	"fmt"
	"slices"

	"monban/abi"
	"monban/bpf"
	"monban/policy"
)

// Policy is what the filter means. Architectures with the same rules share them.
func (b *Builder) Policy() (*policy.Policy, error) {
	if len(b.state.filters) == 0 {
		return nil, fmt.Errorf("the filter has no architecture left: %w", ErrInvalid)
	}
	def := actionOf(bpf.Action(b.state.attrs[AttrActDefault]))
	p := &policy.Policy{Default: def, Unknown: def, BadArch: actionOf(bpf.Action(b.state.attrs[AttrActBadArch])), Compare64: true}
	type group struct {
		rules []policy.Rule
		archs []abi.Arch
	}
	var groups []group
	byText := map[string]int{}
	for _, f := range b.state.filters {
		p.Archs = append(p.Archs, f.arch)
		rules := f.policyRules()
		key := fmt.Sprintf("%#v", rules)
		i, ok := byText[key]
		if !ok {
			i = len(groups)
			byText[key] = i
			groups = append(groups, group{rules: rules})
		}
		groups[i].archs = append(groups[i].archs, f.arch)
	}
	for _, g := range groups {
		for _, r := range g.rules {
			if len(groups) > 1 {
				r.Archs = g.archs
			}
			p.Rules = append(p.Rules, r)
		}
	}
	return p, p.Check()
}

func actionOf(a bpf.Action) policy.Action { return policy.Action{Kind: a &^ 0xffff, Data: uint16(a)} }

// policyRules puts one architecture's rules into an order in which the first that matches is the one that decides.
func (f archFilter) policyRules() []policy.Rule {
	type key struct {
		call string
		nr   uint32
	}
	plain := map[key]int{} // the rule without tests that settles a call
	for i, r := range f.rules {
		if _, ok := plain[key{r.call, r.nr}]; !ok && len(r.tests) == 0 {
			plain[key{r.call, r.nr}] = i
		}
	}
	var always, sometimes []policy.Rule
	for i, r := range f.rules {
		if by, ok := plain[key{r.call, r.nr}]; ok && by != i {
			continue
		}
		for _, rule := range r.on(f.arch) {
			if len(r.tests) == 0 && (rule.Cond == nil || rule.Call == "") {
				always = append(always, rule)
			} else {
				sometimes = append(sometimes, rule)
			}
		}
	}
	slices.SortStableFunc(sometimes, func(x, y policy.Rule) int { return x.Action.Kind.Compare(y.Action.Kind) })
	return append(always, sometimes...)
}

// on is the rule on one architecture: the call of that number, and the same behind a multiplexer.
func (r builtRule) on(a abi.Arch) []policy.Rule {
	var tests policy.And
	for _, t := range r.tests {
		tests = append(tests, t.expr(a))
	}
	do := actionOf(r.action)
	nr, direct := a.Number(r.call)
	mux, behind := a.Mux(r.call)
	var rules []policy.Rule
	switch {
	case r.call == "":
		rules = append(rules, policy.Rule{Action: do, Cond: append(policy.And{isNumber(r.nr)}, tests...)})
	case direct && len(tests) > 0:
		rules = append(rules, policy.Rule{Action: do, Call: r.call, Cond: tests})
	case direct && behind:
		// Named without a condition, the call would be meant behind the multiplexer too, by Monban's reading of that.
		rules = append(rules, policy.Rule{Action: do, Cond: isNumber(nr)})
	case direct:
		rules = append(rules, policy.Rule{Action: do, Call: r.call})
	}
	if behind {
		through := policy.And{Test{Op: TestEQ, A: uint64(mux.Sub)}.expr(a)}
		for _, t := range r.tests {
			if t.Arg != 0 { // the place of the member's number
				through = append(through, t.expr(a))
			}
		}
		rules = append(rules, policy.Rule{Action: do, Call: mux.Call, Cond: through})
	}
	return rules
}

func isNumber(nr uint32) policy.Expr {
	return policy.Compare{X: policy.Operand{Name: "nr"}, Op: policy.EQ, Y: policy.Num(nr)}
}
