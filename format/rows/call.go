package rows

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"monban/abi"
	"monban/bpf"
	"monban/verdict"
)

// None is an action that no verdict has, for rows that leave nothing out.
const None bpf.Action = 0xffff_ffff

// A Call is what is left of a verdict for one number of an architecture.
type Call struct {
	Arch abi.Arch
	Name string // "" where the number has none
	Nr   uint32
	Left verdict.Verdict
	Bits int // of a register that a test looks at: 32 or 64
}

func (c Call) String() string {
	name := c.Name
	if name == "" {
		name = fmt.Sprintf("number %d", c.Nr)
	}
	return fmt.Sprintf("%s on %s", name, c.Arch)
}

// Calls are the named calls of an architecture, by number. The error is verdict.ErrTooComplex.
func Calls(v verdict.Verdict, a abi.Arch) ([]Call, error) {
	return verdict.Exact(v.Space(), func() ([]Call, error) {
		var list []Call
		on := v.Restrict(verdict.Arch, a.Token())
		for nr, name := range a.Calls() {
			list = append(list, Call{a, name, nr, on.Restrict(verdict.Nr, nr), a.Bits()})
		}
		return list, nil
	})
}

// Unnamed shows the ranges of an architecture's numbers that have no name, ascending, and what each gets, until visit
// returns an error, which it returns, or verdict.ErrTooComplex. A verdict that looks at single bits of the number can
// have very many.
func Unnamed(v verdict.Verdict, a abi.Arch, visit func(verdict.Span) error) error {
	first, end := a.Numbers()
	lo, hi := uint64(first), uint64(end)
	return v.Space().Do(func() error {
		calls, err := Calls(v, a)
		if err != nil {
			return err
		}
		var named []uint64 // with one beyond the last number, as an end
		for _, c := range calls {
			named = append(named, uint64(c.Nr))
		}
		named = append(named, hi+1)
		for s := range v.Restrict(verdict.Arch, a.Token()).Spans(verdict.Nr) {
			from, last := max(uint64(s.Lo), lo), min(uint64(s.Hi), hi)
			i, _ := slices.BinarySearch(named, from)
			for from <= last {
				end := min(named[i], last+1)
				if from < end {
					if err := visit(verdict.Span{Lo: uint32(from), Hi: uint32(end - 1), Then: s.Then}); err != nil {
						return err
					}
				}
				from = end + 1
				if end < named[i] {
					break
				}
				i++
			}
		}
		return nil
	})
}

// errIP and errWide are what rows cannot say.
var (
	errIP   = errors.New("it depends on the instruction pointer")
	errWide = errors.New("it looks at bits that the registers there do not have")
	errMany = fmt.Errorf("it takes more than %d rows", maxRows)
)

// maxRows bounds what a call may come to.
const maxRows = 4096

// Of is the rows of a call, the most permissive action first. The action otherwise gets no rows: what no row is about
// has it. Errors name the call, or are verdict.ErrTooComplex.
func Of(c Call, otherwise bpf.Action) ([]Row, error) {
	return verdict.Exact(c.Left.Space(), func() ([]Row, error) { return of(c, otherwise) })
}

func of(c Call, otherwise bpf.Action) ([]Row, error) {
	s := c.Left.Space()
	var list []Row
	actions := slices.SortedFunc(c.Left.Actions(), func(x, y bpf.Action) int { return cmp.Compare(int32(y), int32(x)) })
	for _, do := range actions {
		if do == otherwise {
			continue
		}
		when := s.When(c.Left, do)
		cov := coverer{s: s, bits: c.Bits, memo: map[[2]verdict.Node]product{}}
		rows, err := cov.rows(when, when)
		if err == nil && len(list)+len(rows) > maxRows {
			err = errMany
		}
		if err != nil {
			return nil, fmt.Errorf("%s cannot be said in tests of single arguments: %w", c, err)
		}
		for _, tests := range rows {
			list = append(list, Row{do, tests})
		}
	}
	return list, nil
}

