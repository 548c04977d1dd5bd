package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"monban/abi"
	"monban/format"
	"monban/gate"
	"monban/inspect"
	"monban/internal/plain"
	"monban/report"
)

// An askPlan is what ask is asked for.
type askPlan struct {
	flags         gateFlags
	ref           string
	calls         []string // none: those of standard input
	asJSON, trace bool
}

func askCommand() *cobra.Command {
	var p askPlan
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
			p.ref, p.calls = args[0], args[1:]
			return p.run(cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&p.asJSON, "json", false, "print JSON; of standard input, an object a line")
	cmd.Flags().BoolVar(&p.trace, "trace", false, "show the instructions executed")
	p.flags.register(cmd)
	cmd.Flags().Lookup("arch").Usage = "architectures of the call (default the native one)"
	return cmd
}

func (p *askPlan) run(w io.Writer) error {
	o, err := p.flags.options()
	if err != nil {
		return exit{exitUsage, err}
	}
	d := newDesk(p.ref, o)
	if len(p.calls) == 0 {
		return p.lines(w, d)
	}
	var all []*inspect.Answer
	for i, call := range p.calls {
		answers, err := d.Ask(call, p.trace)
		if err != nil {
			return exit{exitUsage, err}
		}
		all = append(all, answers...)
		if p.asJSON {
			continue
		}
		if len(p.calls) > 1 {
			if i > 0 {
				plain.Fprintf(w, "\n")
			}
			plain.Fprintf(w, "%s\n", styled(w, bold, call))
		}
		if err := report.AnswersText(w, answers, len(d.Archs) > 1, style(w)); err != nil {
			return err
		}
	}
	if p.asJSON {
		return report.AnswersJSON(w, all)
	}
	return nil
}

// newDesk answers questions about the gate of a name: of this machine, where it runs the architectures that are asked
// about, else of one of that kind.
func newDesk(ref string, o format.Options) *inspect.Desk {
	asked := o.Archs
	if asked == nil {
		asked = []abi.Arch{abi.Native()}
	}
	said := false
	return &inspect.Desk{Archs: asked, Native: o.Native, Read: func(native abi.Arch) (*gate.Gate, error) {
		on := o
		on.Native, on.Archs = native, nil
		g, err := format.Read(ref, on)
		if err == nil && !said {
			printNotes(g.Notes)
			said = true
		}
		return g, err
	}}
}
