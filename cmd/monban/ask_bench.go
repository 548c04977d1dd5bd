package main

import (
	"strings"

	"monban/format/strace"
	"monban/inspect"
	"monban/report"
)

// maxRemembered is how many answers are kept. Calls repeat, their addresses apart.
const maxRemembered = 1 << 16

// A bench answers lines, and remembers what it answered.
type bench struct {
	desk  *inspect.Desk
	json  bool
	trace bool
	whole map[string]string        // answers by the line
	calls map[string][]report.Line // by the call, addresses taken out, or its name where no argument matters
	bad   int

	isFixed map[string]bool
}

func (b *bench) line(line string) (string, error) {
	if out, ok := b.whole[line]; ok {
		return out, nil
	}
	text := strings.TrimSpace(line)
	if text == "" || text[0] == '#' {
		return "", nil
	}
	question, shown := text, text
	if strace.IsLine(text) {
		name, args, ok := strace.Call(text)
		if !ok {
			return "", nil // a signal, or the end of a call that was answered when it began
		}
		if shown = name + "(" + strings.Join(args, ", ") + ")"; b.fixed(name) && !b.json {
			question = name
		} else {
			question = strace.Question(b.desk.Archs[0], name, args)
		}
	}
	replies, ok := b.calls[question]
	if !ok {
		answers, err := b.desk.Ask(question, b.trace && b.json)
		if err != nil {
			return "", err
		}
		if b.json {
			return report.AnswerLinesJSON(answers)
		}
		replies = report.AnswerLines(answers, len(b.desk.Archs) > 1)
		if len(b.calls) < maxRemembered {
			b.calls[question] = replies
		}
	}
	var out strings.Builder
	for _, r := range replies {
		out.WriteString(r.Of(shown))
	}
	if len(b.whole) < maxRemembered {
		b.whole[line] = out.String()
	}
	return out.String(), nil
}

// fixed says that a call gets one answer for one reason, whatever its arguments.
func (b *bench) fixed(name string) bool {
	if known, ok := b.isFixed[name]; ok {
		return known
	}
	fixed := b.isFixedNow(name)
	b.isFixed[name] = fixed
	return fixed
}

func (b *bench) isFixedNow(name string) bool {
	for _, a := range b.desk.Archs {
		g, err := b.desk.Gate(a)
		if err != nil {
			return false // asked as any other call, it gives the error
		}
		if fixed, err := inspect.Fixed(g, a, name); err != nil || !fixed {
			return false
		}
	}
	return true
}
