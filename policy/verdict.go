package policy

import (
	"cmp"
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"monban/abi"
	"monban/bpf"
	"monban/verdict"
)

// Check resolves every name of the policy on every architecture that it speaks for. Errors are of type *Error, joined.
func (p *Policy) Check() error {
	var errs []error
	if len(p.Archs) == 0 {
		errs = append(errs, errNoArch(p.Name))
	}
	for _, a := range p.Archs {
		for i := range p.Rules {
			r := &p.Rules[i]
			if r.Cond == nil && r.Action.Errno == "" || !r.on(a) {
				continue // nothing in it can be wrong
			}
			if _, _, err := p.bind(a, r); err != nil {
				errs = append(errs, err)
			}
		}
	}
	return firstOf(errs)
}

func errNoArch(name string) error {
	return errorf(Pos{File: name}, "a policy must speak for at least one architecture")
}

// firstOf joins errors, each text once: the same mistake shows on every architecture.
func firstOf(errs []error) error {
	seen := map[string]bool{}
	return errors.Join(slices.DeleteFunc(errs, func(e error) bool {
		dup := seen[e.Error()]
		seen[e.Error()] = true
		return dup
	})...)
}

// ByteOrder is the one byte order of the policy's architectures.
func (p *Policy) ByteOrder() (binary.ByteOrder, error) {
	if len(p.Archs) == 0 {
		return nil, errNoArch(p.Name)
	}
	order := p.Archs[0].ByteOrder()
	for _, a := range p.Archs[1:] {
		if a.ByteOrder() != order {
			return nil, typed(Pos{File: p.Name}, &OrderError{p.Archs[0], a})
		}
	}
	return order, nil
}

// A clause is a rule on one architecture: the number that it is about, or any, and its condition.
type clause struct {
	nr   uint32
	any  bool
	cond *bound // nil: always
	do   bpf.Action
	rule int // index into Policy.Rules
}

// on resolves the rules for one architecture, in order.
func (p *Policy) on(a abi.Arch) ([]clause, error) {
	clauses := make([]clause, 0, len(p.Rules))
	var errs []error
	for i := range p.Rules {
		r := &p.Rules[i]
		if !r.on(a) {
			continue
		}
		do, cond, err := p.bind(a, r)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		nr, direct := a.Number(r.Call)
		if direct || r.Call == "" {
			clauses = append(clauses, clause{nr, r.Call == "", cond, do, i})
		}
		if r.Cond != nil || r.Call == "" {
			continue
		}
		if mux, ok := a.Mux(r.Call); ok {
			nr, _ := a.Number(mux.Call)
			clauses = append(clauses, clause{nr, false, muxCondition(mux), do, i})
		}
	}
	return clauses, firstOf(errs)
}

// on says whether the rule speaks for an architecture: one that it is for, and that has its call.
func (r *Rule) on(a abi.Arch) bool {
	if len(r.Archs) > 0 && !slices.Contains(r.Archs, a) {
		return false
	}
	return r.Call == "" || len(a.Reaching(r.Call)) > 0
}

// bind gives a rule's action and condition their meaning on one architecture.
func (p *Policy) bind(a abi.Arch, r *Rule) (do bpf.Action, cond *bound, err error) {
	if do, err = r.Action.on(a, r.Pos); err != nil || r.Cond == nil {
		return do, nil, err
	}
	b := binder{arch: a, call: r.Call, wide: p.Compare64}
	c, err := b.bind(r.Cond)
	return do, &c, err
}

// muxCondition is "this is that member of the multiplexer". ipc takes a version in the upper half of its first argument
// and ignores it here (ipc/syscall.c).
func muxCondition(m abi.Mux) *bound {
	f := verdict.Field{Lo: verdict.ArgLo(0), Bits: 32, Mask: 0xffffffff}
	if m.Call == "ipc" {
		f.Mask = 0xffff
	}
	return &bound{kind: boundCompare, field: f, op: verdict.EQ, c: uint64(m.Sub), word: func(d *bpf.Data) uint64 { return d.Args[0] }}
}

// on is the action's number on one architecture.
func (a Action) on(arch abi.Arch, pos Pos) (bpf.Action, error) {
	if a.Errno == "" {
		return a.Kind | bpf.Action(a.Data), nil
	}
	n, ok := arch.Errno(a.Errno)
	if !ok {
		return 0, errorf(pos, "errno %s is not known on %s", a.Errno, arch)
	}
	return a.Kind | bpf.Action(n), nil
}

// Verdict is the exact meaning of the policy. Errors are of type *Error, or verdict.ErrTooComplex.
func (p *Policy) Verdict(s *verdict.Space) (verdict.Verdict, error) {
	return verdict.Exact(s, func() (verdict.Verdict, error) { return p.verdict(s) })
}