// Most is the action that most of a call's possible arguments get. The error is verdict.ErrTooComplex.
func Most(v verdict.Verdict) (bpf.Action, error) {
	return verdict.Exact(v.Space(), func() (bpf.Action, error) { return most(v), nil })
}

func most(v verdict.Verdict) bpf.Action {
	memo := map[verdict.Node]map[bpf.Action]float64{}
	var walk func(verdict.Verdict) map[bpf.Action]float64
	walk = func(v verdict.Verdict) map[bpf.Action]float64 {
		if do, ok := v.Constant(); ok {
			return map[bpf.Action]float64{do: 1}
		}
		shares, ok := memo[v.Node()]
		if !ok {
			shares = map[bpf.Action]float64{}
			_, _, zero, one := v.Top()
			for _, half := range []verdict.Verdict{zero, one} {
				for do, share := range walk(half) {
					shares[do] += share / 2
				}
			}
			memo[v.Node()] = shares
		}
		return shares
	}
	shares := walk(v)
	best, first := bpf.Action(0), true
	for do := range v.Actions() {
		// Of equal shares the stricter one is.
		if first || shares[do] > shares[best] || shares[do] == shares[best] && int32(do) < int32(best) {
			best, first = do, false
		}
	}
	return best
}

// An Entry is a call's rows and the architectures on which they are exactly what it gets.
type Entry struct {
	Name  string
	Archs []abi.Arch
	Rows  []Row
}

// Entries lists the named calls of some architectures by name, without those that always get the action otherwise on
// all of them. A call that needs different rows on different architectures has several entries, and all architectures
// that have it are in one. Narrow are architectures on which the format's programs look at the low halves of 64-bit
// registers only.
func Entries(v verdict.Verdict, archs []abi.Arch, otherwise bpf.Action, narrow ...abi.Arch) ([]Entry, error) {
	return verdict.Exact(v.Space(), func() ([]Entry, error) { return entries(v, archs, otherwise, narrow) })
}

func entries(v verdict.Verdict, archs []abi.Arch, otherwise bpf.Action, narrow []abi.Arch) ([]Entry, error) {
	byName := map[string][]Call{}
	for _, a := range archs {
		calls, err := Calls(v, a)
		if err != nil {
			return nil, err
		}
		for _, c := range calls {
			if slices.Contains(narrow, a) {
				c.Bits = 32
			}
			byName[c.Name] = append(byName[c.Name], c)
		}
	}
	var list []Entry
	for name, calls := range byName {
		entries, err := join(name, calls, otherwise)
		if err != nil {
			return nil, err
		}
		if len(entries) > 1 || len(entries[0].Rows) > 0 {
			list = append(list, entries...)
		}
	}
	slices.SortStableFunc(list, func(a, b Entry) int { return cmp.Compare(a.Name, b.Name) })
	for _, e := range list {
		slices.SortFunc(e.Archs, func(a, b abi.Arch) int { return cmp.Compare(slices.Index(archs, a), slices.Index(archs, b)) })
	}
	return list, nil
}

// join finds few sets of rows for one call on several architectures. Rows for 64-bit registers often do for 32-bit ones
// too, but not the other way round.
func join(name string, calls []Call, otherwise bpf.Action) (list []Entry, err error) {
	slices.SortStableFunc(calls, func(a, b Call) int { return cmp.Compare(b.Bits, a.Bits) })
next:
	for _, c := range calls {
		for i := range list {
			if v, ok := meaning(c.Left.Space(), c.Bits, list[i].Rows, otherwise); ok && v == c.Left {
				list[i].Archs = append(list[i].Archs, c.Arch)
				continue next
			}
		}
		rows, err := of(c, otherwise)
		if err != nil {
			return nil, err
		}
		list = append(list, Entry{name, []abi.Arch{c.Arch}, rows})
	}
	return list, nil
}
