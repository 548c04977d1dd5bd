package main

import (
	"bytes"
	"io"

	"monban/inspect/page"
	"monban/policy/lang"
)

// page writes the HTML page.
func (e *explained) page(w io.Writer, file string) error {
	c := &page.Content{
		Gate: e.gate, Archs: e.archs, Notes: e.notes, Known: wellKnown, Against: e.container, Elsewhere: e.elsewhere,
	}
	if e.wordless != nil {
		c.Notes = append(c.Notes, e.wordless.Error())
	}
	if e.policy != nil {
		c.Policy = lang.Print(e.policy)
	}
	for _, f := range e.findings {
		c.Dangers = append(c.Dangers, page.Danger{Title: f.Title, Reason: f.Why, Witness: witness(&f)})
	}
	var b bytes.Buffer
	if err := page.Write(&b, c); err != nil {
		return usage(err)
	}
	return usage(writeText(w, file, b.Bytes()))
}
