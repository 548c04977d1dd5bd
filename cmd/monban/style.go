package main

import (
	"io"
	"strings"

	"monban/internal/plain"
	"monban/report"
)

// The styles, by what they are for.
const (
	bold  = plain.Bold
	faint = plain.Faint
	red   = plain.Red
	green = plain.Green
)

// style is how reports are written to w.
func style(w io.Writer) report.Options { return report.Options{Colour: coloured(w), Hint: reportHint} }

// reportHints are what to type to see more than a report says; %s is what the hint is about.
var reportHints = map[report.Hint]string{
	report.HintMore:       "--full (all of it, as a gate), --syscall NAME (one call), --html FILE (a page)",
	report.HintFindings:   "monban lint says more of each",
	report.HintConditions: "--full lists them",
	report.HintArguments:  "monban diff %s GATE tells which",
	report.HintClasses:    "--json has all",
	report.HintLessSevere: "--min-severity advice shows them",
	report.HintWords:      "monban explain %s >my.gate",
	report.HintArchs:      "try --arch %s",
}

func reportHint(h report.Hint, about string) string {
	return strings.ReplaceAll(reportHints[h], "%s", about)
}
