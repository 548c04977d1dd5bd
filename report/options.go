package report

import (
	"fmt"
	"io"
	"strings"

	"monban/abi"
	"monban/bpf"
	"monban/internal/plain"
	"monban/policy"
)

// Options say how text is written. The zero value is plain text.
type Options struct {
	Colour bool // with the escape sequences of a terminal
	Width  int  // how many columns a line takes at most, where its words allow that; 0: 100
	Hints  bool // say which flags and verbs of the command monban show more
}

// A printer writes lines, and may give hints.
type printer struct {
	plain.Printer
	hints bool
}

func (o Options) printer(w io.Writer) *printer {
	return &printer{plain.Printer{To: w, Width: o.Width, Styles: o.Colour}, o.Hints}
}

// The styles, by what they are for.
const (
	bold   = plain.Bold
	faint  = plain.Faint
	red    = plain.Red
	green  = plain.Green
	yellow = plain.Yellow
)

// hint adds what to type to see more, where that is wanted.
func (p *printer) hint(text string) string {
	if !p.hints {
		return ""
	}
	return " (" + text + ")"
}

// heading begins a part.
func (p *printer) heading(format string, args ...any) {
	p.Printf("\n")
	p.Printf(format, args...)
	p.Printf("\n")
}

// actionStyle is green for what passes, yellow for what is refused, red for what kills.
func actionStyle(a bpf.Action) plain.Style {
	switch a.Effect() {
	case bpf.Passes:
		return green
	case bpf.Kills:
		return red
	}
	return yellow
}

// action is an action in the policy language.
func action(a abi.Arch, do bpf.Action) string { return policy.ActionOn(a, do).String() }

// Plural is "1 call", "2 calls".
func Plural[N int | uint64](n N, what string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, what)
	}
	if strings.HasSuffix(what, "s") {
		what += "e" // processes
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// archNames are names of architectures.
func archNames(archs []abi.Arch) (names []string) {
	for _, a := range archs {
		names = append(names, a.String())
	}
	return names
}

// fitting joins as many names as fit into some columns, and counts the rest.
func fitting(names []string, room int) string {
	text := strings.Join(names, " ")
	for n := len(names) - 1; n > 0 && len(text) > room; n-- {
		text = fmt.Sprintf("%s +%d", strings.Join(names[:n], " "), len(names)-n)
	}
	return text
}
