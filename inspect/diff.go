package inspect

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"monban/abi"
	"monban/bpf"
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

// A Class is all calls that two gates answer differently in the same way, on one architecture or on several alike.
type Class struct {
	Change Change
	Archs  []string // names; "other architectures" for all that neither gate tells apart
	A, B   string   // the two answers, in the policy language
	Calls  []Partly // by number; each when the difference is only for some arguments
	// Numbers are those that no call has.
	Numbers []Numbers
	Partial bool   // there are too many ranges of numbers to list them all
	Witness string // one call that shows it
}

// Numbers is a run of call numbers on one architecture, both ends included.
type Numbers struct {
	Arch     string
	From, To uint32
	When     string // "": always
}

// Others is the name of all architectures that a gate does not tell apart.
const Others = "other architectures"

// Diff sorts all calls on which a and b disagree into classes, worst first; it is empty if and only if a == b. first are the
// architectures to name first. Both verdicts must live in the same space. The error is verdict.ErrTooComplex.
func Diff(a, b verdict.Verdict, first []abi.Arch) ([]Class, error) {
	return verdict.Exact(a.Space(), func() ([]Class, error) { return diff(a, b, first), nil })
}

func diff(a, b verdict.Verdict, first []abi.Arch) []Class {
	d := &differ{first: first, index: map[pair]int{}, partial: map[string]bool{}}
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
	out := d.named()
	rank := func(c *Class) int {
		for i, a := range first {
			if a.String() == c.Archs[0] {
				return i
			}
		}
		return len(first)
	}
	slices.SortStableFunc(out, func(x, y Class) int { return cmp.Compare(rank(&x), rank(&y)) })
	out = alike(out)
	slices.SortStableFunc(out, func(x, y Class) int {
		return cmp.Or(cmp.Compare(x.Change, y.Change), cmp.Compare(rank(&x), rank(&y)), -cmp.Compare(len(x.Calls), len(y.Calls)))
	})
	return out
}

type differ struct {
	first   []abi.Arch
	classes []found
	index   map[pair]int
	listed  int             // runs of numbers in all classes
	partial map[string]bool // architectures of which not all was gone through
}

// A pair of answers on an architecture.
type pair struct {
	arch string
	a, b bpf.Action
}

// A found class has a witness that is still data.
type found struct {
	Class
	data bpf.Data
}

// class is the class of a pair of answers on an architecture.
func (d *differ) class(arch string, diff verdict.Difference, errnos abi.Arch) *found {
	key := pair{arch, diff.A, diff.B}
	i, ok := d.index[key]
	if !ok {
		x, y := policy.ActionOn(errnos, diff.A).String(), policy.ActionOn(errnos, diff.B).String()
		i = len(d.classes)
		d.index[key] = i
		d.classes = append(d.classes, found{Class{Change: changeOf(diff.A, diff.B), Archs: []string{arch}, A: x, B: y}, diff.Data})
	}
	return &d.classes[i]
}

// architecture goes through the calls of a run of architecture tokens.
func (d *differ) architecture(sa pairSpan) {
	arch, name, known := tokenName(sa.lo, sa.hi, d.first)
	numbers, all := pairSpans(sa.a, sa.b, verdict.Nr)
	for _, sn := range numbers {
		diffs := verdict.Differences(sn.a, sn.b)
		for _, run := range numbersIn(arch, known, sn.lo, sn.hi) {
			on, errnos := name, arch
			if own, _ := abi.Of(sa.lo, run.lo); known && own != arch {
				on, errnos = own.String(), own
			}
			for _, diff := range diffs {
				d.listed++
				sn.a.Space().Charge(perRun)
				diff.Data.Arch, diff.Data.Nr = sa.lo, run.lo
				c := d.class(on, diff, errnos)
				s := sn.a.Space()
				cond := when(errnos, run.name, s, s.And(s.When(sn.a, diff.A), s.When(sn.b, diff.B)))
				if run.name != "" {
					c.Calls = append(c.Calls, Partly{run.name, cond})
				} else {
					c.Numbers = append(c.Numbers, Numbers{on, run.lo, run.hi, cond})
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
		arch, name, known := tokenName(diff.Data.Arch, diff.Data.Arch, d.first)
		on := name
		if own, _ := abi.Of(diff.Data.Arch, diff.Data.Nr); known && own != arch {
			on = own.String()
		}
		d.partial[on], d.partial[name] = true, true
		if c := d.class(on, diff, arch); len(c.Calls)+len(c.Numbers) == 0 {
			if call, ok := arch.Name(diff.Data.Nr); ok && known {
				c.Calls = []Partly{{call, Unreadable}}
			} else {
				c.Numbers = []Numbers{{on, diff.Data.Nr, diff.Data.Nr, Unreadable}}
			}
		}
	}
}

// named writes the witnesses.
func (d *differ) named() []Class {
	var out []Class
	for _, c := range d.classes {
		c.Partial = d.partial[c.Archs[0]]
		if arch, err := abi.ParseArch(c.Archs[0]); err == nil {
			c.Witness = policy.FormatCall(arch, &c.data)
		} else {
			c.Witness = fmt.Sprintf("call %d, arguments %#x, of architecture %#x", c.data.Nr, c.data.Args, c.data.Arch)
		}
		out = append(out, c.Class)
	}
	return out
}

// alike joins classes that say the same of several architectures.
func alike(classes []Class) []Class {
	var out []Class
	index := map[string]int{}
	for _, c := range classes {
		var lines []string
		for _, p := range c.Calls {
			lines = append(lines, p.Call+" "+p.When)
		}
		slices.Sort(lines) // each architecture has its own order of numbers
		key := fmt.Sprintln(c.Change, c.A, c.B, c.Partial, strings.Join(lines, "\n"))
		if i, ok := index[key]; ok && c.Archs[0] != Others && out[i].Archs[0] != Others {
			out[i].Archs = append(out[i].Archs, c.Archs...)
			out[i].Numbers = append(out[i].Numbers, c.Numbers...)
			continue
		}
		index[key] = len(out)
		out = append(out, c)
	}
	return out
}

// tokenName names a range of architecture tokens.
func tokenName(lo, hi uint32, first []abi.Arch) (arch abi.Arch, name string, known bool) {
	if a, ok := abi.Of(lo, 0); ok && lo == hi {
		return a, a.String(), true
	}
	arch = abi.Native()
	if len(first) > 0 {
		arch = first[0]
	}
	return arch, Others, false
}

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

// numbersIn lists the calls in a range of numbers, and the runs between them that have no name. Those of x86_64 and x32 are kept apart.
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
