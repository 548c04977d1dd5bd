package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"monban/abi"
	"monban/format/codec"
	"monban/gate"
	"monban/internal/plain"
	"monban/lint"
	"monban/policy"
	"monban/policy/lang"
)

func lintCommand() *cobra.Command {
	var flags gateFlags
	var asJSON, asSARIF, list, fix bool
	var threshold string
	var ignore []string
	cmd := &cobra.Command{
		Use:   "lint [flags] GATE…",
		Short: "pitfalls of a gate, each with a call that shows it",
		Long: `Lint looks for what surprises people in gates: ways around a refusal, calls that break programs
after an update, rules that no call reaches. It judges the meaning, so that a policy, a container
profile and somebody's BPF get the same findings. Each has a call as a witness, what to do,
and a reference; docs/lint.md is the catalogue.

The status is 1 if there are findings of --min-severity or worse. In a .gate file, a comment takes a
finding out; at the end of a line for the rules there, alone on a line for the whole gate:

    # monban:ignore MB013 the container has a terminal of its own

--fix changes .gate files, in place, where a change of the rules is what to do. Each change is kept
only if its finding is gone then and nothing as severe came of it. What is left is listed as usual.`,
		Example: `  monban lint web.gate
  monban lint docker.json --min-severity low
  monban lint web.gate --fix
  monban lint web.gate --sarif > lint.sarif
  monban lint --list`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && !list {
				return fmt.Errorf("GATE is missing (usage: %s)", cmd.UseLine())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			w := cmd.OutOrStdout()
			if list {
				return printCatalogue(w, asJSON)
			}
			least, err := lint.ParseSeverity(threshold)
			if err != nil {
				return exit{exitUsage, fmt.Errorf("--min-severity: %w", err)}
			}
			ignores, err := ignoreFlags(ignore)
			if err != nil {
				return exit{exitUsage, err}
			}
			var all []linted
			for _, ref := range args {
				l, err := lintGate(&flags, ref, ignores, least, fix)
				if err != nil {
					return err
				}
				all = append(all, l)
			}
			if err := keepFixed(all); err != nil {
				return exit{exitUsage, err}
			}
			switch {
			case asSARIF:
				err = printSARIF(w, all)
			case asJSON:
				err = printJSON(w, "lint/2", lintObject(all))
			default:
				for i, l := range all {
					if i > 0 {
						plain.Fprintf(w, "\n")
					}
					l.print(w)
				}
			}
			if err == nil && slices.ContainsFunc(all, func(l linted) bool { return len(l.findings) > 0 }) {
				return exit{exitFindings, nil}
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&asSARIF, "sarif", false, "print SARIF 2.1.0, as code forges take it")
	cmd.Flags().BoolVar(&list, "list", false, "print the catalogue")
	cmd.Flags().BoolVar(&fix, "fix", false, "change .gate files, in place, where that is what to do")
	cmd.Flags().StringVar(&threshold, "min-severity", "medium", "findings from here on: advice, low, medium, high")
	cmd.Flags().StringSliceVar(&ignore, "ignore", nil, "pitfalls to leave out, for gates that have no comments: MB013,…")
	cmd.MarkFlagsMutuallyExclusive("json", "sarif", "fix")
	flags.register(cmd)
	for flag, words := range map[string][]string{"min-severity": {"advice", "low", "medium", "high"}, "ignore": lintIDs()} {
		if err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)); err != nil {
			panic(err) // the flag was registered above
		}
	}
	return cmd
}

func lintIDs() (ids []string) {
	for e := range lint.Checks() {
		ids = append(ids, e.ID)
	}
	return ids
}

func ignoreFlags(ids []string) (out []lint.Ignore, err error) {
	for _, id := range ids {
		if _, ok := lint.ByID(id); !ok {
			return nil, fmt.Errorf("--ignore: %w", &lint.IDError{ID: id})
		}
		out = append(out, lint.Ignore{ID: id, Reason: "--ignore", Whole: true})
	}
	return out, nil
}

// A linted gate is what was found in it.
type linted struct {
	gate     *gate.Gate
	fixed    []lint.Fixed   // by --fix: the gate is what it became
	findings []lint.Finding // of the severity that was asked for
	below    int            // and how many less severe ones there are
	ignored  []lint.Ignored
}

func lintGate(flags *gateFlags, ref string, ignores []lint.Ignore, least lint.Severity, fix bool) (linted, error) {
	g, err := flags.read(ref)
	if err != nil {
		return linted{}, err
	}
	o := lint.Options{Ignore: ignores, ReadFile: lang.ReadIncluded}
	r, err := lint.Run(g, o)
	if err != nil {
		return linted{}, usage(err)
	}
	var fixed []lint.Fixed
	if fix {
		if r, fixed, err = fixGate(flags, ref, r, o, least); err != nil {
			return linted{}, usage(err)
		}
	}
	l := linted{gate: r.Gate, fixed: fixed, ignored: r.Ignored}
	var notes codec.Notes
	for _, i := range r.Unused {
		notes.Add(i.Pos, "nothing to ignore here: there is no %s", i.ID)
	}
	printNotes(notes.List())
	for _, f := range r.Findings {
		if f.Severity < least {
			l.below++
			continue
		}
		l.findings = append(l.findings, f)
	}
	return l, nil
}

// worthSaying leaves out what only lint is asked for.
func worthSaying(all []lint.Finding) []lint.Finding {
	return slices.DeleteFunc(all, func(f lint.Finding) bool { return f.Severity < lint.Medium })
}

