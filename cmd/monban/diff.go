package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"monban/abi"
	"monban/gate"
	"monban/inspect"
	"monban/internal/plain"
	"monban/verdict"
)

func diffCommand() *cobra.Command {
	var flags gateFlags
	var asJSON, subset bool
	cmd := &cobra.Command{
		Use:   "diff [flags] A B",
		Short: "exactly what two gates disagree on",
		Long: `Diff compares the meanings of two gates, whatever form they have. It is exact: no call is sampled,
and status 0 is a proof that the two are equal. Otherwise the status is 1, and what changes when A
is replaced by B is listed, worst first: calls that are newly allowed, then those that are answered
otherwise, then those that are newly denied. Each kind has its calls, their conditions, and one call
as a witness.

With --subset, status 0 is a proof that A lets nothing pass that B doesn't; otherwise the status is
1, and what A lets pass beyond B is listed.`,
		Example: `  monban diff docker.json @container
  monban diff pid:1234 web.gate
  monban diff --subset new.gate old.gate        a change may only take away
  monban diff stack:docker.json,extra.gate all.gate`,
		Args: takes("A", "B"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var gates []*gate.Gate
			var archs []abi.Arch
			for _, ref := range args {
				g, err := flags.read(ref)
				if err != nil {
					return err
				}
				gates = append(gates, g)
				archs = append(archs, g.Native().Family()...)
			}
			gates, err := gate.Share(gates...)
			if err != nil {
				return exit{exitUsage, err}
			}
			v, err := verdicts(gates)
			if err != nil {
				return exit{exitUsage, err}
			}
			d := comparison{a: args[0], b: args[1], subset: subset, holds: v[0] == v[1]}
			err = v[0].Space().Do(func() (err error) {
				if subset {
					d.classes, d.holds, err = beyond(v[0], v[1], archs)
				} else {
					d.classes, err = inspect.Diff(v[0], v[1], archs)
				}
				return err
			})
			if err != nil {
				return exit{exitUsage, together(args, err)}
			}
			w := cmd.OutOrStdout()
			if asJSON {
				if err := printJSON(w, "diff/2", d.object()); err != nil {
					return err
				}
			} else {
				d.print(w)
			}
			if !d.holds {
				return exit{exitFindings, nil}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&subset, "subset", false, "only ask whether A lets nothing pass that B doesn't")
	flags.register(cmd)
	return cmd
}

// verdicts are what gates mean.
func verdicts(gates []*gate.Gate) (all []verdict.Verdict, err error) {
	for _, g := range gates {
		v, err := g.Verdict()
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// beyond is what a lets pass, or leaves to a supervisor, and b doesn't.
func beyond(a, b verdict.Verdict, archs []abi.Arch) (out []inspect.Class, none bool, err error) {
	all, err := inspect.Diff(b, a, archs)
	for _, c := range all {
		if c.Change == inspect.NewlyAllowed || c.Change == inspect.NewlySupervised {
			out = append(out, c)
		}
	}
	return out, len(out) == 0, err
}

// A comparison is what diff found.
type comparison struct {
	a, b    string
	subset  bool
	holds   bool // equal, or a subset
	classes []inspect.Class
}

func (d *comparison) print(w io.Writer) {
	switch {
	case d.holds && d.subset:
		plain.Fprintf(w, "subset: %s lets nothing pass that %s doesn't\n", d.a, d.b)
	case d.holds:
		plain.Fprintf(w, "equal: %s and %s mean exactly the same\n", d.a, d.b)
	case d.subset:
		plain.Fprintf(w, "no subset: %s lets pass what %s doesn't\n", d.a, d.b)
	default:
		plain.Paragraph(w, "  ", "different: from %s to %s", d.a, d.b)
	}
	for i := range d.classes {
		d.printClass(w, &d.classes[i])
	}
}

func (d *comparison) printClass(w io.Writer, c *inspect.Class) {
	style := yellow
	switch c.Change {
	case inspect.NewlyAllowed, inspect.NewlySupervised:
		style = red
	case inspect.NewlyDenied:
		style = green
	}
	change, from, to := c.Change.String(), c.A, c.B
	if d.subset {
		change = map[inspect.Change]string{inspect.NewlyAllowed: "allowed", inspect.NewlySupervised: "supervised"}[c.Change]
	}
	partial := ""
	if c.Partial {
		partial = "at least "
	}
	plain.Fprintf(w, "\n")
	plain.Paragraph(w, "  ", "%s on %s: %s -> %s, %s%s", styled(w, style, change), strings.Join(c.Archs, ", "), from, to, partial, extent(c))
	const most = 16
	var always []string
	for _, p := range c.Calls {
		if p.When == "" {
			always = append(always, p.Call)
		}
	}
	if n := len(always) - most; n > 0 {
		always = append(always[:most:most], fmt.Sprintf("… and %d more (--json has all)", n))
	}
	if always != nil {
		plain.Paragraph(w, "  ", "  %s", strings.Join(always, " "))
	}
	listed := 0
	for _, p := range c.Calls {
		if p.When == "" {
			continue
		}
		if listed++; listed > most {
			continue
		}
		when := " if " + p.When
		if p.When == inspect.Unreadable {
			when = " " + p.When
		}
		plain.Shortened(w, "    ", "  %s%s", p.Call, when)
	}
	if n := listed - most; n > 0 {
		plain.Fprintf(w, "  … and %d more with conditions (--json has all)\n", n)
	}
	plain.Paragraph(w, "    ", "  witness: %s", c.Witness)
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

func (d *comparison) object() any {
	type numbers struct {
		Arch string `json:"arch"`
		From uint32 `json:"from"`
		To   uint32 `json:"to"`
		When string `json:"when,omitempty"`
	}
	type class struct {
		Change  string         `json:"change"`
		Archs   []string       `json:"archs"`
		A       string         `json:"a"`
		B       string         `json:"b"`
		Calls   []partlyObject `json:"calls"`
		Numbers []numbers      `json:"numbers,omitempty"`
		Partial bool           `json:"partial,omitempty"` // there are too many ranges of numbers to list them all
		Witness string         `json:"witness"`
	}
	classes := []class{}
	for _, c := range d.classes {
		o := class{c.Change.String(), c.Archs, c.A, c.B, partlyObjects(c.Calls), nil, c.Partial, c.Witness}
		if d.subset {
			o.A, o.B = c.B, c.A
		}
		for _, n := range c.Numbers {
			o.Numbers = append(o.Numbers, numbers(n))
		}
		classes = append(classes, o)
	}
	if d.subset {
		return struct {
			Subset  bool    `json:"subset"`
			Classes []class `json:"classes"`
		}{d.holds, classes}
	}
	return struct {
		Equal   bool    `json:"equal"`
		Classes []class `json:"classes"`
	}{d.holds, classes}
}
