package main

import (
	"github.com/spf13/cobra"
)

// A recordPlan is what record is asked for.
type recordPlan struct {
	flags        gateFlags
	check, known string
	denied       deniedFlags
	learning     recordFlags
	attach       attachFlags
	asJSON       bool

	command []string
	written bool // where the gate goes was said
	out     *cobra.Command
}

func recordCommand() *cobra.Command {
	var p recordPlan
	cmd := &cobra.Command{
		Use:   "record [flags] [--] COMMAND [ARG…]",
		Short: "learn a gate from a run",
		Long: `Record runs a program, follows all of its threads, children and what they execute, and writes a gate
that allows the calls that were made: each with how often, by which programs, and with the values of
the arguments that choose what the kernel does. The program runs unconfined meanwhile.

--args safe (the default) holds sockets to their families and types, ioctl, prctl and the like to
their requests, clone, mmap and mprotect to their flags; --args all also what depends on a run's
surroundings (open's flags, signals); --args none allows calls whatever their arguments. --known
takes an earlier gate and adds what it lacks. --check FILE writes nothing: the status is 1 if the
run needed a call that the gate in FILE refuses, and its calls that the run never made are listed.

Root records by eBPF, others by ptrace; --backend notify lets hot calls pass uncounted, and with
--known all that the earlier gate allows. docs/learning.md compares them.

The status is the program's own; 128+n if signal n ended it. The gate is written even if the program
fails or is interrupted. Without -o it goes to standard output after the program has ended.`,
		Example: `  monban record -o app.gate -- ./app --once
  monban record --known app.gate -o app.gate -- ./app --other-mode
  monban record --to oci --for docker -o app.json -- ./app
  monban record --check app.gate -- ./app
  monban record --pid 1234 -o app.gate
  monban record --known app.gate --from-denials app.denials -o app.gate`,
		Args: cobra.ArbitraryArgs,
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault
		},
		RunE: func(cmd *cobra.Command, command []string) error {
			p.command, p.out = command, cmd
			p.written = cmd.Flags().Changed("output")
			if err := p.attach.given(cmd.Flags()); err != nil {
				return err
			}
			return p.run(cmd.Context())
		},
	}
	cmd.Flags().SetInterspersed(false)
	p.learning.register(cmd, "the action for all other calls")
	cmd.Flags().StringVar(&p.known, "known", "", "an earlier gate, to which this run only adds")
	cmd.Flags().StringVar(&p.check, "check", "", "write nothing: hold the run against this gate")
	cmd.Flags().BoolVar(&p.asJSON, "json", false, "with --check: print JSON, behind what the program prints (docs/json.md)")
	p.denied.register(cmd.Flags())
	p.attach.register(cmd)
	cmd.MarkFlagsMutuallyExclusive("known", "check")
	p.flags.register(cmd)
	return cmd
}
