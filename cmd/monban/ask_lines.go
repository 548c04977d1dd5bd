package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"monban/format/strace"
	"monban/inspect"
	"monban/internal/plain"
	"monban/policy"
	"monban/report"
)

// maxLine is the longest line of questions, in bytes: strace can be told to write whole buffers.
const maxLine = 1 << 20

// maxRemembered is how many answers are kept. Calls repeat, their addresses apart.
const maxRemembered = 1 << 16

// lines answers the lines of standard input, each with a line.
func (p *askPlan) lines(w io.Writer, d *inspect.Desk) error {
	if p.ref == "-" {
		return exit{exitUsage, errors.New("CALL is missing: standard input cannot be both the gate and the calls")}
	}
	if term.IsTerminal(int(os.Stdin.Fd())) {
		say("reading calls from standard input, one a line; end with Ctrl-D")
	}
	g, err := d.Gate(d.Archs[0])
	if err == nil {
		_, err = g.Verdict()
	}
	if err != nil { // a bad gate is said before the first line is read
		return usage(err)
	}
	b := bench{desk: d, json: p.asJSON, trace: p.trace, whole: map[string]string{}, calls: map[string][]report.Line{}, isFixed: map[string]bool{}}
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(make([]byte, 64<<10), maxLine)
	n := 0
	for in.Scan() {
		n++
		out, err := b.line(in.Text())
		if err != nil {
			b.bad++
			var e *policy.Error
			if errors.As(err, &e) {
				e.Pos.File, e.Pos.Line = "standard input", n
			} else {
				err = fmt.Errorf("standard input:%d: %w", n, err)
			}
			complain(err)
			continue
		}
		if _, err := io.WriteString(w, out); err != nil {
			return err
		}
	}
	if errors.Is(in.Err(), bufio.ErrTooLong) {
		return exit{exitUsage, fmt.Errorf("standard input:%d: this line is longer than %d MB: that is no call", n+1, maxLine>>20)}
	}
	if err := in.Err(); err != nil {
		return exit{exitUsage, fmt.Errorf("standard input:%d: %w", n+1, err)}
	}
	if b.bad > 0 {
		return exit{exitUsage, fmt.Errorf("%s could not be read", plain.Count(b.bad, "line"))}
	}
	return nil
}

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
