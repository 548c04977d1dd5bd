package oci

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"monban/abi"
	"monban/bpf"
	"monban/internal/nearest"
	"monban/policy"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// A clause is one name of one rule: the call under a conjunction of tests, no two of them on the same argument.
type clause struct {
	callName
	action policy.Action
	args   []specs.LinuxSeccompArg
}

// clauses takes rules apart. A rule that tests an argument twice becomes one clause a test, as in runc.
func clauses(rules []rule) (all []clause) {
	for _, r := range rules {
		alternatives := [][]specs.LinuxSeccompArg{r.args}
		if repeats(r.args) {
			alternatives = slices.Collect(slices.Chunk(r.args, 1))
		}
		for _, n := range r.names {
			for _, args := range alternatives {
				all = append(all, clause{n, r.action, args})
			}
		}
	}
	return all
}

// maxClauses bounds what a profile may come to once taken apart: real ones have some hundreds.
const maxClauses = 100_000

// count is the number of tests and names that clauses would make of rules.
func count(rules []rule) int {
	n := 0
	for _, r := range rules {
		n += len(r.names) * max(1, len(r.args))
	}
	return n
}

func repeats(args []specs.LinuxSeccompArg) bool {
	var seen [6]bool
	for _, a := range args {
		if seen[a.Index] {
			return true
		}
		seen[a.Index] = true
	}
	return false
}

// addRules turns the profile's rules into the policy's.
func (in *importer) addRules(rules []rule, listed []abi.Arch) {
	in.checkArgs(rules)
	all := clauses(rules)
	in.unknown(all)
	if in.runtime != "" {
		in.runtimeAdds(all, listed)
	}
	// A rule that says what the default says is not a rule to runc: it neither beats nor overlaps others.
	all = slices.DeleteFunc(all, func(c clause) bool { return in.same(c.action, in.policy.Default) })

	always := map[string]clause{} // the deciding unconditional clause of a call
	var plain, conditional []clause
	for _, c := range all {
		if len(c.args) > 0 {
			continue
		}
		if first, ok := always[c.name]; !ok {
			always[c.name] = c
			plain = append(plain, c)
		} else if !in.same(first.action, c.action) {
			in.overlap(first, c, first)
		}
	}
	for _, c := range all {
		if _, beaten := always[c.name]; len(c.args) > 0 && !beaten {
			conditional = append(conditional, c)
		}
	}
	in.overlaps(conditional)
	// What is said of a multiplexer outright holds for all behind it, so it goes first.
	slices.SortStableFunc(plain, func(a, b clause) int { return cmp.Compare(muxRank(a.name), muxRank(b.name)) })
	slices.SortStableFunc(conditional, func(a, b clause) int {
		return a.action.Kind.Compare(b.action.Kind) // as the kernel ranks actions
	})
	for _, c := range append(plain, conditional...) {
		in.emit(c, always)
	}
}

func muxRank(name string) int {
	if name == "socketcall" || name == "ipc" {
		return 0
	}
	return 1
}

func (in *importer) checkArgs(rules []rule) {
	narrow := slices.ContainsFunc(in.policy.Archs, in.lowHalf)
	for _, r := range rules {
		if repeats(r.args) {
			in.report.Repeated = append(in.report.Repeated, in.Pos(r.off))
			in.note(r.off, "this rule tests one argument twice: runtimes take its tests as alternatives, not together")
		}
		for _, a := range r.args {
			switch {
			case a.Op == specs.OpMaskedEqual && a.ValueTwo&^a.Value != 0:
				in.note(r.off, "valueTwo 0x%x has bits outside of the mask 0x%x: libseccomp leaves them out", a.ValueTwo, a.Value)
			case a.Op != specs.OpMaskedEqual && a.Value > math.MaxUint32 && narrow:
				in.note(r.off, "0x%x has more than 32 bits: on 32-bit architectures runtimes compare with 0x%x",
					a.Value, uint32(a.Value))
			}
		}
	}
}

// maxReported bounds what is found out about a hopeless file.
const maxReported = 100

func (in *importer) overlap(a, b, decides clause) {
	if len(in.report.Overlaps) == maxReported {
		return
	}
	in.report.Overlaps = append(in.report.Overlaps, fmt.Sprintf("%s: %s: %s overlaps with %s at %s; the policy takes %s",
		in.Pos(b.off), b.name, b.action, a.action, in.Pos(a.off), decides.action))
}

// unknown reports the names that stand for nothing here.
func (in *importer) unknown(all []clause) {
	seen := map[string]bool{}
	for _, c := range all {
		if seen[c.name] {
			continue
		}
		seen[c.name] = true
		if slices.ContainsFunc(in.policy.Archs, func(a abi.Arch) bool { return exists(a, c.name) }) {
			continue
		}
		in.report.Unknown = append(in.report.Unknown, c.name)
		if abi.Known(c.name) {
			continue
		}
		hint := ""
		if len(in.report.Unknown) <= maxReported {
			hint = nearest.Hint(c.name, abi.Calls())
		}
		in.note(c.off, "Linux has no system call %s on any architecture%s", c.name, hint)
	}
}

