package inspect

import (
	"cmp"
	"math"
	"slices"

	"monban/abi"
	"monban/bpf"
	"monban/gate"
	"monban/verdict"
)

// A Call is what a gate does with one call of an architecture.
type Call struct {
	Name    string
	Number  uint32
	Purpose string
	Cases   []Case // one where the arguments do not matter; else the most permissive first
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

// Summarise sorts a gate's answers to the calls of an architecture. The error is the gate's.
func Summarise(g *gate.Gate, a abi.Arch) (*Summary, error) {
	return gate.Exact(g, func(v verdict.Verdict) (*Summary, error) { return summarise(v, a) })
}

func summarise(v verdict.Verdict, a abi.Arch) (*Summary, error) {
	s := &Summary{Arch: a}
	own := v.Restrict(verdict.Arch, a.Token())
	for nr, name := range a.Calls() {
		cases, err := casesOf(a, name, own.Restrict(verdict.Nr, nr))
		if err != nil {
			return nil, err
		}
		s.Calls = append(s.Calls, Call{Name: name, Number: nr, Purpose: Purpose(name), Cases: cases})
	}
	s.Unknown = unknown(own, a)
	return s, nil
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
