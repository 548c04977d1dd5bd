package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"monban/internal/plain"
)

// An output is the door to standard output or standard error: all that the command says goes through one, and only this
// file knows what is behind it. plain.Fprintf, Paragraph and Shortened write lines with somebody else's words in them;
// Write takes whole texts. The first error stays, so that commands need not look at each line.
type output struct {
	*plain.Writer
	buffer *bufio.Writer // nil for none
	file   *os.File
}

// stderr is standard error. It has no buffer: the program behind a gate writes there as well.
var stderr = &output{plain.NewWriter(os.Stderr), nil, os.Stderr}

// newStdout is standard output, buffered.
func newStdout() *output {
	var w io.Writer = os.Stdout
	if discards(os.Stdout) {
		w = nowhere{}
	}
	b := bufio.NewWriter(w)
	return &output{plain.NewWriter(b), b, os.Stdout}
}

// Flush writes what is kept yet.
func (o *output) Flush() error {
	err := o.Writer.Flush()
	if o.buffer != nil {
		err = cmp.Or(err, o.buffer.Flush())
	}
	return err
}

// terminal says whether w goes to one.
func terminal(w io.Writer) bool {
	o, ok := w.(*output)
	return ok && term.IsTerminal(int(o.file.Fd()))
}

// coloured says that w is a terminal that takes styles, and the user has not set NO_COLOR (https://no-color.org).
func coloured(w io.Writer) bool {
	return terminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// styled is text in a style where w takes styles.
func styled(w io.Writer, s plain.Style, text string) plain.Painted {
	if !coloured(w) {
		s = ""
	}
	return plain.Paint(s, text)
}

// say writes a line to standard error, marked as ours.
func say(format string, args ...any) {
	if false {
		_ = fmt.Sprintf(format, args...) // so that go vet checks the formats of all callers
	}
	plain.Fprintf(stderr, "%s "+format+"\n", append([]any{styled(stderr, bold, "monban:")}, args...)...)
}

// printNotes writes notes to standard error.
func printNotes(notes []string) {
	for _, n := range notes {
		plain.Paragraph(stderr, "      ", "%s %s", styled(stderr, faint, "note:"), n)
	}
}

// complain writes an error, a line for each where several are joined, and what to do next.
func complain(err error) {
	for _, line := range append(errorLines(err), hints(err)...) {
		say("%s", line)
	}
}

// errorLines takes an error apart where errors.Join has put several together, also below the words of another one. A
// line break anywhere else is somebody's who wants to begin a line.
func errorLines(err error) []string {
	text := err.Error()
	switch e := err.(type) {
	case interface{ Unwrap() []error }:
		var texts, lines []string
		for _, one := range e.Unwrap() {
			texts, lines = append(texts, one.Error()), append(lines, errorLines(one)...)
		}
		if strings.Join(texts, "\n") == text {
			return lines
		}
	case interface{ Unwrap() error }:
		inner := e.Unwrap()
		if inner == nil {
			break
		}
		lines := errorLines(inner)
		if before, after, ok := strings.Cut(text, inner.Error()); ok && len(lines) > 1 {
			lines[0] = before + lines[0]
			lines[len(lines)-1] += after
			return lines
		}
	}
	return []string{text}
}
