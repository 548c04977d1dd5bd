package decompile

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"

	"monban/abi"
	"monban/bpf"
	"monban/policy"
	"monban/verdict"
)

// ErrNotPolicy says that a filter's meaning has no form in the policy language.
const ErrNotPolicy notPolicy = "this filter has no exact form in the policy language"

type notPolicy string

func (e notPolicy) Error() string { return string(e) }

// maxRanges is how many ranges of numbers, or alternatives of a condition, are still worth writing down.
const maxRanges = 4096

// maxDecompiled bounds what a filter is decompiled to; 23 architectures with all their calls are 9,000.
const maxDecompiled = 1 << 16

// maxAnswers is how many answers one call may have.
const maxAnswers = 256

// Policy writes a meaning down as a policy that means exactly the same; this is proven before it is returned. The
// second result names what a policy cannot say but the filter does: architectures that it does not check. The policy is
// then exact on the architectures that it names. Where the meaning is a policy's, like is that policy, whose default
// and unknown are kept; nil has them found. The error is ErrNotPolicy or verdict.ErrTooComplex.
func Policy(file string, v verdict.Verdict, native abi.Arch, like *policy.Policy) (p *policy.Policy, notes []string, err error) {
	err = v.Space().Do(func() (err error) {
		p, notes, err = fromVerdict(file, v, native, like)
		return err
	})
	return p, notes, err
}

