package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"monban/abi"
	"monban/bpf"
	"monban/format"
	"monban/lint"
	"monban/policy"
	"monban/verdict"
)

func explainCommand() *cobra.Command {
	var gate gateFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "explain [flags] GATE",
		Short: "what a gate means",
		Long: `Explain writes a gate down in the policy language, with a summary and what may surprise you as
comments. BPF is decompiled; the text is proven to mean exactly the same as the program.`,
		Example: `  monban explain @container
  monban explain docker.json
  monban explain pid:1234`,
		Args: takes("GATE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			g, err := gate.read(args[0])
			if err != nil {
				return err
			}
			space := verdict.NewSpace(verdict.DefaultBudget)
			v, err := meaning(g, space)
			if err != nil {
				return err
			}
			native := format.NativeFor(g.Order)
			if g.Policy != nil {
				native = g.Policy.Archs[0]
			}
			p, notes, err := policy.FromVerdict(g.Name, v, native, g.Policy)
			if errors.Is(err, policy.ErrNotPolicy) && g.Policy != nil {
				p, notes, err = g.Policy, nil, nil // its own words say what a decompiler cannot
			}
			if err != nil {
				return exit{exitUsage, fmt.Errorf("%w (monban disasm still shows it instruction by instruction)", err)}
			}
			findings := lint.Check(v, p.Archs)
			if asJSON {
				return printJSON(cmd.OutOrStdout(), "explain/1", explanation(g, p, v, notes, findings))
			}
			w := cmd.OutOrStdout()
			fmt.Fprint(w, summary(g, p, v, len(notes) == 0))
			for _, n := range notes {
				fmt.Fprintln(w, wrap("# note: "+n, comment))
			}
			for _, f := range findings {
				fmt.Fprintln(w, "#")
				fmt.Fprintln(w, wrap("# ! "+f.Title+" ("+policy.ActionOn(f.Arch, f.Action).String()+"): "+f.Reason, comment))
				fmt.Fprintln(w, wrap("#   witness: "+witness(f), comment))
			}
			fmt.Fprintln(w)
			fmt.Fprint(w, p.String())
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	gate.register(cmd)
	return cmd
}

// witness writes a finding's call; one of an architecture that nobody has is written as numbers.
func witness(f lint.Finding) string {
	if f.Call.Arch != f.Arch.Token() {
		return fmt.Sprintf("call %d of architecture %#x", f.Call.Nr, f.Call.Arch)
	}
	return policy.FormatCall(f.Arch, &f.Call) + " on " + f.Arch.String()
}

// counts are how many known calls of an architecture get which kind of answer.
type counts struct {
	Arch        string         `json:"arch"`
	Actions     map[string]int `json:"actions"`     // calls that always get the action
	Conditional []string       `json:"conditional"` // calls whose arguments decide
	Total       int            `json:"total"`
}

func count(v verdict.Verdict, a abi.Arch) counts {
	c := counts{Arch: a.String(), Actions: map[string]int{}}
	own := v.Restrict(verdict.Arch, a.Token())
	for nr, call := range a.Calls() {
		c.Total++
		if do, ok := own.Restrict(verdict.Nr, nr).Constant(); ok {
			c.Actions[policy.ActionOn(a, do).String()]++
		} else {
			c.Conditional = append(c.Conditional, call)
		}
	}
	return c
}

// summary counts what passes; checked is false where the gate does not look at the architecture.
func summary(g *format.Gate, p *policy.Policy, v verdict.Verdict, checked bool) string {
	var b strings.Builder
	what := g.Kind()
	if len(g.Programs) > 0 {
		var sizes []string
		for _, q := range g.Programs {
			sizes = append(sizes, fmt.Sprint(len(q)))
		}
		what = fmt.Sprintf("%s of %s instructions", plural(len(g.Programs), "BPF program"), strings.Join(sizes, " and "))
		if len(g.Programs) > 1 {
			what += ", stacked (the oldest first)"
		}
	}
	fmt.Fprintf(&b, "# %s: %s\n", g.Name, what)
	for _, a := range p.Archs {
		c := count(v, a)
		passes := c.Actions["allow"] + c.Actions["log"]
		line := fmt.Sprintf("# %s: %d of %d calls pass", a, passes, c.Total)
		if n := len(c.Conditional); n > 0 {
			line += fmt.Sprintf(", %d depending on arguments (%s)", n, strings.Join(c.Conditional, " "))
		}
		fmt.Fprintln(&b, wrap(line, comment))
	}
	others := p.BadArch.String()
	if !checked {
		others = "see the note"
	}
	fmt.Fprintln(&b, wrap(fmt.Sprintf("# all other known calls: %s; numbers that no call has: %s; other architectures: %s",
		inWords(p.Default), p.Unknown, others), comment))
	return b.String()
}

// inWords adds to an action what it does.
func inWords(a policy.Action) string {
	switch a.Kind {
	case bpf.KillThread:
		return "kill_thread (the calling thread dies by SIGSYS)"
	case bpf.KillProcess:
		return "kill_process (the process dies by SIGSYS)"
	case bpf.Errno:
		return a.String() + " (the call fails)"
	}
	return a.String()
}

// comment starts the second line of a comment.
const comment = "#   "

func explanation(g *format.Gate, p *policy.Policy, v verdict.Verdict, notes []string, findings []lint.Finding) any {
	type finding struct {
		Name    string `json:"name"`
		Title   string `json:"title"`
		Reason  string `json:"reason"`
		Witness string `json:"witness"`
		Action  string `json:"action"`
	}
	out := struct {
		Gate     string    `json:"gate"`
		Kind     string    `json:"kind"`
		Archs    []counts  `json:"archs"`
		Default  string    `json:"default"`
		Unknown  string    `json:"unknown"`
		BadArch  string    `json:"badarch,omitempty"` // "" where the architecture is not checked: see Notes
		Notes    []string  `json:"notes,omitempty"`
		Findings []finding `json:"findings"`
		Policy   string    `json:"policy"`
	}{g.Name, g.Kind(), nil, p.Default.String(), p.Unknown.String(), p.BadArch.String(), notes, []finding{}, p.String()}
	if len(notes) > 0 {
		out.BadArch = ""
	}
	for _, a := range p.Archs {
		out.Archs = append(out.Archs, count(v, a))
	}
	for _, f := range findings {
		out.Findings = append(out.Findings, finding{f.Name, f.Title, f.Reason, witness(f), policy.ActionOn(f.Arch, f.Action).String()})
	}
	return out
}
