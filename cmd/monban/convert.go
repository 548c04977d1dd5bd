package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"monban/format"
	"monban/format/codec"
	"monban/internal/nearest"
	"monban/internal/plain"
)

func convertCommand() *cobra.Command {
	var flags gateFlags
	var to, target, out string
	cmd := &cobra.Command{
		Use:   "convert [flags] GATE --to FORMAT",
		Short: "write a gate in another format",
		Long: `Convert reads a gate in any format and writes it in another one, with the same meaning: what was
written is read back and proven equal. What the other format cannot say is spelled out in rules that
mean the same, or is an error that names it.

` + formatTable(),
		Example: `  monban convert docker.json --to gate -o docker.gate
  monban convert web.gate --to oci -o web.json
  monban convert bpf:their.bpf --to gate`,
		Args: takes("GATE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := writable(to)
			if err != nil {
				return exit{exitUsage, err}
			}
			g, err := flags.read(args[0])
			if err != nil {
				return err
			}
			if f.Name != g.Format {
				if err := spares(out, g); err != nil {
					return err
				}
			}
			o, err := flags.options()
			if err != nil {
				return exit{exitUsage, err}
			}
			text, err := format.Write(g, f, target, o)
			if err != nil {
				return exit{exitUsage, err}
			}
			printNotes(text.Notes)
			if f.Binary {
				err = writeProgram(cmd.OutOrStdout(), out, text.Bytes, "monban disasm "+args[0])
			} else {
				err = writeText(cmd.OutOrStdout(), out, text.Bytes)
			}
			if err != nil {
				return exit{exitUsage, err}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "the format to write: "+strings.Join(names(isWritten), ", "))
	cmd.Flags().StringVar(&target, "for", "", "the program that will read it, where it matters")
	cmd.Flags().StringVarP(&out, "output", "o", "", "file to write (default standard output)")
	flags.register(cmd)
	for flag, words := range map[string]func() []string{
		"to": func() []string { return described(isWritten) },
		"for": func() []string {
			f, _ := format.Find(to)
			return f.For
		},
	} {
		if err := cmd.RegisterFlagCompletionFunc(flag, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return words(), cobra.ShellCompDirectiveNoFileComp
		}); err != nil {
			panic(err) // the flag was registered above
		}
	}
	return cmd
}

func isRead(f codec.Format) bool    { return f.Read != nil }
func isWritten(f codec.Format) bool { return f.Writes() }

// names are those of the formats that have a quality.
func names(has func(codec.Format) bool) (all []string) {
	for _, f := range format.Formats() {
		if has(f) {
			all = append(all, f.Name)
		}
	}
	return all
}

// described is names with what each is, as shells show it.
func described(has func(codec.Format) bool) (all []string) {
	for _, f := range format.Formats() {
		if has(f) {
			all = append(all, f.Name+"\t"+f.About)
		}
	}
	return all
}

// formatTable lists every format for help.
func formatTable() string {
	var b strings.Builder
	b.WriteString("Formats, and whether they are read (r) and written (w):\n")
	for _, f := range format.Formats() {
		mode := map[bool]string{true: "r", false: "-"}[isRead(f)] + map[bool]string{true: "w", false: "-"}[isWritten(f)]
		about := f.About
		if len(f.For) > 1 {
			about += "; --for " + strings.Join(f.For, ", ")
		}
		plain.Paragraph(&b, strings.Repeat(" ", 18), "  %-11s %s  %s", f.Name, mode, about)
	}
	return strings.TrimRight(b.String(), "\n")
}

// writable is the format of a name given to --to.
func writable(name string) (codec.Format, error) {
	all := names(isWritten)
	f, ok := format.Find(name)
	switch {
	case name == "":
		return f, fmt.Errorf("--to is missing: one of %s", strings.Join(all, ", "))
	case ok && isWritten(f):
		return f, nil
	case ok:
		return f, fmt.Errorf("--to %s: %s can only be read (written are %s)", name, f.Title, strings.Join(all, ", "))
	}
	hint := "there are " + strings.Join(all, ", ")
	if near := nearest.Word(name, all); near != "" {
		hint = "did you mean " + near + "?"
	}
	return f, fmt.Errorf("--to %s: unknown format (%s)", name, hint)
}
