package report

import (
	"fmt"
	"io"
	"strings"

	"monban/abi"
	"monban/gate"
	"monban/internal/plain"
	"monban/lint"
	"monban/policy"
)

// Findings are those of one gate, as far as somebody wants to see them.
type Findings struct {
	*lint.Result
	Least lint.Severity // the least that is shown
	Fixed []lint.Fixed  // what was changed in the gate's text, which is the result's then
}

// shown are the findings of the severity that was asked for, and how many less severe ones there are.
func (f *Findings) shown() (shown []lint.Finding, below int) {
	for _, one := range f.Findings {
		if one.Severity >= f.Least {
			shown = append(shown, one)
		}
	}
	return shown, len(f.Findings) - len(shown)
}

// Any says that there is a finding to be shown.
func (f *Findings) Any() bool {
	shown, _ := f.shown()
	return len(shown) > 0
}

// Witness writes a finding's call and what it gets; one of an architecture that nobody has is written as numbers.
func Witness(f *lint.Finding) string {
	a, ok := abi.Of(f.Call.Arch, f.Call.Nr)
	on := f.Archs
	switch {
	case !ok:
		return fmt.Sprintf("call %d of architecture %#x: %s", f.Call.Nr, f.Call.Arch, f.Action)
	case a != on[0]:
		on = []abi.Arch{a} // what is said of x86_64 may be a call of x32
	}
	return fmt.Sprintf("%s on %s: %s", policy.FormatCall(a, &f.Call), abi.Join(on, ", "), action(a, f.Action))
}

var severityStyle = map[lint.Severity]plain.Style{lint.High: red, lint.Medium: yellow, lint.Low: faint, lint.Advice: faint}

// FindingsText says what is wrong with gates, each finding with its witness and what to do.
func FindingsText(w io.Writer, all []Findings, o Options) error {
	p := o.printer(w)
	for i := range all {
		if i > 0 {
			p.Printf("\n")
		}
		p.findings(&all[i])
	}
	return p.Err()
}

func (p *printer) findings(l *Findings) {
	p.fixed(l.Fixed)
	shown, below := l.shown()
	count := map[lint.Severity]int{}
	for i := range shown {
		f := &shown[i]
		count[f.Severity]++
		p.Paragraph("  ", "%s %s %s", p.Styled(severityStyle[f.Severity], f.Severity.String()), p.Styled(bold, f.ID), f.Title)
		if f.Pos.Line > 0 {
			p.Printf("  at %s\n", f.Pos)
		}
		for _, s := range []string{"why: " + f.Why, "witness: " + Witness(f), "fix: " + f.Fix, "see: " + f.Reference} {
			p.Paragraph("    ", "  %s", s)
		}
		p.Printf("\n")
	}
	var said []string
	for s := lint.High; s >= lint.Advice; s-- {
		if n := count[s]; n > 0 {
			said = append(said, fmt.Sprintf("%d %s", n, s))
		}
	}
	if said == nil {
		said = []string{"nothing found"}
	}
	if below > 0 {
		said = append(said, fmt.Sprintf("%d less severe%s", below, p.hint(" (", HintLessSevere, "", ")")))
	}
	if n := len(l.Ignored); n > 0 {
		said = append(said, fmt.Sprintf("%d ignored", n))
	}
	p.Printf("%s: %s\n", l.Gate.Name, strings.Join(said, ", "))
}

// CatalogueText lists all pitfalls, a line each.
func CatalogueText(w io.Writer, o Options) error {
	p := o.printer(w)
	for e := range lint.Checks() {
		p.Paragraph("      ", "%s %-18s %-7s %s", e.ID, e.Name, e.Severity, e.Title)
	}
	return p.Err()
}

// A pitfall is an entry of the catalogue, for machines.
type pitfall struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Severity  string `json:"severity"`
	Title     string `json:"title"`
	Why       string `json:"why"`
	Fix       string `json:"fix"`
	Reference string `json:"reference"`
}

func pitfallOf(e *lint.Check) pitfall {
	return pitfall{e.ID, e.Name, e.Severity.String(), e.Title, e.Why, e.Fix, e.Reference}
}

// CatalogueJSON writes monban/lint-list/2.
func CatalogueJSON(w io.Writer) error {
	var all []pitfall
	for e := range lint.Checks() {
		all = append(all, pitfallOf(&e))
	}
	return JSON(w, "lint-list/2", map[string]any{"pitfalls": all})
}

// A finding is a pitfall in a gate, for machines.
type finding struct {
	pitfall
	Calls   []string `json:"calls,omitempty"`
	Archs   []string `json:"archs"`
	Witness string   `json:"witness"`
	Action  string   `json:"action"`
	Where   string   `json:"where,omitempty"`
	Ignored string   `json:"ignored,omitempty"` // the reason
	Edit    *edit    `json:"edit,omitempty"`    // of the gate's text, which fixes it
}

type edit struct {
	Row int      `json:"row"`
	Old []string `json:"old"`
	New []string `json:"new"`
}

func findings(g *gate.Gate, all []lint.Finding) []finding {
	out := []finding{}
	for i := range all {
		out = append(out, findingOf(g, &all[i]))
	}
	return out
}

func findingOf(g *gate.Gate, f *lint.Finding) finding {
	out := finding{pitfall: pitfallOf(&f.Check), Calls: f.Calls, Archs: archNames(f.Archs), Witness: Witness(f), Action: action(f.Archs[0], f.Action)}
	out.Title = f.Title
	if f.Pos.Line > 0 {
		out.Where = f.Pos.String()
	}
	if e := editOf(g, f); e != nil {
		out.Edit = &edit{e.Row, append([]string{}, e.Old...), append([]string{}, e.New...)}
	}
	return out
}

// FindingsJSON writes monban/lint/2.
func FindingsJSON(w io.Writer, all []Findings) error {
	type gateObject struct {
		Gate     string    `json:"gate"`
		Findings []finding `json:"findings"`
		Below    int       `json:"below"`
		Ignored  []finding `json:"ignored,omitempty"`
	}
	var gates []gateObject
	for i := range all {
		shown, below := all[i].shown()
		o := gateObject{Gate: all[i].Gate.Name, Findings: findings(all[i].Gate, shown), Below: below}
		for _, ignored := range all[i].Ignored {
			one := findingOf(all[i].Gate, &ignored.Finding)
			one.Ignored = ignored.Reason
			o.Ignored = append(o.Ignored, one)
		}
		gates = append(gates, o)
	}
	return JSON(w, "lint/2", map[string]any{"gates": gates})
}
