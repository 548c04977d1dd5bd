package main

import (
	"github.com/spf13/cobra"

	"monban/report"
)

func disasmCommand() *cobra.Command {
	var flags gateFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "disasm [flags] GATE",
		Short: "show a BPF program instruction by instruction",
		Long: `Disasm lists a program with the names of calls, arguments and constants. A gate that is not BPF is
compiled first. monban asm reads the listing back.`,
		Example: `  monban disasm docker.bpf
  monban disasm web.gate
  monban disasm docker.bpf --json`,
		Args: takes("GATE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			g, err := flags.read(args[0])
			if err != nil {
				return err
			}
			filters, err := g.Filters()
			if err != nil {
				return exit{exitUsage, err}
			}
			order, err := g.ByteOrder()
			if err != nil {
				return exit{exitUsage, err}
			}
			if asJSON {
				return report.ListingJSON(cmd.OutOrStdout(), filters, order)
			}
			return report.ListingText(cmd.OutOrStdout(), g.Name, filters, order)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	flags.register(cmd)
	return cmd
}
