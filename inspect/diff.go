package inspect

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"monban/abi"
	"monban/bpf"
	"monban/gate"
	"monban/policy"
	"monban/verdict"
)

// A Change is what a difference does to a call, for somebody who replaces the first gate by the second.
type Change int

// Changes, worst first.
const (
	NewlyAllowed    Change = iota // it passes now
	NewlySupervised               // a supervisor or tracer decides now, where it was refused: notify, trace
	OtherAnswer                   // it is refused, supervised or passed as before, in another way
	NewlyDenied                   // it is refused now, or a supervisor decides where it passed
)

func (c Change) String() string {
	return [...]string{"newly allowed", "newly supervised", "answered otherwise", "newly denied"}[c]
}

func changeOf(a, b bpf.Action) Change {
	switch x, y := freedom(a), freedom(b); {
	case x == y:
		return OtherAnswer
	case x > y:
		return NewlyDenied
	case b.Passes():
		return NewlyAllowed
	}
	return NewlySupervised
}

// freedom is how much an action leaves to the program: whichever way a call is refused, that is the same.
func freedom(a bpf.Action) bpf.Effect { return max(a.Effect(), bpf.Refuses) }

// A Class is all calls that two gates answer differently in the same way, on one architecture or on several.
type Class struct {
	Change  Change
	Archs   []abi.Arch    // that it speaks of; nil for Others
	Others  bool          // it speaks of all architectures that neither gate tells apart
	A, B    policy.Action // the two answers
	Calls   []Subset      // by number; each when the difference is only for some arguments
	Numbers []Numbers     // those that no call has
	Partial bool          // there are too many ranges of numbers to list them all
	Witness bpf.Data      // one call that shows it, on the first of Archs
}

// Numbers is a run of call numbers on one architecture, both ends included.
type Numbers struct {
	Arch     abi.Arch // of no meaning in a class of other architectures
	From, To uint32
	When     Condition
}

// A Difference is all that two gates disagree on, or, of a subset, what one lets pass beyond the other.
type Difference struct {
	A, B    string  // the gates' names
	Subset  bool    // only what A lets pass, or leaves to a supervisor, and B doesn't
	Classes []Class // the worst first; there are none if and only if the gates are equal, or A is a subset of B
}

// Holds says that the gates are equal, or that A is a subset of B.
func (d *Difference) Holds() bool { return len(d.Classes) == 0 }

// Diff sorts all calls on which a and b disagree into classes, for somebody who replaces a by b. The error is a gate's,
// a *gate.TogetherError.
func Diff(a, b *gate.Gate) (*Difference, error) {
	classes, err := classesOf(a, b, false)
	if err != nil {
		return nil, err
	}
	return &Difference{A: a.Name, B: b.Name, Classes: classes}, nil
}

// Excess is what a lets pass, or leaves to a supervisor, and b doesn't. Errors are those of [Diff].
func Excess(a, b *gate.Gate) (*Difference, error) {
	all, err := classesOf(a, b, true)
	if err != nil {
		return nil, err
	}
	d := &Difference{A: a.Name, B: b.Name, Subset: true}
	for _, c := range all {
		if c.Change == NewlyAllowed || c.Change == NewlySupervised {
			c.A, c.B = c.B, c.A
			d.Classes = append(d.Classes, c)
		}
	}
	return d, nil
}

// classesOf is what changes from a to b, or back from b to a.
func classesOf(a, b *gate.Gate, back bool) ([]Class, error) {
	_, v, err := together([]*gate.Gate{a, b})
	if err != nil {
		return nil, err
	}
	if back {
		slices.Reverse(v)
	}
	first := slices.Concat(a.Native().Family(), b.Native().Family())
	classes, err := verdict.Exact(v[0].Space(), func() ([]Class, error) { return diff(v[0], v[1], first), nil })
	return classes, gate.Together(err, a, b)
}

