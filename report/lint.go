package report

import (
	"fmt"
	"io"
	"strings"

	"monban/abi"
	"monban/internal/plain"
	"monban/lint"
	"monban/policy"
)

// Findings are those of one gate, as far as somebody wants to see them.
type Findings struct {
	*lint.Result
	Least lint.Severity // the least that is shown
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
	shown, below := l.shown()
	count := map[lint.Severity]int{}
	for i := range shown {
		f := &shown[i]
		count[f.Severity]++
		p.Paragraph("  ", "%s %s %s", p.Styled(severityStyle[f.Severity], f.Severity.String()), p.Styled(bold, f.ID), f.Title)
		if f.Pos.Line > 0 {
			p.Printf("  at %s\n", f.Pos)
		}
		for _, s := range []string{"why: " + f.Why, "witness: " + Witness(f), "mend: " + f.Mend, "see: " + f.Reference} {
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
	for _, e := range lint.Catalogue {
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
	Mend      string `json:"mend"`
	Reference string `json:"reference"`
}

func pitfallOf(e *lint.Entry) pitfall {
	return pitfall{e.ID, e.Name, e.Severity.String(), e.Title, e.Why, e.Mend, e.Reference}
}

// CatalogueJSON writes monban/lint-list/1.
func CatalogueJSON(w io.Writer) error {
	var all []pitfall
	for i := range lint.Catalogue {
		all = append(all, pitfallOf(&lint.Catalogue[i]))
	}
	return JSON(w, "lint-list/1", map[string]any{"pitfalls": all})
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
}

func findings(all []lint.Finding) []finding {
	out := []finding{}
	for i := range all {
		out = append(out, findingOf(&all[i]))
	}
	return out
}

func findingOf(f *lint.Finding) finding {
	out := finding{pitfall: pitfallOf(f.Entry), Calls: f.Calls, Archs: archNames(f.Archs), Witness: Witness(f), Action: action(f.Archs[0], f.Action)}
	out.Title = f.Title
	if f.Pos.Line > 0 {
		out.Where = f.Pos.String()
	}
	return out
}

// FindingsJSON writes monban/lint/1.
func FindingsJSON(w io.Writer, all []Findings) error {
	type gate struct {
		Gate     string    `json:"gate"`
		Findings []finding `json:"findings"`
		Below    int       `json:"below"`
		Ignored  []finding `json:"ignored,omitempty"`
	}
	var gates []gate
	for i := range all {
		shown, below := all[i].shown()
		o := gate{Gate: all[i].Gate.Name, Findings: findings(shown), Below: below}
		for _, ignored := range all[i].Ignored {
			one := findingOf(&ignored.Finding)
			one.Ignored = ignored.Reason
			o.Ignored = append(o.Ignored, one)
		}
		gates = append(gates, o)
	}
	return JSON(w, "lint/1", map[string]any{"gates": gates})
}
