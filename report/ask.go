package report

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"monban/abi"
	"monban/inspect"
	"monban/internal/plain"
	"monban/policy"
)

// decided is the action of an answer, and "depends" where there are several.
func decided(a *inspect.Answer) string {
	if len(a.Cases) == 1 {
		return action(a.Call.Arch, a.Cases[0].Action)
	}
	return "depends"
}

// because names the rule or header that decided, and its place.
func because(a *inspect.Answer) (why, where string) {
	d := a.Decision
	switch {
	case len(a.Cases) != 1:
		return "", ""
	case d == nil:
		return fmt.Sprintf("the program's own answer, %#x", uint32(a.Raw)), ""
	case d.Rule != nil:
		if at := d.Pos(); at.Line > 0 {
			where = at.String()
		}
		return d.Text, where
	case d.Header == "badarch":
		return "badarch: the gate speaks for " + abi.Join(a.Speaks, ", ") + " only", ""
	case d.Header == "unknown":
		return "unknown: no call of the gate's table has this number", ""
	}
	return "default: no rule matches", ""
}

// upperHalf says what else can happen, "" where nothing can.
func upperHalf(a *inspect.Answer) string {
	if a.UpperHalf == nil {
		return ""
	}
	var actions []string
	for _, do := range a.UpperHalf.Actions {
		actions = append(actions, action(a.Call.Arch, do))
	}
	slices.Sort(actions)
	return fmt.Sprintf("%s where the upper half of %s is not 0, which the kernel ignores", strings.Join(actions, " or "),
		strings.Join(a.UpperHalf.Args, " or "))
}

// AnswersText says what happens to calls and why. Of several architectures, each answer has its name.
func AnswersText(w io.Writer, answers []*inspect.Answer, several bool, o Options) error {
	p := o.printer(w)
	for _, a := range answers {
		if several {
			p.Printf("%s: ", a.Call.Arch)
		}
		p.answer(a)
	}
	return p.Err()
}

func (p *printer) answer(a *inspect.Answer) {
	if len(a.Cases) == 1 {
		p.Printf("%s\n", p.Styled(actionStyle(a.Cases[0].Action), decided(a)))
	} else {
		p.Printf("%s\n", decided(a))
	}
	if why, where := because(a); why != "" {
		if where != "" {
			where += ": "
		}
		p.Paragraph("    ", "  %s%s", where, why)
	}
	if len(a.Cases) > 1 {
		p.cases(a)
	}
	if text := upperHalf(a); text != "" {
		p.Paragraph("    ", "  but %s", text)
	}
	for i := range a.Trace {
		p.trace(a, i)
	}
}

// cases lists answers in a column, each with its condition; the last one is what is left.
func (p *printer) cases(a *inspect.Answer) {
	column := 0
	for _, c := range a.Cases {
		column = max(column, len(action(a.Call.Arch, c.Action)))
	}
	for i, c := range a.Cases {
		when := condition(c.When)
		if i == len(a.Cases)-1 && !c.When.Unreadable {
			when = "otherwise"
		}
		p.Paragraph("    ", "  %-*s  %s", column, action(a.Call.Arch, c.Action), when)
	}
}

// trace lists the instructions that a filter executes.
func (p *printer) trace(a *inspect.Answer, i int) {
	t := a.Trace[i]
	what := "the filter"
	if len(a.Trace) > 1 {
		what = fmt.Sprintf("filter %d of %d", len(a.Trace)-i, len(a.Trace))
	}
	p.Printf("\n  %s executes %d of %s for\n", what, len(t.Executed), plain.Count(len(t.Filter), "instruction"))
	p.Paragraph("    ", "  %s", policy.FormatCall(a.Call.Arch, &a.Example))
	for _, line := range executed(a.Call.Arch, t) {
		p.Printf("  %s\n", line)
	}
	p.Printf("  and returns %s\n", returned(a, t))
}

