package lang

import (
	"slices"
	"strings"

	"monban/abi"
	"monban/internal/nearest"
	"monban/policy"
)

// A pending line is resolved once all headers are known: groups depend on kernel, existence on arch.
type pending struct {
	line   *Rules
	wide   bool
	preset bool // it speaks for all architectures there are: what one of them lacks is not a mistake
}

// rules spells out groups: one rule a call.
func (l *loader) rules() {
	allWide := true
	items := 0
	for _, p := range l.pending {
		items += len(p.line.Items)
	}
	l.p.Rules = slices.Grow(l.p.Rules, items)
	for _, p := range l.pending {
		on := l.archs(p.line.On)
		if i := slices.IndexFunc(p.line.On, func(a Arg) bool { return a.Quoted }); i >= 0 {
			l.errorf(p.line.On[i].Pos, "%q is in quotes", p.line.On[i].Text) // the parser makes no such line
		}
		optional := false
		for _, it := range p.line.Items {
			if len(l.errs) >= maxShown {
				return
			}
			if len(l.p.Rules) > maxRules {
				l.errorf(it.Pos, "the policy has more than %d rules", maxRules)
				return
			}
			optional = optional || it.Optional
			r := policy.Rule{Action: p.line.Do.Action, Call: it.Name, Archs: on, Optional: optional, Pos: it.Pos}
			if it.Cond != nil {
				if err := it.unreadable(); err != nil {
					l.errs = append(l.errs, err)
					continue
				}
				r.Cond = it.Cond.expr
				allWide = allWide && p.wide
			}
			if p.wide {
				r.Cond = atWidth(r.Cond, true)
			}
			switch {
			case strings.HasPrefix(it.Name, "@"):
				names, ok := abi.Group(it.Name, l.p.Kernel)
				if !ok {
					l.unknownGroup(it)
					continue
				}
				r.Optional = true
				for _, n := range names {
					r.Call = n
					l.p.Rules = append(l.p.Rules, r)
				}
				continue
			case it.Name == anyCall:
				r.Call = ""
			case !abi.Known(it.Name):
				l.unknown(it, "unknown system call "+it.Name, append(abi.Calls(), anyCall))
				continue
			case !r.Optional && !p.preset:
				l.exists(r)
			}
			l.p.Rules = append(l.p.Rules, r)
		}
	}
	l.p.Compare64 = l.p.Compare64 && allWide
}

// unreadable is what is wrong with a condition that was built: the parser makes none such.
func (it *Item) unreadable() error {
	switch {
	case it.Cond.err != nil:
		return it.Cond.err
	case it.Cond.expr == nil:
		return errorf(it.Pos, "the condition of %s is empty", it.Name)
	case strings.HasPrefix(it.Name, "@"):
		return errorf(it.Pos, "a condition belongs to one call, not to the group %s", it.Name)
	}
	return nil
}

// unknown reports a name that is none, and what it may have been meant to be.
func (l *loader) unknown(it Item, msg string, among []string) {
	end := it.Pos
	end.Col += len(it.Name)
	l.errs = append(l.errs, &policy.Error{Pos: it.Pos, End: end, Msg: msg, Near: nearest.Word(it.Name, among)})
}

func (l *loader) unknownGroup(it Item) {
	if _, err := presetSource(it.Name); err == nil {
		l.errorf(it.Pos, "%s is a preset, not a group: write include %s", it.Name, it.Name)
		return
	}
	l.unknown(it, "unknown group "+it.Name, abi.Groups())
}

// exists reports a rule for a call that none of the policy's architectures has.
func (l *loader) exists(r policy.Rule) {
	archs := r.On(l.p)
	for _, a := range archs {
		if hasCall(a, r.Call) {
			return
		}
	}
	if len(archs) == 0 && len(r.Archs) > 0 {
		return // a line for architectures that this policy, or this machine, is not about
	}
	var on []string
	for _, a := range abi.Archs() {
		if hasCall(a, r.Call) {
			on = append(on, a.String())
		}
	}
	if len(on) > 4 {
		on = append(on[:4], "…")
	}
	l.errorf(r.Pos, "%s does not exist on %s, only on %s: write optional %s to pass over it", r.Call, abi.Join(archs, ", "), strings.Join(on, ", "), r.Call)
}

func hasCall(a abi.Arch, call string) bool { return len(a.Reaching(call)) > 0 }

// atWidth is the condition with every comparison at full register width, or at its argument's own.
func atWidth(e policy.Expr, wide bool) policy.Expr {
	all := func(es []policy.Expr) []policy.Expr {
		out := make([]policy.Expr, len(es))
		for i, e := range es {
			out[i] = atWidth(e, wide)
		}
		return out
	}
	switch e := e.(type) {
	case policy.And:
		return policy.And(all(e))
	case policy.Or:
		return policy.Or(all(e))
	case policy.Not:
		return policy.Not{X: atWidth(e.X, wide)}
	case policy.Compare:
		e.X.Wide = wide
		return e
	case policy.In:
		e.X.Wide = wide
		return e
	}
	return e
}
