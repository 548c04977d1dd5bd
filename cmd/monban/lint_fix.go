package main

import (
	"strings"

	"monban/format"
	"monban/format/codec"
	"monban/lint"
	"monban/report"
)

// one looks at a gate, and changes its text if that was asked for.
func (p *lintPlan) one(ref string, o lint.Options, least lint.Severity) (report.Findings, error) {
	f := report.Findings{Least: least}
	g, err := p.gate.read(ref)
	if err != nil {
		return f, err
	}
	if f.Result, err = lint.Run(g, o); err != nil {
		return f, err
	}
	if p.fix {
		if err := p.fixed(ref, &f, o); err != nil {
			return f, err
		}
	}
	var notes codec.Notes
	for _, i := range f.Unused {
		notes.Add(i.Pos, "nothing to ignore here: there is no %s", i.ID)
	}
	printNotes(notes.List())
	return f, nil
}

// fixed changes a gate's text as far as its findings tell how.
func (p *lintPlan) fixed(ref string, f *report.Findings, o lint.Options) error {
	if ref == "-" || strings.HasSuffix(ref, ":-") {
		return &lint.NoTextError{Gate: f.Gate.Name, Kind: "stream"}
	}
	read, err := p.gate.options()
	if err != nil {
		return err
	}
	text, _ := format.Find("gate")
	name := f.Gate.Name
	f.Result, f.Fixed, err = lint.Fix(f.Result, f.Least, func(src []byte) (*lint.Result, error) {
		g, err := format.Parse(text, name, src, read)
		if err != nil {
			return nil, err
		}
		return lint.Run(g, o)
	})
	return err
}

// keepFixed writes the texts that were changed: all of them, or none.
func keepFixed(all []report.Findings) error {
	var names []string
	var texts [][]byte
	for _, f := range all {
		if len(f.Fixed) > 0 {
			names, texts = append(names, f.Gate.Name), append(texts, f.Gate.Source)
		}
	}
	return writeFiles(names, texts)
}
