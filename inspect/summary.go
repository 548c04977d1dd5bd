package inspect

import (
	"cmp"
	"math"
	"slices"

	"monban/abi"
	"monban/bpf"
	"monban/policy/decompile"
	"monban/verdict"
)

// A Call is what a gate does with one call of an architecture.
type Call struct {
	Name    string
	Number  uint32
	Purpose string
	Cases   []Case // one where the arguments do not matter; else the most permissive first
}

// A Case is one answer to a call.
type Case struct {
	Action bpf.Action
	When   string // a condition of the policy language, or ""; [Unreadable] where it has no form that a person could read
}

// Depends says that the arguments decide.
func (c *Call) Depends() bool { return len(c.Cases) > 1 }

// Passes says how much of the call passes: always, sometimes or never.
func (c *Call) Passes() Extent {
	n := 0
	for _, k := range c.Cases {
		if k.Action.Passes() {
			n++
		}
	}
	switch n {
	case 0:
		return Never
	case len(c.Cases):
		return Always
	}
	return Sometimes
}

// An Extent is how much of a call something is true of.
type Extent int

// Extents, in ascending order.
const (
	Never Extent = iota
	Sometimes
	Always
)

// A Summary is what a gate does on one architecture.
type Summary struct {
	Arch  abi.Arch
	Calls []Call // all that the architecture has, by number
	// Numbers that no call has get these answers; the commonest comes first.
	Unknown []bpf.Action
}

// Summarise sorts a verdict's answers to the calls of an architecture. The error is verdict.ErrTooComplex.
func Summarise(v verdict.Verdict, a abi.Arch) (*Summary, error) {
	return verdict.Exact(v.Space(), func() (*Summary, error) { return summarise(v, a), nil })
}

func summarise(v verdict.Verdict, a abi.Arch) *Summary {
	s := &Summary{Arch: a}
	own := v.Restrict(verdict.Arch, a.Token())
	for nr, name := range a.Calls() {
		c := Call{Name: name, Number: nr, Purpose: Purpose(name)}
		c.Cases = answers(a, name, own.Restrict(verdict.Nr, nr))
		s.Calls = append(s.Calls, c)
	}
	s.Unknown = unknown(own, a)
	return s
}

// cases are the answers to a call whose arguments decide.
func cases(a abi.Arch, call string, left verdict.Verdict) []Case {
	var out []Case
	outcomes, err := decompile.Outcomes(a, call, left)
	if err != nil {
		for _, do := range slices.SortedFunc(left.Actions(), func(x, y bpf.Action) int { return cmp.Compare(int32(y), int32(x)) }) {
			out = append(out, Case{do, Unreadable})
		}
		return out
	}
	for _, o := range outcomes {
		out = append(out, Case{o.On, o.Cond.String()})
	}
	return out
}

// unknown are the answers to the numbers that no call of a has, that to most of them first.
func unknown(own verdict.Verdict, a abi.Arch) []bpf.Action {
	lo, hi := a.Numbers()
	var others []verdict.Case // numbers that are somebody's
	if lo > 0 {
		others = append(others, verdict.Case{Lo: 0, Hi: lo - 1})
	}
	for nr := range a.Calls() {
		if lo <= nr && nr <= hi {
			others = append(others, verdict.Case{Lo: nr, Hi: nr})
		}
	}
	if hi < math.MaxUint32 {
		others = append(others, verdict.Case{Lo: hi + 1, Hi: math.MaxUint32})
	}
	count := map[bpf.Action]uint64{}
	for _, leaf := range own.Without(verdict.Nr, others) {
		for do := range leaf.Then.Actions() {
			count[do] += leaf.Count
		}
	}
	var out []bpf.Action
	for do := range count {
		out = append(out, do)
	}
	slices.SortFunc(out, func(x, y bpf.Action) int {
		return cmp.Or(cmp.Compare(count[y], count[x]), cmp.Compare(uint32(x), uint32(y)))
	})
	return out
}

// maxSpans bounds how many ranges of numbers are looked at one by one.
const maxSpans = 1 << 16

