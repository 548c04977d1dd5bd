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
	// Hint says, in words of whoever writes the report, how a reader sees or does more, "" for nothing to say. Nil:
	// nothing.
	Hint func(h Hint, about string) string
}

// A Hint is what a reader may want next.
type Hint int

// The hints, and what they are about.
const (
	HintMore       Hint = iota // more about a gate than fits a screen
	HintFindings               // more about its findings
	HintConditions             // all calls whose arguments decide
	HintArguments              // for which arguments a gate differs from the one named
	HintClasses                // all calls of a difference
	HintLessSevere             // less severe findings
	HintWords                  // how to write the gate named as a policy
	HintArchs                  // how to read a gate for the architectures named
)

// A printer writes lines, with hints.
type printer struct {
	plain.Printer
	Options
}

func (o Options) printer(w io.Writer) *printer {
	return &printer{plain.Printer{To: w, Width: o.Width, Styles: o.Colour}, o}
}

// The styles, by what they are for.
const (
	bold   = plain.Bold
	faint  = plain.Faint
	red    = plain.Red
	green  = plain.Green
	yellow = plain.Yellow
)

// hint is a hint behind what stands before it, "" where there is none.
func (o *Options) hint(before string, h Hint, about, after string) string {
	if o.Hint == nil {
		return ""
	}
	text := o.Hint(h, about)
	if text == "" {
		return ""
	}
	return before + text + after
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
