package report

import (
	"fmt"
	"io"
	"strings"

	"monban/inspect"
	"monban/internal/plain"
	"monban/policy"
)

// DifferenceText says what two gates disagree on, or that they don't.
func DifferenceText(w io.Writer, d *inspect.Difference, o Options) error {
	p := o.printer(w)
	switch {
	case d.Holds() && d.Subset:
		p.Printf("subset: %s lets nothing pass that %s doesn't\n", d.A, d.B)
	case d.Holds():
		p.Printf("equal: %s and %s mean exactly the same\n", d.A, d.B)
	case d.Subset:
		p.Printf("no subset: %s lets pass what %s doesn't\n", d.A, d.B)
	default:
		p.Paragraph("  ", "different: from %s to %s", d.A, d.B)
	}
	for i := range d.Classes {
		p.class(d, &d.Classes[i])
	}
	return p.Err()
}

// beyond is what a change is called where the first gate should let nothing pass beyond the second.
var beyond = map[inspect.Change]string{inspect.NewlyAllowed: "allowed", inspect.NewlySupervised: "supervised"}

func (p *printer) class(d *inspect.Difference, c *inspect.Class) {
	style := yellow
	switch c.Change {
	case inspect.NewlyAllowed, inspect.NewlySupervised:
		style = red
	case inspect.NewlyDenied:
		style = green
	}
	change, from, to := c.Change.String(), c.A, c.B
	if d.Subset {
		change, from, to = beyond[c.Change], c.B, c.A
	}
	partial := ""
	if c.Partial {
		partial = "at least "
	}
	p.Printf("\n")
	p.Paragraph("  ", "%s on %s: %s -> %s, %s%s", p.Styled(style, change), strings.Join(classArchs(c), ", "), from, to, partial, extent(c))
	p.subsets(c.Calls)
	p.Paragraph("    ", "  witness: %s", classWitness(c))
}

// subsets lists calls, those with conditions in lines of their own.
func (p *printer) subsets(calls []inspect.Subset) {
	const most = 16
	var always []string
	for _, s := range calls {
		if s.When.Always() {
			always = append(always, s.Call)
		}
	}
	if n := len(always) - most; n > 0 {
		always = append(always[:most:most], fmt.Sprintf("… and %d more%s", n, p.hint(" (", HintClasses, "", ")")))
	}
	if always != nil {
		p.Paragraph("  ", "  %s", strings.Join(always, " "))
	}
	listed := 0
	for _, s := range calls {
		if s.When.Always() {
			continue
		}
		if listed++; listed <= most {
			p.Shortened("    ", "  %s %s", s.Call, condition(s.When))
		}
	}
	if n := listed - most; n > 0 {
		p.Printf("  … and %d more with conditions%s\n", n, p.hint(" (", HintClasses, "", ")"))
	}
}

// others is the name of all architectures that a gate does not tell apart.
const others = "other architectures"

func classArchs(c *inspect.Class) []string {
	if c.Others {
		return []string{others}
	}
	return archNames(c.Archs)
}

// classWitness writes a class's call; one of an architecture that nobody has is written as numbers.
func classWitness(c *inspect.Class) string {
	if c.Others {
		return fmt.Sprintf("call %d, arguments %#x, of architecture %#x", c.Witness.Nr, c.Witness.Args, c.Witness.Arch)
	}
	return policy.FormatCall(c.Archs[0], &c.Witness)
}

// extent is how much a class concerns: "3 calls", "3 calls and 80 numbers that no call has".
func extent(c *inspect.Class) string {
	calls, numbers := len(c.Calls), uint64(0)
	for _, n := range c.Numbers {
		numbers += uint64(n.To) - uint64(n.From) + 1
	}
	switch {
	case numbers > 0 && numbers%(1<<32) == 0:
		return "any call"
	case numbers == 0:
		return plain.Count(calls, "call")
	case calls == 0:
		return plain.Count(numbers, "number") + " that no call has"
	}
	return fmt.Sprintf("%s and %s that no call has", plain.Count(calls, "call"), plain.Count(numbers, "number"))
}

// DifferenceJSON writes monban/diff/2.
func DifferenceJSON(w io.Writer, d *inspect.Difference) error {
	type numbers struct {
		Arch string `json:"arch"`
		From uint32 `json:"from"`
		To   uint32 `json:"to"`
		When string `json:"when,omitempty"`
	}
	type class struct {
		Change  string    `json:"change"`
		Archs   []string  `json:"archs"`
		A       string    `json:"a"`
		B       string    `json:"b"`
		Calls   []subset  `json:"calls"`
		Numbers []numbers `json:"numbers,omitempty"`
		Partial bool      `json:"partial,omitempty"` // there are too many ranges of numbers to list them all
		Witness string    `json:"witness"`
	}
	classes := []class{}
	for i := range d.Classes {
		c := &d.Classes[i]
		o := class{c.Change.String(), classArchs(c), c.A.String(), c.B.String(), subsets(c.Calls), nil, c.Partial, classWitness(c)}
		for _, n := range c.Numbers {
			arch := others
			if !c.Others {
				arch = n.Arch.String()
			}
			o.Numbers = append(o.Numbers, numbers{arch, n.From, n.To, n.When.String()})
		}
		classes = append(classes, o)
	}
	if d.Subset {
		return JSON(w, "diff/2", struct {
			Subset  bool    `json:"subset"`
			Classes []class `json:"classes"`
		}{d.Holds(), classes})
	}
	return JSON(w, "diff/2", struct {
		Equal   bool    `json:"equal"`
		Classes []class `json:"classes"`
	}{d.Holds(), classes})
}