func exists(a abi.Arch, call string) bool {
	_, direct := a.Number(call)
	_, behind := a.Mux(call)
	return direct || behind
}

// emit adds the rules that a clause comes to: one for all architectures where they are alike, and else one for those
// of a kind.
func (in *importer) emit(c clause, always map[string]clause) {
	type group struct {
		key   string
		rules []policy.Rule
		archs []abi.Arch
	}
	var groups []group
	for _, a := range in.policy.Archs {
		rules := in.onArch(c, a, always)
		if len(rules) == 0 {
			continue
		}
		key := fmt.Sprintf("%#v", rules)
		i := slices.IndexFunc(groups, func(g group) bool { return g.key == key })
		if i < 0 {
			i = len(groups)
			groups = append(groups, group{key: key, rules: rules})
		}
		groups[i].archs = append(groups[i].archs, a)
	}
	for _, g := range groups {
		for _, r := range g.rules {
			r.Action, r.Pos = in.named(c.action), in.Pos(c.off)
			if len(groups) > 1 || r.Call != c.name {
				r.Archs = g.archs
			}
			in.policy.Rules = append(in.policy.Rules, r)
		}
	}
}

// same reports whether two actions are one on the native architecture, where runc compares them.
func (in *importer) same(a, b policy.Action) bool {
	number := func(a policy.Action) uint16 {
		if n, ok := in.native.Errno(a.Errno); ok {
			return n
		}
		return a.Data
	}
	return a.Kind == b.Kind && number(a) == number(b)
}

// named writes an errno by its name, where the policy's architectures agree on it: the numbers of MIPS and PA-RISC
// differ.
func (in *importer) named(a policy.Action) policy.Action {
	if a.Kind != bpf.Errno || a.Errno != "" {
		return a
	}
	name, ok := in.policy.Archs[0].ErrnoName(a.Data)
	for _, arch := range in.policy.Archs[1:] {
		other, _ := arch.ErrnoName(a.Data)
		ok = ok && other == name
	}
	if !ok {
		return a
	}
	return policy.Action{Kind: bpf.Errno, Errno: name}
}

// onArch says what a clause comes to on one architecture. Like libseccomp it goes through multiplexers: socket is the
// call of that number, with all tests, and also socketcall with 1 as its first argument and the tests of the other
// arguments; those look at socketcall's own arguments, for what they are worth.
func (in *importer) onArch(c clause, a abi.Arch, always map[string]clause) []policy.Rule {
	nr, direct := a.Number(c.name)
	mux, behind := a.Mux(c.name)
	if _, settled := always[mux.Call]; settled {
		behind = false
	}
	var rules []policy.Rule
	if direct {
		rule := policy.Rule{Call: c.name, Cond: in.condition(c.args, a)}
		if behind && rule.Cond == nil {
			// Without a condition the name would reach through the multiplexer by our rules rather than libseccomp's.
			rule = policy.Rule{Cond: policy.Compare{X: policy.Operand{Name: "nr"}, Op: policy.EQ, Y: policy.Num(nr)}}
		}
		rules = append(rules, rule)
	}
	if behind {
		tests := []specs.LinuxSeccompArg{{Index: 0, Value: uint64(mux.Sub), Op: specs.OpEqualTo}}
		for _, t := range c.args {
			if t.Index != 0 {
				tests = append(tests, t)
			}
		}
		rules = append(rules, policy.Rule{Call: mux.Call, Cond: in.condition(tests, a)})
	}
	return rules
}

var relations = map[specs.LinuxSeccompOperator]policy.Op{
	specs.OpEqualTo: policy.EQ, specs.OpNotEqual: policy.NE, specs.OpLessThan: policy.LT, specs.OpLessEqual: policy.LE,
	specs.OpGreaterThan: policy.GT, specs.OpGreaterEqual: policy.GE,
}

// condition is the conjunction of tests on one architecture, nil for none.
func (in *importer) condition(tests []specs.LinuxSeccompArg, a abi.Arch) policy.Expr {
	var and policy.And
	for _, t := range tests {
		x := policy.Operand{Arg: int(t.Index)}
		low := uint64(math.MaxUint64)
		if in.lowHalf(a) {
			low = math.MaxUint32
			if a.Bits() == 64 {
				x.Mask = policy.Num(low)
			}
		}
		op, y := relations[t.Op], t.Value&low
		if t.Op == specs.OpMaskedEqual {
			op, y = policy.EQ, t.ValueTwo&t.Value&low
			if mask := t.Value & low; mask != low || x.Mask != nil {
				x.Mask = policy.Num(mask)
			}
		}
		and = append(and, policy.Compare{X: x, Op: op, Y: policy.Num(y)})
	}
	switch len(and) {
	case 0:
		return nil
	case 1:
		return and[0]
	}
	return and
}

// lowHalf reports whether tests look only at the low 32 bits of arguments and constants: where there are no more, and
// through container runtimes also on x32 and the N32s of MIPS, which have 64-bit registers but are 32-bit architectures
// to libseccomp.
func (in *importer) lowHalf(a abi.Arch) bool {
	return a.Bits() == 32 || in.runtime != "" && a.PointerBits() == 32
}
