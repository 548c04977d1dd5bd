package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"monban/bpf"
)

func dumpCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "dump [flags] PID",
		Short: "the filters of a live process",
		Long: `Dump reads the seccomp filters of a live process from the kernel, the oldest first. It needs root; the
process goes on undisturbed. With -o and several filters, .1, .2 … is added to the file's name.`,
		Example: `  monban dump 1234
  monban dump 1234 -o container.bpf
  monban explain pid:1234`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			g, err := dumped(args[0])
			if err != nil {
				return err
			}
			w := cmd.OutOrStdout()
			for i, p := range g.Programs {
				if out != "" {
					name := out
					if len(g.Programs) > 1 {
						name = fmt.Sprintf("%s.%d", out, i+1)
					}
					if err := writeFile(name, p.Encode(g.Order)); err != nil {
						return exit{exitUsage, err}
					}
					fmt.Fprintf(w, "%s: %s\n", name, plural(len(p), "instruction"))
					continue
				}
				if i > 0 {
					fmt.Fprintln(w)
				}
				fmt.Fprintf(w, "; filter %d of %d of process %s: %s\n", i+1, len(g.Programs), args[0], plural(len(p), "instruction"))
				if err := bpf.Disassemble(w, p, g.Order, namer{}); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "write the raw programs to files instead of showing them")
	return cmd
}
