package main

import (
	"bytes"

	"monban/abi"
	"monban/inspect"
	"monban/inspect/page"
	"monban/policy"
)

// page writes the HTML page.
func (e *explained) page(file string) error {
	order, err := e.gate.ByteOrder()
	if err != nil {
		return exit{exitUsage, err}
	}
	g := &page.Gate{
		Name: e.gate.Name, Kind: e.gate.Kind(), Verdict: e.verdict, Archs: e.archs, Order: order,
		Notes: e.notes, Known: wellKnown, Against: map[abi.Arch]*inspect.Against{},
	}
	if e.wordless != nil {
		g.Notes = append(g.Notes, e.wordless.Error())
	}
	if do, ok := inspect.Elsewhere(e.verdict); ok {
		g.Elsewhere = policy.ActionOn(e.archs[0], do).String()
	}
	if e.policy != nil {
		g.Policy = e.policy.String()
	}
	for _, f := range e.findings {
		g.Dangers = append(g.Dangers, page.Danger{Title: f.Title, Reason: f.Why, Witness: witness(&f)})
	}
	for _, a := range e.archs {
		if c, err := e.container(a); err == nil {
			g.Against[a] = &c
		}
	}
	var b bytes.Buffer
	if err := page.Write(&b, g); err != nil {
		return err
	}
	return usage(writeFile(file, b.Bytes()))
}
