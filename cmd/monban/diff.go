package main

import (
	"io"

	"github.com/spf13/cobra"

	"monban/inspect"
	"monban/report"
)

// A diffPlan is what diff is asked for.
type diffPlan struct {
	flags          gateFlags
	a, b           string
	asJSON, subset bool
}

func diffCommand() *cobra.Command {
	var p diffPlan
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
			p.a, p.b = args[0], args[1]
			return p.run(cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&p.asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&p.subset, "subset", false, "only ask whether A lets nothing pass that B doesn't")
	p.flags.register(cmd)
	return cmd
}

func (p *diffPlan) run(w io.Writer) error {
	a, err := p.flags.read(p.a)
	if err != nil {
		return err
	}
	b, err := p.flags.read(p.b)
	if err != nil {
		return err
	}
	find := inspect.Diff
	if p.subset {
		find = inspect.Excess
	}
	d, err := find(a, b)
	if err != nil {
		return exit{exitUsage, err}
	}
	d.A, d.B = p.a, p.b // as they were asked for
	if p.asJSON {
		err = report.DifferenceJSON(w, d)
	} else {
		err = report.DifferenceText(w, d, style(w))
	}
	if err == nil && !d.Holds() {
		return exit{exitFindings, nil}
	}
	return err
}
