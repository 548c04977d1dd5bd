package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"monban/abi"
	"monban/bpf"
	"monban/format"
	"monban/policy"
	"monban/verdict"
)

// An answer is what happens to a call, as ask prints it and as --json gives it.
type answer struct {
	Arch   string    `json:"arch"`
	Call   string    `json:"call"`
	Action string    `json:"action"`          // "depends" where there are Cases
	Why    string    `json:"why,omitempty"`   // the rule or header that decided
	Where  string    `json:"where,omitempty"` // file:line:column of it
	Cases  []outcome `json:"cases,omitempty"`
	// UpperHalf says what else can happen: the kernel ignores the upper half of an int's register, and the gate does not.
	UpperHalf string `json:"upper_half,omitempty"`

	do bpf.Action
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
constants; those that are left out, or written _, may be anything, and all that can happen is
listed. Without --arch it speaks for the native architecture; with it, for what the gate would do on
a machine that runs that architecture.`,
		Example: `  monban ask @container 'socket(AF_INET, SOCK_STREAM, 0)'
  monban ask docker.json clone
  monban ask pid:1234 'openat(AT_FDCWD, _, O_RDONLY)' --json`,
		Args: takes("GATE", "CALL"),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return abi.Calls(), cobra.ShellCompDirectiveNoFileComp
			}
			return completeGates(cmd, args, prefix)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := gate.options()
			if err != nil {
				return exit{exitUsage, err}
			}
			asked := o.Archs
			if asked == nil {
				asked = []abi.Arch{abi.Native()}
			}
			answers, err := ask(args[0], args[1], asked, o)
			if err != nil {
				return exit{exitUsage, err}
			}
			w := cmd.OutOrStdout()
			switch {
			case asJSON:
				return printJSON(w, "ask/1", map[string]any{"answers": answers})
			}
			for _, a := range answers {
				a.print(w, len(asked) > 1)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	gate.register(cmd)
	cmd.Flags().Lookup("arch").Usage = "architectures of the call (default the native one)"
	return cmd
}

// ask asks about a call on each architecture: of this machine, where it runs the architecture, else of one of that kind.
func ask(ref, text string, asked []abi.Arch, o format.Options) ([]answer, error) {
	type reading struct {
		gate    *format.Gate
		verdict verdict.Verdict
	}
	read := map[abi.Arch]reading{} // by what is native
	var answers []answer
	for _, a := range asked {
		native := o.Native
		for _, n := range append([]abi.Arch{o.Native}, asked...) {
			if slices.Contains(n.Family(), a) {
				native = n
				break
			}
		}
		call, err := policy.ParseCall(a, text)
		if err != nil {
			if len(asked) > 1 && strings.Contains(err.Error(), "has no system call") {
				continue // not every architecture that was asked about need have it
			}
			return nil, err
		}
		r, ok := read[native]
		if !ok {
			on := o
			on.Native, on.Archs = native, nil
			if r.gate, err = readWith(ref, on); err != nil {
				return nil, err
			}
			if len(read) == 0 {
				printNotes(r.gate)
			}
			if r.verdict, err = meaning(r.gate, verdict.NewSpace(verdict.DefaultBudget)); err != nil {
				return nil, err
			}
			read[native] = r
		}
		if r.gate.Policy == nil && r.gate.Order != a.ByteOrder() {
			return nil, fmt.Errorf("%s: the program is not of %s's byte order: name the architecture with --arch", r.gate.Name, a)
		}
		one, err := askOne(r.gate, r.verdict, call)
		if err != nil {
			return nil, err
		}
		answers = append(answers, one)
	}
	if len(answers) == 0 {
		return nil, fmt.Errorf("none of %s has this call (monban syscalls shows who has)", archNames(asked))
	}
	return answers, nil
}

func askOne(g *format.Gate, v verdict.Verdict, c policy.Call) (answer, error) {
	a := answer{Arch: c.Arch.String(), Call: c.String(), Action: "depends"}
	left := v.Restrict(verdict.Arch, c.Data.Arch).Restrict(verdict.Nr, c.Data.Nr)
	for i, open := range c.Open {
		if !open {
			left = left.Restrict(verdict.ArgHi(i), uint32(c.Data.Args[i]>>32)).Restrict(verdict.ArgLo(i), uint32(c.Data.Args[i]))
		}
	}
	a.UpperHalf = upperHalf(v, c, left)
	if do, ok := left.Constant(); ok {
		a.Action, a.do = policy.ActionOn(c.Arch, do).String(), do
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

// upperHalf says what a gate does with the call where a program leaves something in the upper halves of the registers of its int
// arguments, "" where that is the same; left is what the gate does where they are 0.
func upperHalf(v verdict.Verdict, c policy.Call, left verdict.Verdict) string {
	args, known := c.Arch.Args(c.Name)
	if !known || c.Arch.Bits() < 64 {
		return ""
	}
	narrow := map[int]string{}
	for _, arg := range args {
		if arg.Bits <= 32 && c.Data.Args[arg.Index]>>32 == 0 {
			narrow[arg.Index] = arg.Name
		}
	}
	wide := v.Restrict(verdict.Arch, c.Data.Arch).Restrict(verdict.Nr, c.Data.Nr)
	for i, open := range c.Open {
		if open {
			continue
		}
		if _, ok := narrow[i]; !ok {
			wide = wide.Restrict(verdict.ArgHi(i), uint32(c.Data.Args[i]>>32))
		}
		wide = wide.Restrict(verdict.ArgLo(i), uint32(c.Data.Args[i]))
	}
	if wide == left {
		return ""
	}
	var names, actions []string
	for i, open := range c.Open {
		if !open && wide.Support(verdict.ArgHi(i)) != 0 {
			names = append(names, narrow[i])
		}
	}
	usual, constant := left.Constant()
	for do := range wide.Actions() {
		if !constant || do != usual {
			actions = append(actions, policy.ActionOn(c.Arch, do).String())
		}
	}
	slices.Sort(actions)
	return fmt.Sprintf("%s where the upper half of %s is not 0, which the kernel ignores", strings.Join(actions, " or "), strings.Join(names, " or "))
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
		return "badarch: the gate speaks for " + archNames(p.Archs) + " only", ""
	case "unknown":
		return "unknown: no call of the gate's table has this number", ""
	}
	return "default: no rule matches", ""
}

func (a answer) print(w io.Writer, several bool) {
	if several {
		fmt.Fprintf(w, "%s: ", a.Arch)
	}
	if a.Cases == nil {
		fmt.Fprintln(w, styled(w, actionStyle(a.do), a.Action))
	} else {
		fmt.Fprintln(w, a.Action)
	}
	if a.Why != "" {
		at := ""
		if a.Where != "" {
			at = a.Where + ": "
		}
		fmt.Fprintln(w, wrap("  "+at+a.Why, "    "))
	}
	column := 0
	for _, o := range a.Cases {
		column = max(column, len(o.Action))
	}
	for i, o := range a.Cases {
		when := "if " + o.When
		if i > 0 && i == len(a.Cases)-1 {
			when = "otherwise"
		}
		fmt.Fprintln(w, wrap(fmt.Sprintf("  %-*s  %s", column, o.Action, when), "    "))
	}
	if a.UpperHalf != "" {
		fmt.Fprintln(w, wrap("  but "+a.UpperHalf, "    "))
	}
}