// witness writes a finding's call and what it gets; one of an architecture that nobody has is written as numbers.
func witness(f *lint.Finding) string {
	a, ok := abi.Of(f.Call.Arch, f.Call.Nr)
	on := f.Archs
	switch {
	case !ok:
		return fmt.Sprintf("call %d of architecture %#x: %s", f.Call.Nr, f.Call.Arch, f.Action)
	case a != on[0]:
		on = []abi.Arch{a} // what is said of x86_64 may be a call of x32
	}
	return fmt.Sprintf("%s on %s: %s", policy.FormatCall(a, &f.Call), archNames(on), policy.ActionOn(a, f.Action))
}

var severityStyle = map[lint.Severity]plain.Style{lint.High: red, lint.Medium: yellow, lint.Low: faint, lint.Advice: faint}

func (l *linted) print(w io.Writer) {
	l.printFixed(w)
	for i := range l.findings {
		f := &l.findings[i]
		plain.Paragraph(w, "  ", "%s %s %s", styled(w, severityStyle[f.Severity], f.Severity.String()), styled(w, bold, f.ID), f.Title)
		if f.Pos.Line > 0 {
			plain.Fprintf(w, "  at %s\n", f.Pos)
		}
		for _, s := range []string{"why: " + f.Why, "witness: " + witness(f), "fix: " + f.Fix, "see: " + f.Reference} {
			plain.Paragraph(w, "    ", "  %s", s)
		}
		plain.Fprintf(w, "\n")
	}
	var said []string
	for s := lint.High; s >= lint.Advice; s-- {
		n := 0
		for i := range l.findings {
			if l.findings[i].Severity == s {
				n++
			}
		}
		if n > 0 {
			said = append(said, fmt.Sprintf("%d %s", n, s))
		}
	}
	if said == nil {
		said = []string{"nothing found"}
	}
	if l.below > 0 {
		said = append(said, fmt.Sprintf("%d less severe (--min-severity advice shows them)", l.below))
	}
	if n := len(l.ignored); n > 0 {
		said = append(said, fmt.Sprintf("%d ignored", n))
	}
	plain.Fprintf(w, "%s: %s\n", l.gate.Name, strings.Join(said, ", "))
}

// printCatalogue lists all pitfalls.
func printCatalogue(w io.Writer, asJSON bool) error {
	if asJSON {
		type entry struct {
			ID        string `json:"id"`
			Name      string `json:"name"`
			Severity  string `json:"severity"`
			Title     string `json:"title"`
			Why       string `json:"why"`
			Fix       string `json:"fix"`
			Reference string `json:"reference"`
		}
		var all []entry
		for e := range lint.Checks() {
			all = append(all, entry{e.ID, e.Name, e.Severity.String(), e.Title, e.Why, e.Fix, e.Reference})
		}
		return printJSON(w, "lint-list/2", map[string]any{"pitfalls": all})
	}
	for e := range lint.Checks() {
		plain.Paragraph(w, "      ", "%s %-18s %-7s %s", e.ID, e.Name, e.Severity, e.Title)
	}
	return nil
}

type findingObject struct {
	ID        string   `json:"id"`
	Name      string   `json:"name"`
	Severity  string   `json:"severity"`
	Title     string   `json:"title"`
	Why       string   `json:"why"`
	Fix       string   `json:"fix"`
	Reference string   `json:"reference"`
	Calls     []string `json:"calls,omitempty"`
	Archs     []string `json:"archs"`
	Witness   string   `json:"witness"`
	Action    string   `json:"action"`
	Where     string   `json:"where,omitempty"`
	Ignored   string   `json:"ignored,omitempty"` // the reason
	Edit      *edit    `json:"edit,omitempty"`    // of the gate's text, which fixes it
}

type edit struct {
	Row int      `json:"row"`
	Old []string `json:"old"`
	New []string `json:"new"`
}

func findingObjects(g *gate.Gate, all []lint.Finding) []findingObject {
	out := []findingObject{}
	for i := range all {
		f := &all[i]
		o := findingObject{ID: f.ID, Name: f.Name, Severity: f.Severity.String(), Title: f.Title, Why: f.Why, Fix: f.Fix,
			Reference: f.Reference, Calls: f.Calls, Witness: witness(f), Action: policy.ActionOn(f.Archs[0], f.Action).String()}
		for _, a := range f.Archs {
			o.Archs = append(o.Archs, a.String())
		}
		if f.Pos.Line > 0 {
			o.Where = f.Pos.String()
		}
		if e := editOf(g, f); e != nil {
			o.Edit = &edit{e.Row, append([]string{}, e.Old...), append([]string{}, e.New...)}
		}
		out = append(out, o)
	}
	return out
}

func lintObject(all []linted) any {
	type gateObject struct {
		Gate     string          `json:"gate"`
		Findings []findingObject `json:"findings"`
		Below    int             `json:"below"`
		Ignored  []findingObject `json:"ignored,omitempty"`
	}
	var gates []gateObject
	for _, l := range all {
		o := gateObject{Gate: l.gate.Name, Findings: findingObjects(l.gate, l.findings), Below: l.below}
		for _, i := range l.ignored {
			one := findingObjects(l.gate, []lint.Finding{i.Finding})[0]
			one.Ignored = i.Reason
			o.Ignored = append(o.Ignored, one)
		}
		gates = append(gates, o)
	}
	return map[string]any{"gates": gates}
}
