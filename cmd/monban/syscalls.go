package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"monban/abi"
	"monban/inspect"
	"monban/policy/lang"
	"monban/report"
)

// A syscallsPlan is what syscalls is asked for.
type syscallsPlan struct {
	word   string // "" for all calls
	archs  []string
	asJSON bool
}

func syscallsCommand() *cobra.Command {
	var p syscallsPlan
	cmd := &cobra.Command{
		Use:   "syscalls [NAME|NUMBER|@GROUP]",
		Short: "look a system call up on every architecture",
		Long: `Syscalls shows a call's arguments, the kernel that introduced it, its groups and its number on every
architecture. A number stands for all calls that have it on some architecture. A group, or nothing,
lists calls in a line each, with their numbers on the native architecture.`,
		Example: `  monban syscalls openat
  monban syscalls 257 --arch x86_64
  monban syscalls @network-io
  monban syscalls`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("%q is one argument too many (usage: %s)", args[1], cmd.UseLine())
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return append(abi.Calls(), abi.Groups()...), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				p.word = args[0]
			}
			return p.run(cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&p.asJSON, "json", false, "print JSON")
	cmd.Flags().StringSliceVar(&p.archs, "arch", nil, "only these architectures")
	return cmd
}

func (p *syscallsPlan) run(w io.Writer) error {
	on := abi.Archs()
	if p.archs != nil {
		on = nil
		for _, s := range p.archs {
			a, err := abi.ParseArch(s)
			if err != nil {
				return exit{exitUsage, fmt.Errorf("--arch: %w", err)}
			}
			on = append(on, a)
		}
	}
	if slices.Contains(lang.Presets(), p.word) {
		return exit{exitUsage, fmt.Errorf("%s is a preset, a whole policy (monban explain %s shows it)", p.word, p.word)}
	}
	names, err := inspect.LookUp(p.word, on)
	if err != nil {
		return exit{exitUsage, err}
	}
	var entries []inspect.Entry
	for _, n := range names {
		entries = append(entries, inspect.Describe(n, on))
	}
	switch {
	case p.asJSON:
		return report.EntriesJSON(w, entries)
	case p.word == "" || strings.HasPrefix(p.word, "@"):
		first := abi.Native()
		if p.archs != nil {
			first = on[0]
		}
		return report.EntriesTable(w, entries, first, style(w))
	}
	return report.EntriesText(w, entries, on, style(w))
}
