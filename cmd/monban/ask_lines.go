package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"

	"monban/inspect"
	"monban/internal/plain"
	"monban/policy"
	"monban/report"
)

// maxLine is the longest line of questions, in bytes: strace can be told to write whole buffers.
const maxLine = 1 << 20

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
		return exit{exitUsage, fmt.Errorf("standard input:%d: this line is longer than %d MB: that is not a call", n+1, maxLine>>20)}
	}
	if err := in.Err(); err != nil {
		return exit{exitUsage, fmt.Errorf("standard input:%d: %w", n+1, err)}
	}
	if b.bad > 0 {
		return exit{exitUsage, fmt.Errorf("%s could not be read", plain.Count(b.bad, "line"))}
	}
	return nil
}
