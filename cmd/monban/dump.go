package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func dumpCommand() *cobra.Command {
	var out string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "dump [flags] PID",
		Short: "the filters of a live process",
		Long: `Dump reads the seccomp filters of a live process from the kernel, the oldest first. It needs root;
the process goes on undisturbed. With -o they are written as they are, and where there are several,
.1, .2 … is added to the file's name.`,
		Example: `  monban dump 1234
  monban dump 1234 -o container.bpf
  monban explain pid:1234`,
		Args: takes("PID"),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			g, err := dumped(args[0])
			if err != nil {
				return err
			}
			w := cmd.OutOrStdout()
			if out == "" {
				if asJSON {
					return printJSON(w, "dump/1", map[string]any{"filters": listingsOf(g)})
				}
				return list(w, g)
			}
			for i, p := range g.Programs {
				name := out
				if len(g.Programs) > 1 {
					name = fmt.Sprintf("%s.%d", out, i+1)
				}
				if err := writeFile(name, p.Encode(g.Order)); err != nil {
					return exit{exitUsage, err}
				}
				fmt.Fprintf(w, "%s: %s (what it means: monban explain %s)\n", name, plural(len(p), "instruction"), name)
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "write the raw programs to files instead of showing them")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