// diff is what changes from a to b. first are the architectures to name first.
func diff(a, b verdict.Verdict, first []abi.Arch) []Class {
	d := &differ{first: first, index: map[pair]int{}, partial: map[place]bool{}}
	archs, all := pairSpans(a, b, verdict.Arch)
	for _, sa := range archs {
		if d.listed > maxSpans {
			all = false
			break
		}
		d.architecture(sa)
	}
	if !all || len(d.classes) == 0 {
		d.unlisted(a, b, nil)
	}
	rank := func(c *Class) int {
		if i := slices.Index(first, c.place().arch); i >= 0 && !c.Others {
			return i
		}
		return len(first)
	}
	for i := range d.classes {
		d.classes[i].Partial = d.partial[d.classes[i].place()]
	}
	slices.SortStableFunc(d.classes, func(x, y Class) int { return cmp.Compare(rank(&x), rank(&y)) })
	out := joined(d.classes)
	slices.SortStableFunc(out, func(x, y Class) int {
		return cmp.Or(cmp.Compare(x.Change, y.Change), cmp.Compare(rank(&x), rank(&y)), -cmp.Compare(len(x.Calls), len(y.Calls)))
	})
	return out
}

type differ struct {
	first   []abi.Arch
	classes []Class
	index   map[pair]int
	listed  int            // runs of numbers in all classes
	partial map[place]bool // architectures of which not all was gone through
}

// A place is an architecture, or all that nobody tells apart.
type place struct {
	arch   abi.Arch
	others bool
}

// place is that of a class which is of one architecture.
func (c *Class) place() place {
	if c.Others {
		return place{others: true}
	}
	return place{arch: c.Archs[0]}
}

// A pair of answers at a place.
type pair struct {
	place
	a, b bpf.Action
}

// class is the class of a pair of answers at a place. Its errno values are an architecture's.
func (d *differ) class(at place, diff verdict.Difference, errnos abi.Arch) *Class {
	key := pair{at, diff.A, diff.B}
	i, ok := d.index[key]
	if !ok {
		i = len(d.classes)
		d.index[key] = i
		c := Class{Change: changeOf(diff.A, diff.B), Others: at.others, A: policy.ActionOn(errnos, diff.A), B: policy.ActionOn(errnos, diff.B),
			Witness: diff.Data}
		if !at.others {
			c.Archs = []abi.Arch{at.arch}
		}
		d.classes = append(d.classes, c)
	}
	return &d.classes[i]
}

// placeOf is where a number belongs, of a run of architecture tokens.
func placeOf(arch abi.Arch, known bool, token, nr uint32) place {
	if !known {
		return place{others: true}
	}
	if own, ok := abi.Of(token, nr); ok {
		arch = own
	}
	return place{arch: arch}
}

// architecture goes through the calls of a run of architecture tokens.
func (d *differ) architecture(sa pairSpan) {
	arch, known := tokenArch(sa.lo, sa.hi, d.first)
	numbers, all := pairSpans(sa.a, sa.b, verdict.Nr)
	for _, sn := range numbers {
		diffs := verdict.Differences(sn.a, sn.b)
		for _, run := range numbersIn(arch, known, sn.lo, sn.hi) {
			on, errnos := placeOf(arch, known, sa.lo, run.lo), arch
			if !on.others {
				errnos = on.arch
			}
			for _, diff := range diffs {
				d.listed++
				s := sn.a.Space()
				s.Charge(perRun)
				diff.Data.Arch, diff.Data.Nr = sa.lo, run.lo
				c := d.class(on, diff, errnos)
				when := condition(errnos, run.name, s, s.And(s.When(sn.a, diff.A), s.When(sn.b, diff.B)))
				if run.name != "" {
					c.Calls = append(c.Calls, Subset{run.name, when})
				} else {
					c.Numbers = append(c.Numbers, Numbers{on.arch, run.lo, run.hi, when})
				}
			}
		}
	}
	if !all {
		d.unlisted(sa.a, sa.b, &sa.lo)
	}
}

