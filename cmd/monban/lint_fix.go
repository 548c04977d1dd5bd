package main

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"unicode/utf16"

	"monban/format"
	"monban/gate"
	"monban/internal/plain"
	"monban/lint"
)

// fixGate changes a gate's text as far as its findings tell how.
func fixGate(flags *gateFlags, ref string, r *lint.Result, o lint.Options, least lint.Severity) (*lint.Result, []lint.Fixed, error) {
	if ref == "-" || strings.HasSuffix(ref, ":-") {
		return nil, nil, &lint.NoTextError{Gate: r.Gate.Name, Kind: "stream"}
	}
	read, err := flags.options()
	if err != nil {
		return nil, nil, err
	}
	text, _ := format.Find("gate")
	return lint.Fix(r, least, func(src []byte) (*lint.Result, error) {
		g, err := format.Parse(text, r.Gate.Name, src, read)
		if err != nil {
			return nil, err
		}
		return lint.Run(g, o)
	})
}

// keepFixed writes the texts that were changed: all of them, or none.
func keepFixed(all []linted) error {
	var names []string
	var texts [][]byte
	for _, l := range all {
		if len(l.fixed) > 0 {
			names, texts = append(names, l.gate.Name), append(texts, l.gate.Source)
		}
	}
	return writeFiles(names, texts)
}

// printFixed says what was changed; not what only stands elsewhere, or is spaced otherwise.
func (l *linted) printFixed(w io.Writer) {
	for i := range l.fixed {
		f := &l.fixed[i]
		plain.Paragraph(w, "  ", "fixed %s %s", styled(w, bold, f.ID), f.Title)
		changedRows(w, "-", f.Edit.Old, f.Edit.New)
		changedRows(w, "+", f.Edit.New, f.Edit.Old)
		plain.Fprintf(w, "\n")
	}
}

func changedRows(w io.Writer, mark string, rows, others []string) {
	words := func(row string) string { return strings.Join(strings.Fields(row), " ") }
	for _, row := range rows {
		if row != "" && !slices.ContainsFunc(others, func(other string) bool { return words(other) == words(row) }) {
			plain.Fprintf(w, "  %s %s\n", mark, row)
		}
	}
}

// editOf is the change to a gate's text that fixes a finding; nil where there is none.
func editOf(g *gate.Gate, f *lint.Finding) *lint.Edit {
	if g.Format != "gate" || g.Source == nil {
		return nil
	}
	return f.Edit(g.Name, g.Source)
}

// The parts of SARIF for changes.
type (
	sarifFix struct {
		Description sarifText     `json:"description"`
		Changes     []sarifChange `json:"artifactChanges"`
	}
	sarifChange struct {
		Artifact struct {
			URI string `json:"uri"`
		} `json:"artifactLocation"`
		Replacements []sarifReplacement `json:"replacements"`
	}
	sarifReplacement struct {
		Deleted struct {
			sarifRegion
			EndLine   int `json:"endLine"`
			EndColumn int `json:"endColumn"`
		} `json:"deletedRegion"`
		Inserted sarifText `json:"insertedContent"`
	}
)

// sarifFixes is the change that fixes a finding, if there is one.
func sarifFixes(g *gate.Gate, f *lint.Finding) []sarifFix {
	e := editOf(g, f)
	if e == nil {
		return nil
	}
	var r sarifReplacement
	r.Deleted.sarifRegion = sarifRegion{e.Row, 1}
	r.Deleted.EndLine, r.Deleted.EndColumn = e.Row+len(e.Old), 1
	for _, row := range e.New {
		r.Inserted.Text += row + "\n"
	}
	if rows := bytes.Count(g.Source, []byte("\n")) + 1; r.Deleted.EndLine > rows { // the last one has no line break
		r.Deleted.EndLine = rows
		last := g.Source[bytes.LastIndexByte(g.Source, '\n')+1:]
		r.Deleted.EndColumn = len(utf16.Encode([]rune(string(last)))) + 1
	}
	c := sarifChange{Replacements: []sarifReplacement{r}}
	c.Artifact.URI = uri(g.Name)
	return []sarifFix{{sarifText{f.Fix}, []sarifChange{c}}}
}
