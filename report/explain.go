package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"monban/abi"
	"monban/bpf"
	"monban/inspect"
	"monban/internal/plain"
	"monban/policy"
	"monban/policy/lang"
)

// ExplanationText says in one screen what a gate means: dangers first, then conditions, then all calls by what they are
// for. The details are those of the first architecture; of the others, what differs.
func ExplanationText(w io.Writer, e *inspect.Explanation, o Options) error {
	p := o.printer(w)
	first := e.Views[0]
	p.Printf("%s\n", p.Styled(bold, title(e)))
	p.totals(e)
	p.dangers(e)
	p.conditions(first.Summary)
	for _, g := range first.Groups() {
		p.group(first.Summary, g)
	}
	for _, other := range e.Views[1:] {
		p.other(first.Summary, other.Summary)
	}
	p.known(first)
	if more := p.hint("more: ", HintMore, e.Gate.Name, ""); more != "" {
		p.Printf("\n%s\n", p.Styled(faint, more))
	}
	return p.Err()
}

// title is the first line: what was read.
func title(e *inspect.Explanation) string {
	what := e.Gate.Kind
	if g := e.Gate; g.Members != nil && g.Programs == nil {
		var names []string
		for _, m := range g.Members {
			names = append(names, m.Kind+" "+m.Name)
		}
		return fmt.Sprintf("%s: %s, stacked (the oldest first): %s", g.Name, plain.Count(len(names), "gate"), strings.Join(names, ", "))
	}
	if n := len(e.Gate.Programs); n > 0 {
		var sizes []string
		for _, q := range e.Gate.Programs {
			sizes = append(sizes, fmt.Sprint(len(q)))
		}
		what = fmt.Sprintf("%s of %s instructions", plain.Count(n, "BPF program"), strings.Join(sizes, " and "))
		if n > 1 {
			what += ", stacked (the oldest first)"
		}
	}
	return e.Gate.Name + ": " + what
}

// counted says how much of an architecture's calls passes.
func counted(s *inspect.Summary) string {
	always, sometimes := s.Passing()
	text := fmt.Sprintf("%d of %s pass", always, plain.Count(len(s.Calls), "call"))
	if sometimes > 0 {
		text += fmt.Sprintf(", %d for some arguments", sometimes)
	}
	return text
}

// totals are the numbers of calls that pass, and what happens to all but the known calls.
func (p *printer) totals(e *inspect.Explanation) {
	column := 0
	for _, a := range e.Archs {
		column = max(column, len(a.String()))
	}
	const most = 6
	for i, v := range e.Views {
		if i == most {
			p.Printf("  … and %s\n", plain.Count(len(e.Views)-most, "more architecture"))
			break
		}
		p.Printf("  %-*s  %s\n", column, v.Arch, counted(v.Summary))
	}
	first := e.Views[0]
	var unknown []string
	for _, do := range first.Unknown {
		unknown = append(unknown, inWords(first.Arch, do))
	}
	p.Paragraph("    ", "  numbers that no call has: %s", strings.Join(unknown, ", or "))
	if e.Told {
		p.Paragraph("    ", "  other architectures: %s", inWords(first.Arch, e.Elsewhere))
	}
	for _, n := range e.Notes {
		p.Paragraph("    ", "  note: %s", n)
	}
	if e.Wordless != nil {
		p.Paragraph("    ", "  note: %s", e.Wordless)
	}
}

