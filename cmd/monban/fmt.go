package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"monban/abi"
	"monban/format"
	"monban/internal/plain"
	"monban/policy/lang"
)

func fmtCommand() *cobra.Command {
	var check bool
	var kernel string
	cmd := &cobra.Command{
		Use:   "fmt [flags] [FILE…]",
		Short: "format a policy",
		Long: `Fmt lays policy files out in the one standard way, in place; without files, standard input to
standard output. Meaning and comments stay.`,
		Example: `  monban fmt web.gate
  monban fmt --check *.gate
  monban fmt --kernel newest web.gate`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				args = []string{"-"}
			}
			// All files are read before any is written: a mistake in one leaves the others as they are.
			type result struct {
				name     string
				old, new []byte
			}
			var results []result
			var errs []error
			for _, name := range args {
				src, err := format.ReadFile(name, format.Options{Stdin: os.Stdin})
				if err == nil {
					var out []byte
					if out, err = formatted(name, src, kernel, check); err == nil {
						results = append(results, result{name, src, out})
					}
				}
				errs = append(errs, err)
			}
			if err := errors.Join(errs...); err != nil {
				return exit{exitUsage, err}
			}
			unformatted := 0
			for _, r := range results {
				switch same := bytes.Equal(r.old, r.new); {
				case check && !same:
					unformatted++
					plain.Fprintf(cmd.OutOrStdout(), "%s\n", nameOf(r.name))
				case check:
				case r.name == "-":
					if _, err := cmd.OutOrStdout().Write(r.new); err != nil {
						return err
					}
				case !same:
					if err := writeFile(r.name, r.new); err != nil {
						return exit{exitUsage, err}
					}
				}
			}
			if unformatted > 0 {
				return exit{exitFindings, nil}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "only list the files that are not formatted; status 1 if there are any")
	cmd.Flags().StringVar(&kernel, "kernel", "", "write down the kernel version that a policy without a kernel header is for, or newest")
	return cmd
}

// nameOf is a file's name in messages.
func nameOf(file string) string {
	if file == "-" {
		return "standard input"
	}
	return file
}

func formatted(name string, src []byte, kernel string, quiet bool) ([]byte, error) {
	if f := format.Recognise(src); f.Name != "gate" {
		return nil, fmt.Errorf("%s is not a policy but %s (monban explain %s writes it as one)", nameOf(name), f.Title, name)
	}
	f, err := lang.Parse(nameOf(name), src)
	if err != nil {
		return nil, err
	}
	if f.Header("kernel") != nil {
		return []byte(f.String()), nil
	}
	if kernel == "" {
		if !quiet && usesGroups(f) {
			file := ""
			if name != "-" {
				file = " " + name
			}
			plain.Fprintf(stderr, "%s %s names no kernel, so that its groups grow with Monban (to write it down: monban fmt --kernel %s%s)\n",
				styled(stderr, faint, "note:"), nameOf(name), abi.Newest(), file)
		}
		return []byte(f.String()), nil
	}
	v := abi.Newest()
	if kernel != "newest" {
		if v, err = abi.ParseVersion(kernel); err != nil {
			return nil, fmt.Errorf("--kernel: %w", err)
		}
	}
	f.AddHeader(lang.Head("kernel", v.String()))
	return []byte(f.String()), nil
}

// usesGroups says whether what a policy means depends on the kernel that its groups are for.
func usesGroups(f *lang.File) bool {
	for r := range f.Rules {
		if slices.ContainsFunc(r.Items, func(it lang.Item) bool { return strings.HasPrefix(it.Name, "@") }) {
			return true
		}
	}
	return false
}
