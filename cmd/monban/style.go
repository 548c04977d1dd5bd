package main

import (
	"io"

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
func style(w io.Writer) report.Options { return report.Options{Colour: coloured(w), Hints: true} }