// unlisted makes sure that what lies beyond the ranges gone through has its classes, by a witness of each.
func (d *differ) unlisted(a, b verdict.Verdict, token *uint32) {
	for _, diff := range verdict.Differences(a, b) {
		if token != nil {
			diff.Data.Arch = *token
		}
		arch, known := tokenArch(diff.Data.Arch, diff.Data.Arch, d.first)
		on := placeOf(arch, known, diff.Data.Arch, diff.Data.Nr)
		d.partial[on], d.partial[placeOf(arch, known, diff.Data.Arch, 0)] = true, true
		if c := d.class(on, diff, arch); len(c.Calls)+len(c.Numbers) == 0 {
			some := Condition{Unreadable: true}
			if call, ok := arch.Name(diff.Data.Nr); ok && known {
				c.Calls = []Subset{{call, some}}
			} else {
				c.Numbers = []Numbers{{on.arch, diff.Data.Nr, diff.Data.Nr, some}}
			}
		}
	}
}

// joined are the classes, those that say the same of several architectures made one.
func joined(classes []Class) []Class {
	var out []Class
	index := map[string]int{}
	for _, c := range classes {
		var lines []string
		for _, p := range c.Calls {
			lines = append(lines, p.Call+" "+p.When.String())
		}
		slices.Sort(lines) // each architecture has its own order of numbers
		key := fmt.Sprintln(c.Change, c.Others, c.A, c.B, c.Partial, strings.Join(lines, "\n"))
		if i, ok := index[key]; ok && !c.Others {
			out[i].Archs = append(out[i].Archs, c.Archs...)
			out[i].Numbers = append(out[i].Numbers, c.Numbers...)
			continue
		}
		index[key] = len(out)
		out = append(out, c)
	}
	return out
}

// tokenArch is the architecture of a run of tokens. Where nobody tells those apart, it is one whose errno values may
// stand for theirs.
func tokenArch(lo, hi uint32, first []abi.Arch) (arch abi.Arch, known bool) {
	if a, ok := abi.Of(lo, 0); ok && lo == hi {
		return a, true
	}
	return first[0], false
}

// maxSpans bounds how many ranges of numbers are looked at one by one.
const maxSpans = 1 << 16

// A pairSpan is a range on which each of two verdicts does one thing, and not the same.
type pairSpan struct {
	lo, hi uint32
	a, b   verdict.Verdict
}

// pairSpans lists the ranges on which a and b differ; all is false where there are too many, and the list breaks off.
func pairSpans(a, b verdict.Verdict, w verdict.Word) (out []pairSpan, all bool) {
	collect := func(v verdict.Verdict) (spans []verdict.Span) {
		for s := range v.Spans(w) {
			if spans = append(spans, s); len(spans) == maxSpans {
				break
			}
		}
		return spans
	}
	as, bs := collect(a), collect(b)
	for i, j := 0, 0; i < len(as) && j < len(bs); {
		x, y := as[i], bs[j]
		if x.Then != y.Then {
			out = append(out, pairSpan{max(x.Lo, y.Lo), min(x.Hi, y.Hi), x.Then, y.Then})
		}
		if x.Hi <= y.Hi {
			i++
		}
		if y.Hi <= x.Hi {
			j++
		}
	}
	return out, as[len(as)-1].Hi == math.MaxUint32 && bs[len(bs)-1].Hi == math.MaxUint32
}

// perRun is what a run costs of the space's budget.
const perRun = 16

// A run is one call, or numbers in a row that have no name.
type run struct {
	lo, hi uint32
	name   string
}

// numbersIn lists the calls in a range of numbers, and the runs between them that have no name. Those of x86_64 and x32
// are kept apart.
func numbersIn(a abi.Arch, known bool, lo, hi uint32) []run {
	if !known {
		return []run{{lo, hi, ""}}
	}
	var out []run
	next := uint64(lo)
	gap := func(to uint64) { // what lies between next and to has no name
		for next < to {
			last := to - 1
			if _, own := a.Numbers(); next <= uint64(own) {
				last = min(last, uint64(own))
			}
			out = append(out, run{uint32(next), uint32(last), ""})
			next = last + 1
		}
	}
	archs := []abi.Arch{a}
	if a == abi.X86_64 {
		archs = append(archs, abi.X32)
	}
	for _, a := range archs {
		for nr, call := range a.Calls() {
			if uint64(nr) < next || nr > hi {
				continue
			}
			gap(uint64(nr))
			out = append(out, run{nr, nr, call})
			next = uint64(nr) + 1
		}
	}
	gap(uint64(hi) + 1)
	return out
}
