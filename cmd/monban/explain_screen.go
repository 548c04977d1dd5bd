package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"monban/abi"
	"monban/bpf"
	"monban/gate"
	"monban/inspect"
	"monban/internal/plain"
	"monban/policy"
)

// screen says in one screen what the gate means: dangers first, then conditions, then all calls by what they are for. The details are
// those of the first architecture; of the others, what differs.
func (e *explained) screen(w io.Writer) {
	first := e.summaries[e.archs[0]]
	plain.Fprintf(w, "%s\n", styled(w, bold, e.title()))
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
	plain.Fprintf(w, "\n")
	plain.Fprintf(w, "%s\n", styled(w, faint, "more: --full (all of it, as a gate), --syscall NAME (one call), --html FILE (a page)"))
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
			plain.Fprintf(w, "  … and %s\n", plain.Count(len(e.archs)-most, "more architecture"))
			break
		}
		plain.Fprintf(w, "  %-*s  %s\n", column, a, counted(e.summaries[a]))
	}
	var unknown []string
	for _, do := range first.Unknown {
		unknown = append(unknown, inWords(first.Arch, do))
	}
	plain.Paragraph(w, "    ", "  numbers that no call has: %s", strings.Join(unknown, ", or "))
	if e.elsewhere != "" {
		plain.Paragraph(w, "    ", "  other architectures: %s", inWords(first.Arch, e.other))
	}
	for _, n := range e.notes {
		plain.Paragraph(w, "    ", "  note: %s", n)
	}
	if e.wordless != nil {
		plain.Paragraph(w, "    ", "  note: %s", e.wordless)
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
		plain.Fprintf(w, "\n")
		plain.Paragraph(w, "  ", "%s %s: %s", styled(w, red, "!"), f.Title, f.Why)
		plain.Paragraph(w, "    ", "  witness: %s", witness(&f))
	}
	if len(e.findings) > 0 {
		plain.Fprintf(w, "%s\n", styled(w, faint, "  (monban lint says more of each)"))
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
	heading(w, "%s for which the arguments decide", plain.Count(len(depend), "call"))
	const most = 12
	for i, c := range depend {
		if i == most {
			plain.Fprintf(w, "  … and %d more (--full lists them)\n", len(depend)-most)
			break
		}
		for j, line := range caseLines(s.Arch, c.Cases) {
			name := ""
			if j == 0 {
				name = c.Name
			}
			plain.Shortened(w, strings.Repeat(" ", 19), "  %-16s %s", name, line)
		}
	}
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
	heading(w, "%s: %s", styled(w, actionStyle(g.Action), do), plain.Count(g.Total, "call"))
	if !g.Action.Passes() && 2*g.Total > len(all) {
		// Of a short list of what is allowed, nobody reads what is left.
		var counts []string
		for _, p := range g.By {
			counts = append(counts, fmt.Sprintf("%s %d", p.Purpose, len(p.Calls)))
		}
		plain.Paragraph(w, "  ", "  %s", strings.Join(counts, ", "))
		return
	}
	const column = 26
	for _, p := range g.By {
		start := fmt.Sprintf("  %-*s%3d  ", column, p.Purpose, len(p.Calls))
		plain.Fprintf(w, "%s%s\n", start, fitting(p.Calls, width-len(start)))
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

func heading(w io.Writer, format string, args ...any) {
	plain.Fprintf(w, "\n")
	plain.Fprintf(w, format, args...)
	plain.Fprintf(w, "\n")
}

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
		heading(w, "%scalls that %s has too are answered alike", start, first.Arch)
		return
	}
	start += fmt.Sprintf("%s answered otherwise than on %s: ", pluralAre(len(other), "call"), first.Arch)
	heading(w, "%s%s", start, fitting(other, max(width-len(start), 20)))
}

func pluralAre(n int, what string) string {
	if n == 1 {
		return "1 " + what + " is"
	}
	return plain.Count(n, what) + " are"
}

func (e *explained) against(w io.Writer, a abi.Arch) {
	c := e.container[a]
	if c == nil {
		return
	}
	start := fmt.Sprintf("compared with %s on %s: ", wellKnown, a)
	switch {
	case c.Equal:
		heading(w, "%severy call is answered alike", start)
		return
	case len(c.More)+len(c.Fewer) == 0:
		heading(w, "%sthe same calls pass; what is refused is answered otherwise", start)
		return
	}
	heading(w, "%s", strings.TrimSuffix(start, ": "))
	for _, side := range []struct {
		what  string
		calls []inspect.Partly
	}{{"passes here only", c.More}, {"passes there only", c.Fewer}} {
		if len(side.calls) == 0 {
			plain.Fprintf(w, "  %-18s %3d\n", side.what, 0)
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
		plain.Fprintf(w, "%s%s\n", line, fitting(names, width-len(line)))
	}
	if slices.ContainsFunc(append(slices.Clone(c.More), c.Fewer...), func(p inspect.Partly) bool { return p.When != "" }) {
		plain.Fprintf(w, "  * for some arguments: monban diff %s GATE tells which\n", wellKnown)
	}
}

func muxText(m *abi.Mux) string { return fmt.Sprintf("%s(%d)", m.Call, m.Sub) }

// story tells what becomes of one call.
func story(w io.Writer, g *gate.Gate, call string, asJSON bool) error {
	archs, err := g.Archs()
	if err != nil {
		return err
	}
	if !abi.Known(call) {
		_, err := lookUp(call, archs)
		if err == nil {
			err = fmt.Errorf("--syscall takes a name: %s is a number", call)
		}
		return exit{exitUsage, err}
	}
	stories, err := inspect.Tell(g, call, archs)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(w, "explain-syscall/1", storyObject(call, stories))
	}
	plain.Fprintf(w, "%s, for %s\n", styled(w, bold, call), inspect.Purpose(call))
	if len(stories) == 0 {
		plain.Fprintf(w, "  none of %s has it\n", archNames(archs))
	}
	for i, st := range stories {
		plain.Fprintf(w, "\n")
		where := []string{}
		if st.Direct {
			where = append(where, fmt.Sprintf("number %d", st.Number))
		}
		if st.Mux != nil {
			where = append(where, muxText(st.Mux))
		}
		plain.Fprintf(w, "%s: %s\n", st.Arch, strings.Join(where, ", and through "))
		if i > 0 && st.Direct && stories[0].Direct && inspect.SameCases(st.Cases, stories[0].Cases) {
			plain.Fprintf(w, "  as on %s\n", stories[0].Arch)
		} else {
			for _, line := range caseLines(st.Arch, st.Cases) {
				plain.Paragraph(w, "    ", "  %s", line)
			}
		}
		if st.Mux != nil {
			for _, line := range caseLines(st.Arch, st.Behind) {
				plain.Paragraph(w, "    ", "  through %s: %s", st.Mux.Call, line)
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
				plain.Paragraph(w, "    ", "%s", styled(w, faint, fmt.Sprintf("  %s: %s", r.Pos, r)))
			case n == most:
				plain.Fprintf(w, "  … and %s\n", plain.Count(len(st.Rules)-most, "more rule"))
			}
		}
	}
	return nil
}