func fromVerdict(file string, v verdict.Verdict, native abi.Arch, like *policy.Policy) (*policy.Policy, []string, error) {
	d := &decompiler{v: v, p: &policy.Policy{Name: file}, rules: map[string]*policy.Rule{}}
	notes := d.archs(native)
	d.headers()
	if like != nil {
		d.p.Default, d.p.Unknown = like.Default, like.Unknown
	}
	for _, a := range d.p.Archs {
		if err := d.arch(a); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	d.p.Rules = d.sorted()
	return d.p, notes, d.prove(len(notes) == 0)
}

type decompiler struct {
	v       verdict.Verdict
	p       *policy.Policy
	on      map[abi.Arch]verdict.Verdict // what each architecture's numbers get
	plain   map[abi.Arch]bool            // architectures of which no call passes: a few ranges of numbers say it all
	rules   map[string]*policy.Rule      // by what they print as
	order   []string
	written int // rules, on all architectures
}

// numeric is the language's action, with errno values by name where the name means the same on every architecture of
// use.
func numeric(a abi.Arch, do bpf.Action) policy.Action { return policy.ActionOn(a, do) }

// arch writes the rules of one architecture.
func (d *decompiler) arch(a abi.Arch) error {
	known := map[uint32]bool{}
	if d.plain[a] {
		return d.numbers(a, known, true)
	}
	for nr, call := range a.Calls() {
		known[nr] = true
		leaf := d.on[a].Restrict(verdict.Nr, nr)
		// A multiplexer is spelled out where rules for its members would reach through it.
		whole := (call == "socketcall" || call == "ipc") && d.reaches(a, call)
		if err := d.leaf(a, call, nil, leaf, d.p.Default, whole); err != nil {
			return err
		}
	}
	return d.numbers(a, known, false)
}

// reaches says whether there will be rules for calls that can also be reached through a multiplexer.
func (d *decompiler) reaches(a abi.Arch, mux string) bool {
	def, err := d.p.Default.On(a)
	if err != nil {
		return true
	}
	for nr, call := range a.Calls() {
		if m, ok := a.Mux(call); ok && m.Call == mux {
			if do, ok := d.on[a].Restrict(verdict.Nr, nr).Constant(); !ok || do != def.Canonical() {
				return true
			}
		}
	}
	return false
}

// numbers writes rules for numbers that have no name; all of them where every is true, else those that are not answered
// as unknown.
func (d *decompiler) numbers(a abi.Arch, known map[uint32]bool, every bool) error {
	unknown, err := d.p.Unknown.On(a)
	if err != nil {
		return err
	}
	lo, hi := a.Numbers()
	sets := map[verdict.Node][]policy.Range{}
	var order []verdict.Verdict
	spans, few := d.on[a].SpansUpTo(verdict.Nr, maxRanges)
	if !few {
		return fmt.Errorf("%w: it tells more than %d ranges of call numbers apart", ErrNotPolicy, maxRanges)
	}
	for _, s := range spans {
		if do, ok := s.Then.Constant(); ok && !every && do == unknown.Canonical() || s.Hi < lo || s.Lo > hi {
			continue
		}
		for _, r := range without(known, max(s.Lo, lo), min(s.Hi, hi)) {
			if len(sets[s.Then.Node()]) == 0 {
				order = append(order, s.Then)
			}
			sets[s.Then.Node()] = append(sets[s.Then.Node()], r)
		}
	}
	for _, leaf := range order {
		among := policy.In{X: policy.Operand{Name: "nr"}, Set: sets[leaf.Node()]}
		if err := d.leaf(a, "", among, leaf, d.p.Unknown, every); err != nil {
			return err
		}
	}
	return nil
}

// without lists lo..hi without the known numbers.
func without(known map[uint32]bool, lo, hi uint32) []policy.Range {
	var out []policy.Range
	add := func(lo, hi uint32) {
		if lo <= hi {
			r := policy.Range{Lo: policy.Num(lo)}
			if hi != lo {
				r.Hi = policy.Num(hi)
			}
			out = append(out, r)
		}
	}
	start := lo
	for _, nr := range slices.Sorted(maps.Keys(known)) {
		if nr < start || nr > hi {
			continue
		}
		if nr > start {
			add(start, nr-1)
		}
		if start = nr + 1; start == 0 {
			return out
		}
	}
	add(start, hi)
	return out
}

// leaf writes the rules for one call, or for the numbers under a condition: one for each action but otherwise.
func (d *decompiler) leaf(a abi.Arch, call string, among policy.Expr, leaf verdict.Verdict, otherwise policy.Action, whole bool) error {
	els, err := otherwise.On(a)
	if err != nil {
		return err
	}
	actions := slices.SortedFunc(leaf.Actions(), func(x, y bpf.Action) int { return cmp.Compare(int32(y), int32(x)) })
	if len(actions) > maxAnswers {
		return fmt.Errorf("%w that a person could read: it answers one call in %d ways", ErrNotPolicy, len(actions))
	}
	last := els.Canonical()
	if !slices.Contains(actions, last) {
		last = actions[len(actions)-1]
	}
	var rules []policy.Rule
	for _, do := range actions {
		if do == last {
			continue
		}
		cond, err := d.condition(a, call, leaf.Space(), leaf.Space().When(leaf, do))
		if err != nil {
			return err
		}
		if among != nil {
			cond = policy.And{among, cond}
		}
		rules = append(rules, policy.Rule{Action: numeric(a, do), Call: call, Cond: cond})
	}
	if last != els.Canonical() || whole {
		rules = append(rules, policy.Rule{Action: numeric(a, last), Call: call, Cond: among})
	}
	if len(rules) > 0 {
		if d.written += len(rules); d.written > maxDecompiled {
			return fmt.Errorf("%w that a person could read: it takes more than %d rules", ErrNotPolicy, maxDecompiled)
		}
		d.add(a, rules)
	}
	return nil
}

// add records a call's rules on one architecture; the same rules on several become one entry.
func (d *decompiler) add(a abi.Arch, rules []policy.Rule) {
	together := ""
	if len(rules) > 1 {
		// Rules that belong together stay together: the key stands for them all.
		h := sha256.New()
		for _, o := range rules {
			fmt.Fprintf(h, "%s%s\n", o.String(), o.Action)
		}
		together = string(h.Sum(nil))
	}
	for i, r := range rules {
		key := fmt.Sprintf("%s %04d %s %s %s", r.Call, i, r.Action, r.String(), together)
		if old, ok := d.rules[key]; ok {
			old.Archs = append(old.Archs, a)
			continue
		}
		r.Archs = []abi.Arch{a}
		d.rules[key] = &r
		d.order = append(d.order, key)
	}
}

// sorted puts the rules into reading order: multiplexers and conditions first, where they must be, then plain lists by
// action.
func (d *decompiler) sorted() []policy.Rule {
	slices.Sort(d.order)
	// A call with conditions keeps all of its rules together and in order.
	conditional := map[string]bool{}
	for _, k := range d.order {
		if r := d.rules[k]; r.Cond != nil || r.Call == "socketcall" || r.Call == "ipc" {
			conditional[r.Call] = true
		}
	}
	rank := func(r *policy.Rule) int {
		switch {
		case r.Call == "" && d.plain[r.Archs[0]]:
			return -1
		case r.Call == "socketcall", r.Call == "ipc":
			return 0
		case conditional[r.Call] && r.Call != "":
			return 1
		case r.Call != "":
			return 2
		}
		return 3
	}
	slices.SortStableFunc(d.order, func(x, y string) int {
		a, b := d.rules[x], d.rules[y]
		if c := cmp.Compare(rank(a), rank(b)); c != 0 {
			return c
		}
		if rank(a) != 2 {
			return 0
		}
		return cmp.Or(b.Action.Kind.Compare(a.Action.Kind), cmp.Compare(a.Action.String(), b.Action.String()),
			-cmp.Compare(len(a.Archs), len(b.Archs)), cmp.Compare(abi.Join(a.Archs, ","), abi.Join(b.Archs, ",")), strings.Compare(a.Call, b.Call))
	})
	var rules []policy.Rule
	for _, k := range d.order {
		r := *d.rules[k]
		if d.everywhere(&r) {
			r.Archs = nil
		}
		rules = append(rules, r)
	}
	return rules
}

// everywhere says that a rule holds on all of the policy's architectures that have its call's number.
func (d *decompiler) everywhere(r *policy.Rule) bool {
	for _, a := range d.p.Archs {
		if slices.Contains(r.Archs, a) {
			continue
		}
		if d.plain[a] && !d.plain[r.Archs[0]] {
			// Something before it decides there, but it is read all the same: its arguments may have other widths, or
			// no names.
			whole := *r
			whole.Archs = nil
			if (&policy.Policy{Name: d.p.Name, Archs: []abi.Arch{a}, Rules: []policy.Rule{whole}}).Check() != nil {
				return false
			}
			continue
		}
		if _, ok := a.Number(r.Call); ok || r.Call == "" {
			return false
		}
	}
	return true
}

// prove compares the policy with what it was made from.
func (d *decompiler) prove(whole bool) error {
	if err := d.p.Check(); err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n")
		return fmt.Errorf("%w: what comes nearest cannot be read back: %s", ErrNotPolicy, first)
	}
	got, err := d.p.Verdict(d.v.Space())
	if err != nil {
		return err
	}
	want := d.v
	if !whole {
		// Only the architectures that the policy names were claimed.
		for _, a := range d.p.Archs {
			if g, w := got.Restrict(verdict.Arch, a.Token()), want.Restrict(verdict.Arch, a.Token()); g != w {
				got, want = g, w
				break
			} else if a == d.p.Archs[len(d.p.Archs)-1] {
				return nil
			}
		}
	}
	if got != want {
		w := verdict.Differences(want, got)[0]
		return fmt.Errorf("%w: %s became %s for arch %#x nr %d args %#x", ErrNotPolicy, w.A, w.B, w.Data.Arch, w.Data.Nr, w.Data.Args)
	}
	return nil
}