func (p *Policy) verdict(s *verdict.Space) (verdict.Verdict, error) {
	if len(p.Archs) == 0 {
		return verdict.Verdict{}, errNoArch(p.Name)
	}
	byToken := map[uint32]verdict.Node{}
	for _, a := range p.Archs {
		n, err := p.node(s, a)
		if err != nil {
			return verdict.Verdict{}, err
		}
		bad, err := p.BadArch.on(a, Pos{File: p.Name})
		if err != nil {
			return verdict.Verdict{}, err
		}
		other, ok := byToken[a.Token()]
		if !ok {
			other = s.Action(bad)
		}
		byToken[a.Token()] = s.If(s.Numbers(a), n, other)
	}
	var cases []verdict.Case
	for _, token := range slices.Sorted(maps.Keys(byToken)) {
		cases = append(cases, verdict.Case{Lo: token, Hi: token, Then: byToken[token]})
	}
	bad, err := p.BadArch.on(p.Archs[0], Pos{File: p.Name})
	if err != nil {
		return verdict.Verdict{}, err
	}
	return s.Verdict(s.Patch(verdict.Arch, cases, s.Action(bad))), nil
}

// node is the policy's answer to the calls of one architecture, built from the last rule to the first.
func (p *Policy) node(s *verdict.Space, a abi.Arch) (verdict.Node, error) {
	clauses, err := p.on(a)
	if err != nil {
		return verdict.False, err
	}
	n, err := p.base(s, a)
	if err != nil {
		return verdict.False, err
	}
	for end := len(clauses); end > 0; {
		if c := &clauses[end-1]; c.any {
			n = s.If(c.cond.node(s), s.Action(c.do), n)
			end--
			continue
		}
		start := end - 1
		for start > 0 && !clauses[start-1].any {
			start--
		}
		n = block(s, clauses[start:end], n)
		end = start
	}
	return n, nil
}

// block puts a run of clauses about single calls before what follows them.
func block(s *verdict.Space, clauses []clause, after verdict.Node) verdict.Node {
	sorted := slices.Clone(clauses)
	slices.SortFunc(sorted, func(x, y clause) int { return cmp.Or(cmp.Compare(x.nr, y.nr), cmp.Compare(x.rule, y.rule)) })
	var cases []verdict.Case
	for i := 0; i < len(sorted); {
		j := i
		for j < len(sorted) && sorted[j].nr == sorted[i].nr {
			j++
		}
		nr := sorted[i].nr
		n := s.Verdict(after).Restrict(verdict.Nr, nr).Node()
		for _, c := range slices.Backward(sorted[i:j]) {
			n = s.If(c.cond.node(s), s.Action(c.do), n)
		}
		cases = append(cases, verdict.Case{Lo: nr, Hi: nr, Then: n})
		i = j
	}
	return s.Patch(verdict.Nr, cases, after)
}

// base is the answer where no rule matches: default for the calls of the policy's table, unknown for all other numbers.
func (p *Policy) base(s *verdict.Space, a abi.Arch) (verdict.Node, error) {
	def, err := p.Default.on(a, Pos{File: p.Name})
	if err != nil {
		return verdict.False, err
	}
	unknown, err := p.Unknown.on(a, Pos{File: p.Name})
	if err != nil {
		return verdict.False, err
	}
	var cases []verdict.Case
	for nr, call := range a.Calls() {
		if !p.knows(a, call) {
			continue
		}
		if n := len(cases); n > 0 && cases[n-1].Hi+1 == nr {
			cases[n-1].Hi = nr
			continue
		}
		cases = append(cases, verdict.Case{Lo: nr, Hi: nr, Then: s.Action(def)})
	}
	return s.Patch(verdict.Nr, cases, s.Action(unknown)), nil
}

// knows says whether the table that the policy was written against has the call.
func (p *Policy) knows(a abi.Arch, call string) bool {
	if p.Kernel.IsZero() {
		return true
	}
	since, ok := a.Since(call)
	return !ok || since.Compare(p.Kernel) <= 0
}

// For is the policy cut down to the architectures that a machine's kernel can run: on others no call can come.
func (p *Policy) For(native abi.Arch) (*Policy, error) {
	family := native.Family()
	q := *p
	q.Archs = slices.DeleteFunc(slices.Clone(p.Archs), func(a abi.Arch) bool { return !slices.Contains(family, a) })
	if !slices.Contains(q.Archs, native) {
		return nil, errorf(Pos{File: p.Name}, "the gate speaks for %s, and this machine is %s: add it to the arch header", abi.Join(p.Archs, ", "), native)
	}
	return &q, nil
}
