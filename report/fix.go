package report

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf16"

	"monban/gate"
	"monban/lint"
)

// fixed says what was changed; not what only stands elsewhere, or is spaced otherwise.
func (p *printer) fixed(all []lint.Fixed) {
	for i := range all {
		f := &all[i]
		p.Paragraph("  ", "fixed %s %s", p.Styled(bold, f.ID), f.Title)
		p.changedRows("-", f.Edit.Old, f.Edit.New)
		p.changedRows("+", f.Edit.New, f.Edit.Old)
		p.Printf("\n")
	}
}

func (p *printer) changedRows(mark string, rows, others []string) {
	words := func(row string) string { return strings.Join(strings.Fields(row), " ") }
	for _, row := range rows {
		if row != "" && !slices.ContainsFunc(others, func(other string) bool { return words(other) == words(row) }) {
			p.Printf("  %s %s\n", mark, row)
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