// inWords adds to an action what it does.
func inWords(a abi.Arch, do bpf.Action) string {
	name := action(a, do)
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

func (p *printer) dangers(e *inspect.Explanation) {
	for i := range e.Findings {
		f := &e.Findings[i]
		p.Printf("\n")
		p.Paragraph("  ", "%s %s: %s", p.Styled(red, "!"), f.Title, f.Why)
		p.Paragraph("    ", "  witness: %s", Witness(f))
	}
	if more := p.hint("  (", HintFindings, e.Gate.Name, ")"); more != "" && len(e.Findings) > 0 {
		p.Printf("%s\n", p.Styled(faint, more))
	}
}

// conditions lists the calls whose arguments decide.
func (p *printer) conditions(s *inspect.Summary) {
	var depend []*inspect.Call
	for i := range s.Calls {
		if s.Calls[i].Depends() {
			depend = append(depend, &s.Calls[i])
		}
	}
	if depend == nil {
		return
	}
	p.heading("%s for which the arguments decide", plain.Count(len(depend), "call"))
	const most = 12
	for i, c := range depend {
		if i == most {
			p.Printf("  … and %d more%s\n", len(depend)-most, p.hint(" (", HintConditions, "", ")"))
			break
		}
		for j, line := range caseLines(s.Arch, c.Cases) {
			name := ""
			if j == 0 {
				name = c.Name
			}
			p.Shortened(strings.Repeat(" ", 19), "  %-16s %s", name, line)
		}
	}
}

// caseLines are answers with their conditions; the last one is what is left.
func caseLines(a abi.Arch, cases []inspect.Case) (lines []string) {
	for i, c := range cases {
		line := action(a, c.Action)
		switch {
		case len(cases) == 1:
		case i == len(cases)-1 && !c.When.Unreadable:
			line += " otherwise"
		default:
			line += " " + condition(c.When)
		}
		lines = append(lines, line)
	}
	return lines
}

// condition is a condition in words: "if family == AF_UNIX", "for some arguments".
func condition(c inspect.Condition) string {
	if c.Unreadable {
		return c.String()
	}
	return "if " + c.String()
}

// group lists the calls that get one answer, a line a purpose.
func (p *printer) group(s *inspect.Summary, g inspect.Group) {
	p.heading("%s: %s", p.Styled(actionStyle(g.Action), action(s.Arch, g.Action)), plain.Count(g.Total, "call"))
	if !g.Action.Passes() && 2*g.Total > len(s.Calls) {
		// Of a short list of what is allowed, nobody reads what is left.
		var counts []string
		for _, by := range g.By {
			counts = append(counts, fmt.Sprintf("%s %d", by.Purpose, len(by.Calls)))
		}
		p.Paragraph("  ", "  %s", strings.Join(counts, ", "))
		return
	}
	const column = 26
	for _, by := range g.By {
		start := fmt.Sprintf("  %-*s%3d  ", column, by.Purpose, len(by.Calls))
		p.Printf("%s%s\n", start, fitting(by.Calls, p.Columns()-len(start)))
	}
}

// other says what is different on another architecture.
func (p *printer) other(first, s *inspect.Summary) {
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
			return policy.ActionOn(first.Arch, x.Action) == policy.ActionOn(s.Arch, y.Action) && x.When.String() == y.When.String()
		}) {
			other = append(other, c.Name)
		}
	}
	start := fmt.Sprintf("on %s, ", s.Arch)
	if other == nil {
		p.heading("%scalls that %s has too get the same answers", start, first.Arch)
		return
	}
	are := plain.Count(len(other), "call") + " are"
	if len(other) == 1 {
		are = "1 call is"
	}
	start += fmt.Sprintf("%s answered otherwise than on %s: ", are, first.Arch)
	p.heading("%s%s", start, fitting(other, max(p.Columns()-len(start), 20)))
}

// known compares with the gate that most people know.
func (p *printer) known(v inspect.View) {
	c := v.Known
	if c == nil {
		return
	}
	start := fmt.Sprintf("compared with %s on %s: ", inspect.WellKnown, v.Arch)
	switch {
	case c.Equal:
		p.heading("%severy call gets the same answer", start)
		return
	case len(c.More)+len(c.Fewer) == 0:
		p.heading("%sthe same calls pass; what is refused is answered otherwise", start)
		return
	}
	p.heading("%s", strings.TrimSuffix(start, ": "))
	for _, side := range []struct {
		what  string
		calls []inspect.Subset
	}{{"passes here only", c.More}, {"passes there only", c.Fewer}} {
		if len(side.calls) == 0 {
			p.Printf("  %-18s %3d\n", side.what, 0)
			continue
		}
		var names []string
		for _, k := range side.calls {
			name := k.Call
			if !k.When.Always() {
				name += "*"
			}
			names = append(names, name)
		}
		line := fmt.Sprintf("  %-18s %3d  ", side.what, len(names))
		p.Printf("%s%s\n", line, fitting(names, p.Columns()-len(line)))
	}
	if slices.ContainsFunc(slices.Concat(c.More, c.Fewer), func(s inspect.Subset) bool { return !s.When.Always() }) {
		p.Printf("  * for some arguments%s\n", p.hint(": ", HintArguments, inspect.WellKnown, ""))
	}
}

// ExplanationGate writes a gate in the policy language, with the summary as comments. It must have a policy.
func ExplanationGate(w io.Writer, e *inspect.Explanation) error {
	p := Options{}.printer(w)
	line := func(text string) { p.Paragraph("#   ", "# %s", text) }
	line(title(e))
	for _, v := range e.Views {
		line(v.Arch.String() + ": " + counted(v.Summary))
	}
	for _, n := range e.Notes {
		line("note: " + n)
	}
	for i := range e.Findings {
		f := &e.Findings[i]
		p.Printf("#\n")
		line("! " + f.ID + " " + f.Title + ": " + f.Why)
		line("  witness: " + Witness(f))
	}
	p.Text("\n" + lang.Print(e.Policy))
	return p.Err()
}