// executed are the lines of the listing that a filter executes.
func executed(a abi.Arch, t inspect.Trace) (lines []string) {
	var text []string
	for line := range strings.Lines(disassembled(t.Filter, a.ByteOrder())) {
		if !strings.HasPrefix(line, ".") { // what speaks of the whole listing
			text = append(text, strings.TrimRight(line, "\n"))
		}
	}
	for _, pc := range t.Executed {
		lines = append(lines, text[pc])
	}
	return lines
}

// returned is what a filter returns, with the names of the call's architecture.
func returned(a *inspect.Answer, t inspect.Trace) string {
	if _, ok := abi.Of(a.Example.Arch, a.Example.Nr); !ok {
		return t.Returns.String()
	}
	return action(a.Call.Arch, t.Returns)
}

// AnswersJSON writes monban/ask/1.
func AnswersJSON(w io.Writer, answers []*inspect.Answer) error {
	var all []answer
	for _, a := range answers {
		all = append(all, answerOf(a))
	}
	return JSON(w, "ask/1", map[string]any{"answers": all})
}

// An answer is what happens to a call, for machines.
type answer struct {
	Arch   string    `json:"arch"`
	Call   string    `json:"call"`
	Action string    `json:"action"`          // "depends" where there are Cases
	Why    string    `json:"why,omitempty"`   // the rule or header that decided
	Where  string    `json:"where,omitempty"` // file:line:column of it
	Cases  []outcome `json:"cases,omitempty"`
	// UpperHalf says what else can happen: the kernel ignores the upper half of an int's register, and the gate does
	// not.
	UpperHalf string `json:"upper_half,omitempty"`
	// Trace has the instructions that each filter of the stack executes for Traced, one of the calls that were asked
	// about.
	Trace  []steps `json:"trace,omitempty"`
	Traced string  `json:"traced,omitempty"`
}

// steps are what one filter does with a call.
type steps struct {
	Length       int      `json:"length"` // of the filter, in instructions
	Instructions []string `json:"instructions"`
	Returns      string   `json:"returns"`
}

func answerOf(a *inspect.Answer) answer {
	out := answer{Arch: a.Call.Arch.String(), Call: a.Call.String(), UpperHalf: upperHalf(a)}
	out.Action, out.Cases = outcomes(a.Call.Arch, a.Cases)
	out.Why, out.Where = because(a)
	for _, t := range a.Trace {
		out.Trace = append(out.Trace, steps{len(t.Filter), executed(a.Call.Arch, t), returned(a, t)})
		out.Traced = policy.FormatCall(a.Call.Arch, &a.Example)
	}
	return out
}

// AnswerLines are answers without the call, a line each with a gap where the call belongs: the action, and why, with
// tabs between.
func AnswerLines(answers []*inspect.Answer, several bool) (lines []Line) {
	for _, a := range answers {
		why, where := because(a)
		if where != "" {
			why = where + ": " + why
		}
		if len(a.Cases) > 1 {
			var cases []string
			for _, c := range a.Cases {
				cases = append(cases, action(a.Call.Arch, c.Action)+" "+condition(c.When))
			}
			why = strings.Join(cases, "; ")
		}
		l := Line{plain.Sprintf("%s\t", decided(a)), plain.Sprintf("\t%s\n", why)}
		if several {
			l.before = plain.Sprintf("%s\t", a.Call.Arch) + l.before
		}
		lines = append(lines, l)
	}
	return lines
}

// A Line is an answer that the call is still to be put into.
type Line struct{ before, after string }

// Of is the line for a call, as whoever asked has written it.
func (l Line) Of(call string) string { return l.before + plain.Text(call) + l.after }

// AnswerLinesJSON are answers as objects of monban/ask-line/1, a line each.
func AnswerLinesJSON(answers []*inspect.Answer) (string, error) {
	var out strings.Builder
	for _, a := range answers {
		raw, err := json.Marshal(struct {
			Schema string `json:"schema"`
			answer
		}{"monban/ask-line/1", answerOf(a)})
		if err != nil {
			return "", err
		}
		out.Write(plain.JSON(raw))
		out.WriteByte('\n')
	}
	return out.String(), nil
}
