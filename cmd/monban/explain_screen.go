package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"monban/abi"
	"monban/bpf"
	"monban/inspect"
	"monban/policy"
)

// screen says in one screen what the gate means: dangers first, then conditions, then all calls by what they are for. The details are
// those of the first architecture; of the others, what differs.
func (e *explained) screen(w io.Writer) {
	first := e.summaries[e.archs[0]]
	fmt.Fprintln(w, styled(w, bold, e.title()))
	e.totals(w, first)
	e.dangers(w)
	e.conditions(w, first)
	for _, g := range first.Groups() {
		answers(w, first, g)
	}
	for _, a := range e.archs[1:] {
		e.onOther(w, first, a)
	}
	e.against(w, first.Arch)
	fmt.Fprintln(w)
	fmt.Fprintln(w, styled(w, faint, wrap("more: --full (all of it, as a gate), --syscall NAME (one call), --html FILE (a page)", "  ")))
}

// totals are the numbers of calls that pass, and what happens beside the known calls.
func (e *explained) totals(w io.Writer, first *inspect.Summary) {
	column := 0
	for _, a := range e.archs {
		column = max(column, len(a.String()))
	}
	const most = 6
	for i, a := range e.archs {
		if i == most {
			fmt.Fprintf(w, "  … and %s\n", plural(len(e.archs)-most, "more architecture"))
			break
		}
		fmt.Fprintf(w, "  %-*s  %s\n", column, a, counted(e.summaries[a]))
	}
	var unknown []string
	for _, do := range first.Unknown {
		unknown = append(unknown, inWords(first.Arch, do))
	}
	fmt.Fprintln(w, wrap("  numbers that no call has: "+strings.Join(unknown, ", or "), "    "))
	if e.elsewhere != "" {
		fmt.Fprintln(w, wrap("  other architectures: "+inWords(first.Arch, e.other), "    "))
	}
	for _, n := range e.notes {
		fmt.Fprintln(w, wrap("  note: "+n, "    "))
	}
	if e.wordless != nil {
		fmt.Fprintln(w, wrap("  note: "+e.wordless.Error(), "    "))
	}
}

// inWords adds to an action what it does.
func inWords(a abi.Arch, do bpf.Action) string {
	name := policy.ActionOn(a, do).String()
	switch do.Kind() {
	case bpf.KillThread:
		return name + " (the calling thread dies by SIGSYS)"
	case bpf.KillProcess:
		return name + " (the process dies by SIGSYS)"
	case bpf.Errno:
		return name + " (the call fails)"
	}
	return name
}

func (e *explained) dangers(w io.Writer) {
	for _, f := range e.findings {
		fmt.Fprintln(w)
		fmt.Fprintln(w, wrap(styled(w, red, "!")+" "+f.Title+": "+f.Why, "  "))
		fmt.Fprintln(w, wrap("  witness: "+witness(&f), "    "))
	}
	if len(e.findings) > 0 {
		fmt.Fprintln(w, styled(w, faint, "  (monban lint says more of each)"))
	}
}

// conditions lists the calls whose arguments decide.
func (e *explained) conditions(w io.Writer, s *inspect.Summary) {
	var depend []*inspect.Call
	for i := range s.Calls {
		if s.Calls[i].Depends() {
			depend = append(depend, &s.Calls[i])
		}
	}
	if depend == nil {
		return
	}
	heading(w, fmt.Sprintf("%s for which the arguments decide", plural(len(depend), "call")))
	const most = 12
	for i, c := range depend {
		if i == most {
			fmt.Fprintf(w, "  … and %d more (--full lists them)\n", len(depend)-most)
			break
		}
		for j, line := range caseLines(s.Arch, c.Cases) {
			name := ""
			if j == 0 {
				name = c.Name
			}
			fmt.Fprintln(w, shortened(fmt.Sprintf("  %-16s %s", name, line), 19))
		}
	}
}

// shortened wraps a line, but after three rows says that it goes on.
func shortened(line string, indent int) string {
	rows := strings.Split(wrap(line, strings.Repeat(" ", indent)), "\n")
	if len(rows) > 3 {
		last := rows[2]
		for utf8.RuneCountInString(last) > width-2 {
			last = last[:strings.LastIndexByte(last, ' ')]
		}
		rows = append(rows[:2], last+" …")
	}
	return strings.Join(rows, "\n")
}

// caseLines are answers with their conditions; the last one is what is left.
func caseLines(a abi.Arch, cases []inspect.Case) (lines []string) {
	for i, c := range cases {
		line := policy.ActionOn(a, c.Action).String()
		switch {
		case len(cases) == 1:
		case c.When == inspect.Unreadable:
			line += " " + c.When
		case i == len(cases)-1:
			line += " otherwise"
		default:
			line += " if " + c.When
		}
		lines = append(lines, line)
	}
	return lines
}

// answers lists the calls that get one answer, a line a purpose.
func answers(w io.Writer, s *inspect.Summary, g inspect.Group) {
	a, all := s.Arch, s.Calls
	do := policy.ActionOn(a, g.Action).String()
	heading(w, fmt.Sprintf("%s: %s", styled(w, actionStyle(g.Action), do), plural(g.Total, "call")))
	if !g.Action.Passes() && 2*g.Total > len(all) {
		// Of a short list of what is allowed, nobody reads what is left.
		var counts []string
		for _, p := range g.By {
			counts = append(counts, fmt.Sprintf("%s %d", p.Purpose, len(p.Calls)))
		}
		fmt.Fprintln(w, wrap("  "+strings.Join(counts, ", "), "  "))
		return
	}
	const column = 26
	for _, p := range g.By {
		start := fmt.Sprintf("  %-*s%3d  ", column, p.Purpose, len(p.Calls))
		fmt.Fprintln(w, start+fitting(p.Calls, width-len(start)))
	}
}

