package main

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"monban/abi"
	"monban/policy"
)

func fmtCommand() *cobra.Command {
	var check bool
	var kernel string
	cmd := &cobra.Command{
		Use:   "fmt [flags] [FILE…]",
		Short: "format a policy",
		Long: `Fmt lays policy files out in the one standard way, in place; without files, standard input to standard
output. Meaning and comments stay.`,
		Example: `  monban fmt web.gate
  monban fmt --check *.gate
  monban fmt --kernel newest web.gate`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				src, err := io.ReadAll(io.LimitReader(os.Stdin, 8<<20))
				if err != nil {
					return exit{exitUsage, err}
				}
				out, err := formatted("standard input", src, kernel)
				if err != nil {
					return exit{exitUsage, err}
				}
				_, err = cmd.OutOrStdout().Write(out)
				return err
			}
			unformatted := 0
			// All files are read before any is written: a mistake in one leaves the others as they are.
			outs := make([][]byte, len(args))
			for i, name := range args {
				src, err := os.ReadFile(name)
				if err != nil {
					return exit{exitUsage, err}
				}
				if outs[i], err = formatted(name, src, kernel); err != nil {
					return exit{exitUsage, err}
				}
				if bytes.Equal(src, outs[i]) {
					outs[i] = nil
					continue
				}
				unformatted++
			}
			for i, name := range args {
				switch {
				case outs[i] == nil:
				case check:
					fmt.Fprintln(cmd.OutOrStdout(), name)
				default:
					if err := writeFile(name, outs[i]); err != nil {
						return exit{exitUsage, err}
					}
				}
			}
			if check && unformatted > 0 {
				return exit{exitFindings, nil}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "only list the files that are not formatted; status 1 if there are any")
	cmd.Flags().StringVar(&kernel, "kernel", "", "write down the kernel version that a policy without a kernel header is for, or newest")
	return cmd
}

func formatted(name string, src []byte, kernel string) ([]byte, error) {
	f, err := policy.Parse(name, src)
	if err != nil {
		return nil, err
	}
	out := f.Format()
	for _, line := range f.Lines {
		if line.Word == "kernel" {
			return out, nil
		}
	}
	if kernel == "" {
		fmt.Fprintf(os.Stderr, "%s %s names no kernel: its groups grow with Monban (monban fmt --kernel %s writes it down)\n",
			styled(os.Stderr, faint, "note:"), name, abi.Newest())
		return out, nil
	}
	v := abi.Newest()
	if kernel != "newest" {
		if v, err = abi.ParseVersion(kernel); err != nil {
			return nil, fmt.Errorf("--kernel: %w", err)
		}
	}
	return f.WithKernel(v), nil
}
