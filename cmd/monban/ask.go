package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"monban/abi"
	"monban/bpf"
	"monban/format"
	"monban/gate"
	"monban/inspect"
	"monban/internal/plain"
	"monban/policy"
	"monban/policy/decompile"
	"monban/policy/lang"
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
	// Trace has the instructions that each filter of the stack executes for Traced, one of the calls that were asked about.
	Trace  []steps `json:"trace,omitempty"`
	Traced string  `json:"traced,omitempty"`

	do bpf.Action
}

// An outcome is one of several answers, for open arguments.
type outcome struct {
	Action string `json:"action"`
	When   string `json:"when"` // a condition of the policy language, or inspect.Unreadable
}

// condition is when, in words.
func (o outcome) condition() string {
	if o.When == inspect.Unreadable {
		return o.When
	}
	return "if " + o.When
}

func askCommand() *cobra.Command {
	var flags gateFlags
	var asJSON, trace bool
	cmd := &cobra.Command{
		Use:   "ask [flags] GATE [CALL…]",
		Short: "what happens to a call, and why",
		Long: `Ask says what a gate does with a call, and which rule and line decided. Arguments are given by
position or by name: as numbers, constants, ranges (1..5) or sets ({AF_INET, AF_INET6}). Those that
are left out, or written ? or _, may be anything. All that can happen is listed, each answer with
its condition: nothing is sampled. --trace shows the instructions that the kernel would run.

Without CALL, calls are read from standard input, a line each, as above or as strace writes them,
and answered with a line each: the action, the call, and why, with tabs between. Lines that cannot
be read are reported, and the status is then 2.

Without --arch it speaks for the native architecture; with it, for what the gate would do on a
machine that runs that architecture.`,
		Example: `  monban ask @container 'socket(AF_INET, SOCK_STREAM, 0)'
  monban ask docker.json clone 'socket(?, SOCK_RAW, ?)'
  monban ask pid:1234 'openat(flags=O_RDWR)' --trace
  strace -f -o trace ls; monban ask docker.json < trace`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("GATE is missing (usage: %s)", cmd.UseLine())
			}
			return nil
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return abi.Calls(), cobra.ShellCompDirectiveNoFileComp
			}
			return completeGates(cmd, args, prefix)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := flags.options()
			if err != nil {
				return exit{exitUsage, err}
			}
			asked := o.Archs
			if asked == nil {
				asked = []abi.Arch{abi.Native()}
			}
			d := newDesk(args[0], asked, o)
			d.trace = trace
			w := cmd.OutOrStdout()
			if len(args) == 1 {
				return askLines(w, d, args[0], asJSON)
			}
			var answers []answer
			for i, text := range args[1:] {
				some, err := d.ask(text)
				if err != nil {
					return exit{exitUsage, err}
				}
				answers = append(answers, some...)
				if asJSON {
					continue
				}
				if len(args) > 2 {
					if i > 0 {
						plain.Fprintf(w, "\n")
					}
					plain.Fprintf(w, "%s\n", styled(w, bold, text))
				}
				for _, a := range some {
					a.print(w, len(asked) > 1)
				}
			}
			if asJSON {
				return printJSON(w, "ask/1", map[string]any{"answers": answers})
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON; of standard input, an object a line")
	cmd.Flags().BoolVar(&trace, "trace", false, "show the instructions executed")
	flags.register(cmd)
	cmd.Flags().Lookup("arch").Usage = "architectures of the call (default the native one)"
	return cmd
}

// A desk answers questions about one gate: of this machine, where it runs the architecture, else of one of that kind.
type desk struct {
	ref   string
	asked []abi.Arch
	o     format.Options
	trace bool
	read  map[abi.Arch]*gate.Gate // as a machine of one architecture has it, by what is native
}

func newDesk(ref string, asked []abi.Arch, o format.Options) *desk {
	return &desk{ref: ref, asked: asked, o: o, read: map[abi.Arch]*gate.Gate{}}
}

// ask answers for each architecture that has the call.
func (d *desk) ask(text string) ([]answer, error) {
	var answers []answer
	for _, a := range d.asked {
		call, err := lang.ParseCall(a, text)
		if err != nil {
			if len(d.asked) > 1 && errors.As(err, new(*policy.NoCallError)) {
				continue // not every architecture that was asked about need have it
			}
			return nil, err
		}
		if call.Arch != a && slices.Contains(d.asked, call.Arch) {
			continue // a number, asked about once
		}
		g, err := d.reading(a)
		if err != nil {
			return nil, err
		}
		one, err := gate.Exact(g, func(v verdict.Verdict) (answer, error) { return d.answer(g, v, call) })
		if errors.Is(err, verdict.ErrTooComplex) {
			one, err = d.answerSlice(g, call)
		}
		if err != nil {
			return nil, err
		}
		answers = append(answers, one)
	}
	if len(answers) == 0 {
		return nil, fmt.Errorf("none of %s has this call (monban syscalls shows who has)", archNames(d.asked))
	}
	return answers, nil
}

