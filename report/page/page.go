// Package page draws a gate as one HTML page that needs nothing else: no network, no other file. It can be searched and
// filtered, and printed; without scripts it shows all of it.
package page

import (
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"sync"

	"monban/abi"
	"monban/bpf"
	"monban/compile"
	"monban/inspect"
	"monban/internal/plain"
	"monban/policy"
	"monban/policy/lang"
	"monban/report"
)

//go:embed page.html
var text string

var page = sync.OnceValue(func() *template.Template { return template.Must(template.New("page").Parse(text)) })

// Write draws the page. Names are written in HTML, and so that no browser obeys an invisible character in them. The
// error is w's, or the gate's.
func Write(w io.Writer, e *inspect.Explanation) error {
	m := model{Name: plain.Text(e.Gate.Name), Kind: e.Gate.Kind, Known: inspect.WellKnown, Legend: legend()}
	notes := e.Notes
	if e.Wordless != nil {
		notes = append(slices.Clone(notes), e.Wordless.Error())
	}
	for _, n := range notes {
		m.Notes = append(m.Notes, plain.Text(n))
	}
	if e.Told {
		m.Elsewhere = policy.ActionOn(e.Archs[0], e.Elsewhere).String()
	}
	if e.Policy != nil {
		m.Policy = lang.Print(e.Policy)
	}
	for i := range e.Findings {
		f := &e.Findings[i]
		m.Dangers = append(m.Dangers, danger{f.Title, f.Why, report.Witness(f)})
	}
	for i, v := range e.Views {
		m.Tabs = append(m.Tabs, tabOf(v, i == 0))
	}
	m.Trees = trees(e)
	door := plain.NewWriter(w)
	if err := page().Execute(door, m); err != nil {
		return err
	}
	return door.Flush()
}

// A model is what the template shows.
type model struct {
	Name, Kind string
	Tabs       []tab
	Legend     []kind
	Trees      []drawing
	Elsewhere  string // the answer to other architectures' calls, "" where they are not told apart
	Notes      []string
	Dangers    []danger
	Known      string // the gate that it is compared with
	Policy     string // the text in the policy language, "" where there is none
}

// A danger is what may surprise, with a call that shows it.
type danger struct{ Title, Reason, Witness string }

// A tab is one architecture.
type tab struct {
	Arch              string
	First             bool
	Total             int
	Always, Sometimes int
	Unknown           string
	Kinds             []kind // how many calls of each colour
	Sections          []section
	Depend            []tile
	More, Fewer       int
}

// A section is the calls of one purpose.
type section struct {
	Purpose string
	Tiles   []tile
}

// A tile is a call.
type tile struct {
	Name     string
	Number   uint32
	Class    string // its colour
	Action   string // in words: "allow", "depends"
	Lines    []string
	Compared string // "more", "fewer" or "": compared with the known gate
	Arch     string
}

// A kind is a colour of tiles.
type kind struct {
	Class, Name string
	Count       int
}

func legend() []kind {
	return []kind{{"allow", "allowed", 0}, {"log", "allowed and logged", 0}, {"depends", "arguments decide", 0},
		{"ask", "supervised: notify, trace", 0}, {"errno", "fails with an error", 0}, {"trap", "signal: trap", 0}, {"kill", "killed", 0}}
}

func classOf(do bpf.Action) string {
	switch do.Kind() {
	case bpf.Allow:
		return "allow"
	case bpf.Log:
		return "log"
	case bpf.Errno:
		return "errno"
	case bpf.Trap:
		return "trap"
	}
	if do.Asks() {
		return "ask"
	}
	return "kill"
}

func tabOf(s inspect.View, first bool) tab {
	a := s.Arch
	t := tab{Arch: a.String(), First: first, Total: len(s.Calls)}
	t.Always, t.Sometimes = s.Passing()
	var unknown []string
	for _, do := range s.Unknown {
		unknown = append(unknown, policy.ActionOn(a, do).String())
	}
	t.Unknown = strings.Join(unknown, ", or ")
	compared := map[string]string{}
	if c := s.Known; c != nil {
		t.More, t.Fewer = len(c.More), len(c.Fewer)
		for _, p := range c.Fewer {
			compared[p.Call] = "fewer"
		}
		for _, p := range c.More {
			compared[p.Call] = "more"
		}
	}
	count := map[string]int{}
	by := map[string][]tile{}
	for _, c := range s.Calls {
		k := tile{Name: c.Name, Number: c.Number, Class: "depends", Action: "depends", Compared: compared[c.Name], Arch: t.Arch}
		if !c.Depends() {
			k.Class, k.Action = classOf(c.Cases[0].Action), policy.ActionOn(a, c.Cases[0].Action).String()
			k.Lines = []string{k.Action}
		} else {
			for i, one := range c.Cases {
				line := policy.ActionOn(a, one.Action).String()
				switch {
				case one.When.Unreadable:
					line += " " + one.When.String()
				case i == len(c.Cases)-1:
					line += " otherwise"
				default:
					line += " if " + one.When.String()
				}
				k.Lines = append(k.Lines, line)
			}
			t.Depend = append(t.Depend, k)
		}
		count[k.Class]++
		by[c.Purpose] = append(by[c.Purpose], k)
	}
	for _, p := range inspect.Purposes() {
		if by[p] != nil {
			t.Sections = append(t.Sections, section{p, by[p]})
		}
	}
	for _, k := range legend() {
		if k.Count = count[k.Class]; k.Count > 0 {
			t.Kinds = append(t.Kinds, k)
		}
	}
	return t
}

// trees draws the filters that the gate compiles to, of each byte order; where that is impossible, the drawing says
// why.
func trees(e *inspect.Explanation) []drawing {
	var out []drawing
	parts := e.Gate.Parts()
	for _, part := range parts {
		of := ""
		if len(parts) > 1 {
			of = "for " + abi.Join(part.Policy.Archs, ", ") + ": "
		}
		programs, err := part.Compile(compile.Options{})
		if err != nil {
			why := err.Error()
			if !errors.Is(err, compile.ErrTooLong) {
				why = "the filter cannot be compiled: " + why
			}
			out = append(out, drawing{Title: of + why})
			continue
		}
		order, _ := part.ByteOrder() // it was compiled
		for i, p := range programs {
			d := draw(p, order, e.Archs)
			d.Title = of + plain.Count(len(p), "instruction") + ", proven to mean the same as the gate"
			if len(programs) > 1 {
				d.Title = fmt.Sprintf("%sfilter %d of %d: %s; together they are proven to mean the same as the gate", of, i+1, len(programs), plain.Count(len(p), "instruction"))
			}
			out = append(out, d)
		}
	}
	return slices.Clip(out)
}
