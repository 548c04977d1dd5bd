package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"monban/abi"
	"monban/format/strace"
	"monban/gate"
	"monban/internal/plain"
	"monban/policy"
	"monban/verdict"
)

// maxLine is the longest line of questions, in bytes: strace can be told to write whole buffers.
const maxLine = 1 << 20

// maxRemembered is how many answers are kept. Calls repeat, their addresses apart.
const maxRemembered = 1 << 16

// askLines answers the lines of standard input, each with a line.
func askLines(w io.Writer, d *desk, ref string, asJSON bool) error {
	if ref == "-" {
		return exit{exitUsage, errors.New("CALL is missing: standard input cannot be both the gate and the calls")}
	}
	if term.IsTerminal(int(os.Stdin.Fd())) {
		say("reading calls from standard input, one a line; end with Ctrl-D")
	}
	g, err := d.reading(d.asked[0])
	if err == nil {
		_, err = g.Verdict()
	}
	if err != nil { // a bad gate is said before the first line is read
		return usage(err)
	}
	b := bench{desk: d, json: asJSON, whole: map[string]string{}, calls: map[string][]reply{}, isFixed: map[string]bool{}}
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
			report(err)
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
	desk  *desk
	json  bool
	whole map[string]string  // answers by the line
	calls map[string][]reply // by the call, addresses taken out, or its name where no argument matters
	bad   int

	isFixed map[string]bool
}

// A reply is an answer without the call: what stands before it and after it in a line.
type reply struct{ before, after string }

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
			question = b.question(name, args)
		}
	}
	replies, ok := b.calls[question]
	if !ok {
		answers, err := b.desk.ask(question)
		if err != nil {
			return "", err
		}
		if b.json {
			return jsonLines(answers)
		}
		replies = b.replies(answers)
		if len(b.calls) < maxRemembered {
			b.calls[question] = replies
		}
	}
	var out strings.Builder
	for _, r := range replies {
		out.WriteString(r.before + plain.Text(shown) + r.after)
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
	for _, a := range b.desk.asked {
		g, err := b.desk.reading(a)
		nr, ok := a.Number(name)
		if err != nil || !ok || !g.Fixed(a, nr) {
			return false
		}
		constant, err := gate.Exact(g, func(v verdict.Verdict) (bool, error) {
			_, constant := v.Call(a, nr).Constant()
			return constant, nil
		})
		if err != nil || !constant {
			return false // asked as any other call, it gives the error
		}
	}
	return true
}

// question writes what strace shows as a call: strings, structures and addresses may be anything, and so may what has no value here.
func (b *bench) question(name string, args []string) string {
	a := b.desk.asked[0]
	known, ok := a.Args(name)
	if !ok {
		return name
	}
	var q strings.Builder
	q.WriteString(name)
	q.WriteByte('(')
	for i := range known {
		if i > 0 {
			q.WriteString(", ")
		}
		if i < len(args) && evaluable(a, known[i], args[i]) {
			q.WriteString(args[i])
		} else {
			q.WriteByte('?')
		}
	}
	q.WriteByte(')')
	return q.String()
}

// evaluable says that an argument as strace shows it is a number, or constants joined by |.
func evaluable(a abi.Arch, arg abi.Arg, text string) bool {
	if arg.Pointer {
		return false
	}
	for part := range strings.SplitSeq(text, "|") {
		if part == "" {
			return false
		}
		if c := part[0]; c >= '0' && c <= '9' || c == '-' && len(part) > 1 {
			if strings.ContainsAny(part, "<>/ *'\"") || len(part) > 1 && part[0] == '0' && part[1] != 'x' {
				return false // a file's path after its number (-y), a time, or octal
			}
			continue
		}
		if _, ok := a.Constant(part); !ok {
			return false
		}
	}
	return true
}

// replies are the lines of answers: the action, the call and why, with tabs between.
func (b *bench) replies(answers []answer) (out []reply) {
	for _, a := range answers {
		why := a.Why
		if a.Where != "" {
			why = a.Where + ": " + a.Why
		}
		if a.Cases != nil {
			var cases []string
			for _, c := range a.Cases {
				cases = append(cases, c.Action+" "+c.condition())
			}
			why = strings.Join(cases, "; ")
		}
		r := reply{plain.Sprintf("%s\t", a.Action), plain.Sprintf("\t%s\n", why)}
		if len(b.desk.asked) > 1 {
			r.before = plain.Sprintf("%s\t", a.Arch) + r.before
		}
		out = append(out, r)
	}
	return out
}

func jsonLines(answers []answer) (string, error) {
	var out strings.Builder
	for _, a := range answers {
		raw, err := json.Marshal(struct {
			Schema string `json:"schema"`
			answer
		}{"monban/ask-line/1", a})
		if err != nil {
			return "", err
		}
		out.Write(plain.JSON(raw))
		out.WriteByte('\n')
	}
	return out.String(), nil
}
