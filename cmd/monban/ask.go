package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"monban/abi"
	"monban/format"
	"monban/policy"
	"monban/verdict"
)

// An answer is what happens to a call, as ask prints it and as --json gives it.
type answer struct {
	Arch   string    `json:"arch"`
	Call   string    `json:"call"`
	Action string    `json:"action"`          // or "depends"
	Why    string    `json:"why,omitempty"`   // the rule or header that decided
	Where  string    `json:"where,omitempty"` // file:line:column of it
	Cases  []outcome `json:"cases,omitempty"`
}

// An outcome is one of several answers, for open arguments.
type outcome struct {
	Action string `json:"action"`
	When   string `json:"when"`
}

func askCommand() *cobra.Command {
	var gate gateFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "ask [flags] GATE CALL",
		Short: "what happens to one call",
		Long: `Ask says what a gate does with a call, and which rule and line decided. Arguments can be numbers and
constants; those that are left out, or written _, may be anything, and all that can happen is listed.
Without --arch it speaks for the native architecture.`,
		Example: `  monban ask @container 'socket(AF_INET, SOCK_STREAM, 0)'
  monban ask docker.json clone
  monban ask pid:1234 'openat(AT_FDCWD, _, O_RDONLY)' --json`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			g, err := gate.read(args[0])
			if err != nil {
				return err
			}
			space := verdict.NewSpace(verdict.DefaultBudget)
			v, err := meaning(g, space)
			if err != nil {
				return tooComplex(err)
			}
			archs := []abi.Arch{abi.Native()}
			if o, err := gate.options(); err == nil && o.Archs != nil {
				archs = o.Archs
			}
			var answers []answer
			for _, a := range archs {
				call, err := policy.ParseCall(a, args[1])
				if err != nil {
					if len(archs) > 1 && strings.Contains(err.Error(), "has no system call") {
						continue // not every architecture that was asked about need have it
					}
					return exit{exitUsage, err}
				}
				one, err := askOne(g, v, call)
				if err != nil {
					return exit{exitUsage, err}
				}
				answers = append(answers, one)
			}
			if len(answers) == 0 {
				return exit{exitUsage, fmt.Errorf("none of %s has this call", archNames(archs))}
			}
			if asJSON {
				if len(answers) == 1 {
					return printJSON(cmd.OutOrStdout(), answers[0])
				}
				return printJSON(cmd.OutOrStdout(), answers)
			}
			for _, a := range answers {
				a.print(cmd.OutOrStdout(), len(answers) > 1)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	gate.register(cmd)
	return cmd
}

func askOne(g *format.Gate, v verdict.Verdict, c policy.Call) (answer, error) {
	a := answer{Arch: c.Arch.String(), Call: c.String(), Action: "depends"}
	left := v.Restrict(verdict.Arch, c.Data.Arch).Restrict(verdict.Nr, c.Data.Nr)
	for i, open := range c.Open {
		if !open {
			left = left.Restrict(verdict.ArgHi(i), uint32(c.Data.Args[i]>>32)).Restrict(verdict.ArgLo(i), uint32(c.Data.Args[i]))
		}
	}
	if do, ok := left.Constant(); ok {
		a.Action = policy.ActionOn(c.Arch, do).String()
		if g.Policy == nil {
			a.Why = fmt.Sprintf("the program's own answer, %#x", uint32(v.At(&c.Data)))
			return a, nil
		}
		d, err := g.Policy.Decide(&c.Data)
		if err != nil {
			return a, err
		}
		if d.Action != do {
			return a, fmt.Errorf("the two readings of %s disagree on %s: %s and %s; please report this", g.Name, a.Call, d.Action, do)
		}
		a.Why, a.Where = because(g.Policy, d)
		return a, nil
	}
	cases, err := policy.Outcomes(c.Arch, c.Name, left)
	if err != nil {
		return a, err
	}
	for _, o := range cases {
		a.Cases = append(a.Cases, outcome{o.Action.String(), policy.PrintExpr(o.Cond)})
	}
	return a, nil
}

// because names the rule or header that decided.
func because(p *policy.Policy, d policy.Decision) (why, where string) {
	if d.Rule != nil {
		if d.Rule.Pos.Line > 0 {
			where = d.Rule.Pos.String()
		}
		return d.Rule.String(), where
	}
	switch d.Header {
	case "badarch":
		return "badarch: the gate does not speak for this architecture", ""
	case "unknown":
		return "unknown: no call of the gate's table has this number", ""
	}
	return "default: no rule matches", ""
}

func (a answer) print(w io.Writer, several bool) {
	if several {
		fmt.Fprintf(w, "%s: ", a.Arch)
	}
	do := a.Action
	fmt.Fprintln(w, do)
	if a.Why != "" {
		at := ""
		if a.Where != "" {
			at = a.Where + ": "
		}
		fmt.Fprintln(w, wrap("  "+at+a.Why, "    "))
	}
	for i, o := range a.Cases {
		when := "if " + o.When
		if i > 0 && i == len(a.Cases)-1 {
			when = "otherwise"
		}
		fmt.Fprintln(w, wrap(fmt.Sprintf("  %-14s %s", o.Action, when), "    "))
	}
}