// Passing counts the calls that always and sometimes pass.
func (s *Summary) Passing() (always, sometimes int) {
	for i := range s.Calls {
		switch s.Calls[i].Passes() {
		case Always:
			always++
		case Sometimes:
			sometimes++
		}
	}
	return always, sometimes
}

// A Group is the calls that always get one answer, by what they are for.
type Group struct {
	Action bpf.Action
	By     []ByPurpose
	Total  int
}

// ByPurpose is one purpose's calls, in order of number.
type ByPurpose struct {
	Purpose string
	Calls   []string
}

// Groups are the answers that do not depend on arguments, the most permissive first.
func (s *Summary) Groups() []Group {
	byAction := map[bpf.Action]map[string][]string{}
	for i := range s.Calls {
		c := &s.Calls[i]
		if c.Depends() {
			continue
		}
		do := c.Cases[0].Action
		if byAction[do] == nil {
			byAction[do] = map[string][]string{}
		}
		byAction[do][c.Purpose] = append(byAction[do][c.Purpose], c.Name)
	}
	var out []Group
	for do, by := range byAction {
		g := Group{Action: do}
		for _, p := range Purposes() {
			if calls := by[p]; calls != nil {
				g.By = append(g.By, ByPurpose{p, calls})
				g.Total += len(calls)
			}
		}
		out = append(out, g)
	}
	slices.SortFunc(out, func(x, y Group) int { return cmp.Compare(int32(y.Action), int32(x.Action)) })
	return out
}

// Against are the calls that pass at one gate and not at another, each with the condition where it is not all of the call.
type Against struct {
	More, Fewer []Partly
	Equal       bool // every call gets the same answers, refused ones included
}

// Partly is a call, and when.
type Partly struct {
	Call string
	When string // "": always
}

// Compare tells what passes at v and not at w, and the reverse, on one architecture. Both must live in the same space. The error is
// verdict.ErrTooComplex.
func Compare(v, w verdict.Verdict, a abi.Arch) (Against, error) {
	return verdict.Exact(v.Space(), func() (Against, error) { return compare(v, w, a), nil })
}

func compare(v, w verdict.Verdict, a abi.Arch) Against {
	s := v.Space()
	x, y := v.Restrict(verdict.Arch, a.Token()), w.Restrict(verdict.Arch, a.Token())
	out := Against{Equal: true}
	for nr, name := range a.Calls() {
		l, r := x.Restrict(verdict.Nr, nr), y.Restrict(verdict.Nr, nr)
		if l == r {
			continue
		}
		out.Equal = false
		p, q := l.Where(bpf.Action.Passes), r.Where(bpf.Action.Passes)
		if n := s.And(p, s.Not(q)); n != verdict.False {
			out.More = append(out.More, partly(a, name, s, n))
		}
		if n := s.And(q, s.Not(p)); n != verdict.False {
			out.Fewer = append(out.Fewer, partly(a, name, s, n))
		}
	}
	return out
}

func partly(a abi.Arch, call string, s *verdict.Space, n verdict.Node) Partly {
	return Partly{call, when(a, call, s, n)}
}

// Unreadable stands for a condition that would take thousands of alternatives to write down.
const Unreadable = "for some arguments"

// when is a condition on a call's arguments in words, "" where it always holds.
func when(a abi.Arch, call string, s *verdict.Space, n verdict.Node) string {
	if n == verdict.True {
		return ""
	}
	cond, err := decompile.Condition(a, call, s, n)
	if err != nil {
		return Unreadable
	}
	return cond.String()
}

// Elsewhere is the answer to calls of architectures that nobody has; ok is false where the gate judges them by anything else. The
// error is verdict.ErrTooComplex.
func Elsewhere(v verdict.Verdict) (do bpf.Action, ok bool, err error) {
	err = v.Space().Do(func() error {
		elsewhere := v.Elsewhere()
		do, ok = elsewhere[0].Then.Constant()
		ok = ok && len(elsewhere) == 1
		return nil
	})
	return do, ok, err
}
