package main

import (
	"bytes"
	"io"

	"monban/inspect/page"
	"monban/policy/lang"
)

// page writes the HTML page.
func (e *explained) page(w io.Writer, file string) error {
	order, err := e.gate.ByteOrder()
	if err != nil {
		return exit{exitUsage, err}
	}
	g := &page.Gate{
		Name: e.gate.Name, Kind: e.gate.Kind(), Verdict: e.verdict, Archs: e.archs, Order: order,
		Notes: e.notes, Known: wellKnown, Against: e.container, Elsewhere: e.elsewhere,
	}
	if e.wordless != nil {
		g.Notes = append(g.Notes, e.wordless.Error())
	}
	if e.policy != nil {
		g.Policy = lang.Print(e.policy)
	}
	for _, f := range e.findings {
		g.Dangers = append(g.Dangers, page.Danger{Title: f.Title, Reason: f.Why, Witness: witness(&f)})
	}
	var b bytes.Buffer
	if err := page.Write(&b, g); err != nil {
		return tooComplex(e.gate, err)
	}
	return usage(writeText(w, file, b.Bytes()))
}
