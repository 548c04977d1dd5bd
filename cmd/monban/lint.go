package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"monban/lint"
	"monban/policy/lang"
	"monban/report"
)

// A lintPlan is what lint is asked for.
type lintPlan struct {
	gate            gateFlags
	refs            []string
	asJSON, asSARIF bool
	list, fix       bool
	threshold       string
	ignore          []string
}

func lintCommand() *cobra.Command {
	var p lintPlan
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
			if len(args) == 0 && !p.list {
				return fmt.Errorf("GATE is missing (usage: %s)", cmd.UseLine())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			p.refs = args
			return p.run(cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&p.asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&p.asSARIF, "sarif", false, "print SARIF 2.1.0, as code forges take it")
	cmd.Flags().BoolVar(&p.list, "list", false, "print the catalogue")
	cmd.Flags().BoolVar(&p.fix, "fix", false, "change .gate files, in place, where that is what to do")
	cmd.Flags().StringVar(&p.threshold, "min-severity", "medium", "findings from here on: advice, low, medium, high")
	cmd.Flags().StringSliceVar(&p.ignore, "ignore", nil, "pitfalls to leave out, for gates that have no comments: MB013,…")
	cmd.MarkFlagsMutuallyExclusive("json", "sarif", "fix")
	p.gate.register(cmd)
	for flag, words := range map[string][]string{"min-severity": {"advice", "low", "medium", "high"}, "ignore": lintIDs()} {
		if err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)); err != nil {
			panic(err) // the flag was registered above
		}
	}
	return cmd
}

func (p *lintPlan) run(w io.Writer) error {
	switch {
	case p.list && p.asJSON:
		return report.CatalogueJSON(w)
	case p.list:
		return report.CatalogueText(w, style(w))
	}
	least, err := lint.ParseSeverity(p.threshold)
	if err != nil {
		return exit{exitUsage, fmt.Errorf("--min-severity: %w", err)}
	}
	ignores, err := ignoreFlags(p.ignore)
	if err != nil {
		return exit{exitUsage, err}
	}
	var all []report.Findings
	for i, ref := range p.refs {
		if k := slices.IndexFunc(p.refs[:i], func(other string) bool { return sameFile(other, ref) }); p.fix && k >= 0 {
			return exit{exitUsage, fmt.Errorf("%s and %s are one file: name it once", p.refs[k], ref)}
		}
		one, err := p.one(ref, lint.Options{Ignore: ignores, ReadFile: lang.ReadIncluded}, least)
		if err != nil {
			return usage(err)
		}
		all = append(all, one)
	}
	if err := keepFixed(all); err != nil {
		return exit{exitUsage, err}
	}
	switch {
	case p.asSARIF:
		err = report.FindingsSARIF(w, all)
	case p.asJSON:
		err = report.FindingsJSON(w, all)
	default:
		err = report.FindingsText(w, all, style(w))
	}
	if err == nil && slices.ContainsFunc(all, func(f report.Findings) bool { return f.Any() }) {
		return exit{exitFindings, nil}
	}
	return err
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