// fitting joins as many names as fit, and counts the rest.
func fitting(names []string, room int) string {
	text := strings.Join(names, " ")
	for n := len(names) - 1; n > 0 && len(text) > room; n-- {
		text = fmt.Sprintf("%s +%d", strings.Join(names[:n], " "), len(names)-n)
	}
	return text
}

func heading(w io.Writer, text string) { fmt.Fprintf(w, "\n%s\n", text) }

// onOther says what is different on another architecture.
func (e *explained) onOther(w io.Writer, first *inspect.Summary, a abi.Arch) {
	s := e.summaries[a]
	always, sometimes := s.Passing()
	if always+sometimes == 0 {
		return // the totals have said it
	}
	var other []string
	byName := map[string]*inspect.Call{}
	for i := range first.Calls {
		byName[first.Calls[i].Name] = &first.Calls[i]
	}
	for i := range s.Calls {
		c := &s.Calls[i]
		if f, ok := byName[c.Name]; ok && !slices.EqualFunc(f.Cases, c.Cases, func(x, y inspect.Case) bool {
			return policy.ActionOn(first.Arch, x.Action) == policy.ActionOn(a, y.Action) && x.When == y.When
		}) {
			other = append(other, c.Name)
		}
	}
	start := fmt.Sprintf("on %s, ", a)
	if other == nil {
		heading(w, start+"calls that "+first.Arch.String()+" has too are answered alike")
		return
	}
	start += fmt.Sprintf("%s answered otherwise than on %s: ", pluralAre(len(other), "call"), first.Arch)
	heading(w, start+fitting(other, max(width-len(start), 20)))
}

func pluralAre(n int, what string) string {
	if n == 1 {
		return "1 " + what + " is"
	}
	return plural(n, what) + " are"
}

func (e *explained) against(w io.Writer, a abi.Arch) {
	c := e.container[a]
	if c == nil {
		return
	}
	start := fmt.Sprintf("compared with %s on %s: ", wellKnown, a)
	switch {
	case c.Equal:
		heading(w, start+"every call is answered alike")
		return
	case len(c.More)+len(c.Fewer) == 0:
		heading(w, start+"the same calls pass; what is refused is answered otherwise")
		return
	}
	heading(w, strings.TrimSuffix(start, ": "))
	for _, side := range []struct {
		what  string
		calls []inspect.Partly
	}{{"passes here only", c.More}, {"passes there only", c.Fewer}} {
		if len(side.calls) == 0 {
			fmt.Fprintf(w, "  %-18s %3d\n", side.what, 0)
			continue
		}
		var names []string
		for _, k := range side.calls {
			name := k.Call
			if k.When != "" {
				name += "*"
			}
			names = append(names, name)
		}
		line := fmt.Sprintf("  %-18s %3d  ", side.what, len(names))
		fmt.Fprintln(w, line+fitting(names, width-len(line)))
	}
	if slices.ContainsFunc(append(slices.Clone(c.More), c.Fewer...), func(p inspect.Partly) bool { return p.When != "" }) {
		fmt.Fprintf(w, "  * for some arguments: monban diff %s GATE tells which\n", wellKnown)
	}
}

func muxText(m *abi.Mux) string { return fmt.Sprintf("%s(%d)", m.Call, m.Sub) }

// story tells what becomes of one call.
func (e *explained) story(w io.Writer, call string, asJSON bool) error {
	if !abi.Known(call) {
		_, err := lookUp(call, e.archs)
		if err == nil {
			err = fmt.Errorf("--syscall takes a name: %s is a number", call)
		}
		return exit{exitUsage, err}
	}
	stories, err := inspect.Tell(e.verdict, call, e.archs, e.gate.Policy)
	if err != nil {
		return tooComplex(e.gate, err)
	}
	if asJSON {
		return printJSON(w, "explain-syscall/1", storyObject(call, stories))
	}
	fmt.Fprintf(w, "%s, for %s\n", styled(w, bold, call), inspect.Purpose(call))
	if len(stories) == 0 {
		fmt.Fprintf(w, "  none of %s has it\n", archNames(e.archs))
	}
	for i, st := range stories {
		fmt.Fprintln(w)
		where := []string{}
		if st.Direct {
			where = append(where, fmt.Sprintf("number %d", st.Number))
		}
		if st.Mux != nil {
			where = append(where, muxText(st.Mux))
		}
		fmt.Fprintf(w, "%s: %s\n", st.Arch, strings.Join(where, ", and through "))
		if i > 0 && st.Direct && stories[0].Direct && inspect.SameCases(st.Cases, stories[0].Cases) {
			fmt.Fprintf(w, "  as on %s\n", stories[0].Arch)
		} else {
			for _, line := range caseLines(st.Arch, st.Cases) {
				fmt.Fprintln(w, wrap("  "+line, "    "))
			}
		}
		if st.Mux != nil {
			for _, line := range caseLines(st.Arch, st.Behind) {
				fmt.Fprintln(w, wrap(fmt.Sprintf("  through %s: %s", st.Mux.Call, line), "    "))
			}
		}
		if i > 0 && slices.Equal(st.Rules, stories[0].Rules) {
			continue
		}
		const most = 8
		for n, r := range st.Rules {
			switch {
			case r.Pos.Line == 0:
			case n < most:
				fmt.Fprintln(w, wrap(styled(w, faint, fmt.Sprintf("  %s: %s", r.Pos, r)), "    "))
			case n == most:
				fmt.Fprintf(w, "  … and %s\n", plural(len(st.Rules)-most, "more rule"))
			}
		}
	}
	return nil
}
