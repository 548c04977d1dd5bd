package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"monban/abi"
	"monban/gate"
	"monban/inspect"
	"monban/report"
	"monban/report/page"
)

// An explainPlan is what explain is asked for.
type explainPlan struct {
	flags        gateFlags
	ref          string
	full, asJSON bool
	call, html   string // --syscall and --html
}

func explainCommand() *cobra.Command {
	var p explainPlan
	cmd := &cobra.Command{
		Use:   "explain [flags] GATE",
		Short: "what a gate means, in one screen",
		Long: `Explain says what a gate lets through: what is dangerous in it, which calls depend on their
arguments and how, and all others by what they are for. --full writes the whole gate down in the
policy language; that text is a gate itself, and is proven to mean the same. BPF is decompiled.`,
		Example: `  monban explain docker.json
  monban explain pid:1234 --full
  monban explain @container --syscall clone
  monban explain docker.json --html docker.html`,
		Args: takes("GATE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			p.ref = args[0]
			return p.run(cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&p.full, "full", false, "everything, in the policy language")
	cmd.Flags().StringVar(&p.call, "syscall", "", "only this call, on every architecture")
	cmd.Flags().StringVar(&p.html, "html", "", "write a page to look at, search and print to this file")
	cmd.Flags().BoolVar(&p.asJSON, "json", false, "print JSON")
	cmd.MarkFlagsMutuallyExclusive("full", "syscall", "html")
	cmd.MarkFlagsMutuallyExclusive("html", "json")
	p.flags.register(cmd)
	if err := cmd.RegisterFlagCompletionFunc("syscall", cobra.FixedCompletions(abi.Calls(), cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag was registered above
	}
	return cmd
}

func (p *explainPlan) run(w io.Writer) error {
	g, err := p.flags.read(p.ref)
	if err != nil {
		return err
	}
	if p.call != "" {
		return p.story(w, g)
	}
	e, err := inspect.Explain(g)
	if err != nil {
		return err
	}
	switch {
	case p.html != "":
		if err := spares(p.html, g); err != nil {
			return err
		}
		var b bytes.Buffer
		if err := page.Write(&b, e); err != nil {
			return usage(err)
		}
		return usage(writeText(w, p.html, b.Bytes()))
	case p.asJSON:
		return report.ExplanationJSON(w, e)
	case p.full && e.Policy == nil:
		return exit{exitUsage, fmt.Errorf("%w (monban disasm still shows it instruction by instruction)", e.Wordless)}
	case p.full:
		return report.ExplanationGate(w, e)
	}
	return report.ExplanationText(w, e, style(w))
}

// story tells of one call.
func (p *explainPlan) story(w io.Writer, g *gate.Gate) error {
	archs, err := g.Archs()
	if err != nil {
		return err
	}
	if !abi.Known(p.call) {
		_, err := inspect.LookUp(p.call, archs)
		if err == nil {
			what := "number"
			if strings.HasPrefix(p.call, "@") {
				what = "group"
			}
			err = fmt.Errorf("--syscall takes a name: %s is a %s", p.call, what)
		}
		return exit{exitUsage, err}
	}
	stories, err := inspect.Tell(g, p.call, archs)
	switch {
	case err != nil:
		return err
	case p.asJSON:
		return report.StoriesJSON(w, p.call, stories)
	}
	return report.StoriesText(w, p.call, archs, stories, style(w))
}
