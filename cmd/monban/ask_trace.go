package main

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"

	"monban/abi"
	"monban/bpf"
	"monban/gate"
	"monban/internal/plain"
	"monban/policy"
)

// steps are what one filter does with a call.
type steps struct {
	Length       int      `json:"length"` // of the filter, in instructions
	Instructions []string `json:"instructions"`
	Returns      string   `json:"returns"`
}

// traced runs a call through the filters of a gate: its own, or those that its policy compiles to. The kernel runs the newest first.
func traced(g *gate.Gate, on abi.Arch, d *bpf.Data) ([]steps, error) {
	for _, part := range g.Parts() { // those of the call's byte order
		if order, err := part.ByteOrder(); err == nil && order == on.ByteOrder() {
			g = part
		}
	}
	order, err := g.ByteOrder()
	if err != nil {
		return nil, err
	}
	programs, err := g.Filters()
	if err != nil {
		return nil, err
	}
	var all []steps
	for i := len(programs) - 1; i >= 0; i-- {
		p := programs[i]
		var listing bytes.Buffer
		if err := bpf.Disassemble(&listing, p, order, namer{}); err != nil {
			return nil, err
		}
		text := map[int]string{}
		for line := range strings.Lines(listing.String()) {
			if n, err := strconv.Atoi(strings.Fields(line)[0]); err == nil {
				text[n] = strings.TrimRight(line, "\n")
			}
		}
		s := steps{Length: len(p)}
		do := p.Trace(d, order, func(pc int) { s.Instructions = append(s.Instructions, text[pc]) })
		s.Returns = do.String()
		if a, ok := abi.Of(d.Arch, d.Nr); ok {
			s.Returns = policy.ActionOn(a, do).String()
		}
		all = append(all, s)
	}
	return all, nil
}

func (a *answer) printTrace(w io.Writer) {
	for i, s := range a.Trace {
		what := "the filter"
		if len(a.Trace) > 1 {
			what = fmt.Sprintf("filter %d of %d", len(a.Trace)-i, len(a.Trace))
		}
		plain.Fprintf(w, "\n  %s executes %d of %s for\n", what, len(s.Instructions), plain.Count(s.Length, "instruction"))
		plain.Paragraph(w, "    ", "  %s", a.Traced)
		for _, line := range s.Instructions {
			plain.Fprintf(w, "  %s\n", line)
		}
		plain.Fprintf(w, "  and returns %s\n", s.Returns)
	}
}
