package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"monban/abi"
	"monban/bpf"
	"monban/inspect"
	"monban/internal/plain"
	"monban/policy/decompile"
	"monban/report"
)

// A dumpPlan is what dump is asked for.
type dumpPlan struct {
	pid                       string
	out                       string
	asJSON, policy, each, all bool
}

func dumpCommand() *cobra.Command {
	var p dumpPlan
	cmd := &cobra.Command{
		Use:   "dump [flags] PID | --all",
		Short: "the filters of live processes",
		Long: `Dump reads the seccomp filters of a live process from the kernel, all of the stack, the oldest
first, and says what mode each of its threads is in and which other processes have the same filters.
It needs root. The process is not touched; before Linux 6.1 it is stopped for a moment, and goes on
as if it had not been. Without root, the modes are said all the same.

Without -o and --policy the filters are listed instruction by instruction. With --policy, what they
amount to together is written as a policy, which is proven; --each writes each filter's own before
it. -o writes the raw programs; where there are several, .1, .2 … is added to the file's name.

--all lists the confined processes: their mode, filters and instructions, and the preset that their
filters equal, if there is one.`,
		Example: `  monban dump 1234 --policy
  monban dump 1234 -o container.bpf
  monban dump --all`,
		Args: func(cmd *cobra.Command, args []string) error {
			if p.all {
				return takes()(cmd, args)
			}
			return takes("PID")(cmd, args)
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if p.all {
				return dumpAll(cmd.OutOrStdout(), p.asJSON)
			}
			p.pid = args[0]
			return p.run(cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVarP(&p.out, "output", "o", "", "write the raw programs to files instead of showing them")
	cmd.Flags().BoolVar(&p.policy, "policy", false, "as a policy: what they amount to together")
	cmd.Flags().BoolVar(&p.each, "each", false, "as policies: each filter, and what they amount to together")
	cmd.Flags().BoolVar(&p.all, "all", false, "list all confined processes")
	cmd.Flags().BoolVar(&p.asJSON, "json", false, "print JSON")
	cmd.MarkFlagsMutuallyExclusive("output", "policy", "each", "all")
	return cmd
}

func (p *dumpPlan) run(w io.Writer) error {
	pid, err := strconv.Atoi(p.pid)
	if err != nil || pid <= 0 {
		return exit{exitUsage, fmt.Errorf("%q is not a process id: it is a number, as ps shows it", p.pid)}
	}
	mark := report.ListingComment
	if p.policy || p.each {
		mark = report.PolicyComment
	}
	process, err := dumpProcess(pid)
	if err != nil {
		if process != nil && !p.asJSON && p.out == "" {
			err = errors.Join(report.ThreadsText(w, process, mark, style(w)), err)
		}
		return exit{exitUsage, err}
	}
	if p.out != "" {
		return usage(writeStacks(w, p.out, process))
	}
	if p.asJSON {
		findSharers(process)
		return report.FiltersJSON(w, process)
	}
	if err := report.ThreadsText(w, process, mark, style(w)); err != nil {
		return err
	}
	findSharers(process)
	if err := report.SharersText(w, process, mark, style(w)); err != nil {
		return err
	}
	if !p.policy && !p.each {
		return report.FiltersText(w, process)
	}
	err = report.FiltersGate(w, process, p.each)
	if errors.Is(err, decompile.ErrNotPolicy) {
		err = fmt.Errorf("%w (without --policy it is listed instruction by instruction)", err)
	}
	return usage(err)
}

// writeStacks writes the programs as they are; of several stacks, all of each.
func writeStacks(w io.Writer, out string, p *inspect.Process) error {
	var all []bpf.Program
	for _, s := range p.Stacks {
		all = append(all, s.Programs...)
	}
	for i, program := range all {
		name := out
		if len(all) > 1 {
			name = fmt.Sprintf("%s.%d", out, i+1)
		}
		if err := writeFile(name, program.Encode(abi.Native().ByteOrder())); err != nil {
			return err
		}
		plain.Fprintf(w, "%s: %s (what it means: monban explain %s)\n", name, plain.Count(len(program), "instruction"), name)
	}
	return nil
}
