package lint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"monban/abi"
	"monban/bpf"
	"monban/gate"
	"monban/policy"
	"monban/verdict"
)

// A Finding is a pitfall of the catalogue in one gate.
type Finding struct {
	Check
	Title  string   // with the details of this gate
	Calls  []string // all that it concerns; nil where it concerns no call in particular
	Archs  []abi.Arch
	Call   bpf.Data   // a call that shows it, on the first of Archs
	Action bpf.Action // what it gets
	Pos    policy.Pos // the rule that decides the witness; Line is 0 where there is no text

	idle []policy.Pos // items whose rules all change nothing
}

// Find looks for every pitfall of the catalogue, the worst first. What is the same on several architectures is one
// finding. The error is the gate's, of what does not fit the budget a *gate.ComplexError: findings are all there are,
// or none.
func Find(g *gate.Gate) ([]Finding, error) {
	archs, err := g.Archs()
	if err != nil {
		return nil, err
	}
	return gate.Exact(g, func(v verdict.Verdict) ([]Finding, error) { return find(meant{g, v, archs}) })
}

// A meant gate has its meaning at hand.
type meant struct {
	*gate.Gate
	Verdict verdict.Verdict
	Archs   []abi.Arch // that it speaks for, the machine's own first
}

func find(g meant) ([]Finding, error) {
	// What an architecture lacks matters only where something of it passes: a filter that refuses all of x32 need not
	// allow exit there.
	living := slices.DeleteFunc(slices.Clone(g.Archs), func(a abi.Arch) bool {
		_, ok := g.Verdict.On(a, bpf.KillProcess).Witness(passes)
		return !ok
	})
	if len(living) == 0 {
		living = g.Archs
	}
	var all []Finding
	for _, a := range living {
		s := newSubject(g, a)
		for _, c := range checks {
			if c.whole {
				continue
			}
			for _, f := range s.check(c) {
				all = merge(all, f, a)
			}
		}
	}
	first := newSubject(g, g.Archs[0])
	for _, c := range checks {
		if c.whole {
			all = append(all, first.check(c)...)
		}
	}
	for i := range all {
		if err := all[i].place(g.Gate); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(all, func(x, y Finding) int {
		return cmp.Or(-cmp.Compare(x.Severity, y.Severity), strings.Compare(x.ID, y.ID))
	})
	return all, nil
}

// merge adds a finding; one that says nothing new of another architecture only gets one architecture more.
func merge(all []Finding, f Finding, a abi.Arch) []Finding {
	for i := range all {
		known := func(call string) bool { return slices.Contains(all[i].Calls, call) }
		if all[i].ID == f.ID && (all[i].Title == f.Title || len(f.Calls) < len(all[i].Calls)) && !slices.ContainsFunc(f.Calls, func(c string) bool { return !known(c) }) {
			all[i].Archs = append(all[i].Archs, a)
			return all
		}
	}
	f.Archs = []abi.Arch{a}
	return append(all, f)
}

// place finds the rule that decides the witness.
func (f *Finding) place(g *gate.Gate) error {
	if f.Pos.File != "" {
		return nil
	}
	d, err := g.Decide(&f.Call)
	if err == nil && d != nil {
		f.Pos = d.Pos()
	}
	return err
}

// A subject is one architecture's part of a gate.
type subject struct {
	meant
	arch   abi.Arch
	own    verdict.Verdict
	halves *halves // once they were looked at; likewise
	idle   *idle
}

func newSubject(g meant, a abi.Arch) *subject {
	return &subject{meant: g, arch: a, own: g.Verdict.On(a, bpf.KillProcess)}
}

// check runs a check. What a finding does not say is what the check says.
func (s *subject) check(c Check) []Finding {
	found := c.run(s)
	for i := range found {
		f := &found[i]
		switch f.Check = c; {
		case f.Title == "":
			f.Title = c.Title
		case strings.HasPrefix(f.Title, ": "):
			f.Title = c.Title + f.Title
		}
		if c.whole {
			f.Archs = s.Archs
		}
	}
	return found
}

// call is the verdict on a call by name; ok is false where the architecture does not have it.
func (s *subject) call(name string) (v verdict.Verdict, nr uint32, ok bool) {
	nr, ok = s.arch.Number(name)
	return s.own.Restrict(verdict.Nr, nr), nr, ok
}

// What a check looks for.
var passes, refuses = bpf.Action.Passes, bpf.Action.Refuses

// An extent is how much of a call an action is given to.
type extent int

const (
	never extent = iota
	sometimes
	always
)

// how says how much of a call gets an action that want accepts; absent calls never do.
func (s *subject) how(name string, want func(bpf.Action) bool) extent {
	v, _, ok := s.call(name)
	if !ok {
		return never
	}
	switch v.Where(want) {
	case verdict.True:
		return always
	case verdict.False:
		return never
	}
	return sometimes
}

// which lists the calls of which anything gets such an action.
func (s *subject) which(names []string, want func(bpf.Action) bool) (out []string) {
	for _, name := range names {
		if s.how(name, want) != never {
			out = append(out, name)
		}
	}
	return out
}

// finding has a call by name that gets such an action for a witness. A title that begins with a colon goes on after the
// check's.
func (s *subject) finding(title string, calls []string, witness string, want func(bpf.Action) bool) []Finding {
	v, nr, _ := s.call(witness)
	d, ok := v.Witness(want)
	if !ok {
		return nil
	}
	d.Arch, d.Nr = s.arch.Token(), nr
	return s.found(title, calls, d)
}

// listing is a finding that names calls, of which the first gives the witness; none where there are none.
func (s *subject) listing(calls []string, want func(bpf.Action) bool) []Finding {
	if len(calls) == 0 {
		return nil
	}
	return s.finding(": "+some(calls), calls, calls[0], want)
}

// found is a finding with a witness.
func (s *subject) found(title string, calls []string, d bpf.Data) []Finding {
	return []Finding{{Title: title, Calls: calls, Call: d, Action: s.Verdict.At(&d)}}
}

// denyList says that the gate names what is refused: the numbers that no call has pass, or nearly all calls do.
func (s *subject) denyList() bool {
	all, open := 0, 0
	for nr := range s.arch.Calls() {
		all++
		if do, ok := s.own.Restrict(verdict.Nr, nr).Constant(); ok && passes(do) {
			open++
		}
	}
	return open*10 > all*9
}

// some joins names, of many the first.
func some(names []string) string {
	const most = 8
	if len(names) <= most {
		return strings.Join(names, " ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], " "), len(names)-most)
}