// reading reads the gate for the machine that runs an architecture.
func (d *desk) reading(a abi.Arch) (*gate.Gate, error) {
	native := d.o.Native
	for _, n := range append([]abi.Arch{d.o.Native}, d.asked...) {
		if slices.Contains(n.Family(), a) {
			native = n
			break
		}
	}
	g := d.read[native]
	if g == nil {
		on := d.o
		on.Native, on.Archs = native, nil
		var err error
		if g, err = format.Read(d.ref, on); err != nil {
			return nil, err
		}
		if len(d.read) == 0 {
			printNotes(g.Notes)
		}
		d.read[native] = g
	}
	if g.Policy == nil && g.Order != a.ByteOrder() {
		return nil, fmt.Errorf("%s: the program is not of %s's byte order: name the architecture with --arch", g.Name, a)
	}
	return g, nil
}

// answerSlice answers from what the gate says of the call alone, where the whole gate is too complex or leaves no room for the question.
func (d *desk) answerSlice(g *gate.Gate, c policy.Call) (answer, error) {
	s := verdict.NewSpace(verdict.DefaultBudget)
	v, err := g.Slice(s, c.Arch, c.Data.Nr)
	if err != nil {
		return answer{}, err
	}
	return verdict.Exact(s, func() (answer, error) { return d.answer(g, v, c) })
}

func (d *desk) answer(g *gate.Gate, v verdict.Verdict, c policy.Call) (answer, error) {
	a := answer{Arch: c.Arch.String(), Call: c.String(), Action: "depends"}
	asked, err := c.Ask(v)
	if err != nil {
		return a, err
	}
	if len(c.Among) == 0 {
		a.UpperHalf = upperHalf(v, c, asked.Left())
	}
	actions, err := asked.Actions()
	if err != nil {
		return a, err
	}
	example, _, err := asked.Example(func(do bpf.Action) bool { return do == actions[0] })
	if err != nil {
		return a, err
	}
	if d.trace {
		if a.Trace, err = traced(g, c.Arch, &example); err != nil {
			return a, err
		}
		a.Traced = policy.FormatCall(c.Arch, &example)
	}
	if len(actions) == 1 {
		do := actions[0]
		a.Action, a.do = policy.ActionOn(c.Arch, do).String(), do
		decision, err := g.Decide(&example)
		switch {
		case err != nil:
			return a, err
		case decision == nil:
			a.Why = fmt.Sprintf("the program's own answer, %#x", uint32(v.At(&example)))
		case decision.Action != do:
			return a, fmt.Errorf("the two readings of %s disagree on %s: %s and %s; please report this", g.Name, a.Call, decision.Action, do)
		default:
			a.Why, a.Where = because(g.Policy, decision)
		}
		return a, nil
	}
	cases, err := decompile.Answers(asked)
	if errors.Is(err, decompile.ErrNotPolicy) { // what explain says of such a call
		for _, do := range actions {
			a.Cases = append(a.Cases, outcome{policy.ActionOn(c.Arch, do).String(), inspect.Unreadable})
		}
		return a, nil
	}
	if err != nil {
		return a, err
	}
	for _, o := range cases {
		a.Cases = append(a.Cases, outcome{o.Action.String(), o.Cond.String()})
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
func because(p *policy.Policy, d *gate.Decision) (why, where string) {
	if d.Rule != nil {
		if at := d.Pos(); at.Line > 0 {
			where = at.String()
		}
		return d.Text, where
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
		plain.Fprintf(w, "%s: ", a.Arch)
	}
	if a.Cases == nil {
		plain.Fprintf(w, "%s\n", styled(w, actionStyle(a.do), a.Action))
	} else {
		plain.Fprintf(w, "%s\n", a.Action)
	}
	if a.Why != "" {
		at := ""
		if a.Where != "" {
			at = a.Where + ": "
		}
		plain.Paragraph(w, "    ", "  %s%s", at, a.Why)
	}
	column := 0
	for _, o := range a.Cases {
		column = max(column, len(o.Action))
	}
	for i, o := range a.Cases {
		when := o.condition()
		if i > 0 && i == len(a.Cases)-1 && o.When != inspect.Unreadable {
			when = "otherwise"
		}
		plain.Paragraph(w, "    ", "  %-*s  %s", column, o.Action, when)
	}
	if a.UpperHalf != "" {
		plain.Paragraph(w, "    ", "  but %s", a.UpperHalf)
	}
	a.printTrace(w)
}
