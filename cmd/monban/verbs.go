package main

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"monban/internal/plain"
)

// verbs are the commands by what a person wants to do.
var verbs = []struct {
	id, title string
	commands  []func() *cobra.Command
}{
	{"confine", "Confine a program", []func() *cobra.Command{runCommand, doctorCommand, versionCommand}},
	{"see", "See what a gate does", []func() *cobra.Command{
		explainCommand, askCommand, diffCommand, dumpCommand, disasmCommand, syscallsCommand,
	}},
	{"check", "Check gates", []func() *cobra.Command{testCommand, lintCommand}},
	{"learn", "Learn a gate", []func() *cobra.Command{recordCommand, scanCommand, learnCommand}},
	{"translate", "Write and translate gates", []func() *cobra.Command{
		fmtCommand, convertCommand, mergeCommand, compileCommand, asmCommand,
	}},
}

// printVerbs is the help of the whole: each command with one example.
func printVerbs(w io.Writer, root *cobra.Command) {
	_, _ = io.WriteString(w, root.Long+"\n")
	for _, g := range root.Groups() {
		plain.Fprintf(w, "\n%s\n", styled(w, bold, g.Title))
		for _, c := range root.Commands() {
			if c.GroupID != g.ID || c.Hidden {
				continue
			}
			plain.Fprintf(w, "  %-9s %s\n", c.Name(), c.Short)
			if example := firstExample(c); example != "" {
				plain.Fprintf(w, "  %-9s %s\n", "", styled(w, faint, "  "+example))
			}
		}
	}
	plain.Fprintf(w, "\nMore of each: monban COMMAND --help. Completion in your shell: monban completion --help.\n")
}

// firstExample is a command's first example, without what is said beside it.
func firstExample(c *cobra.Command) string {
	line, _, _ := strings.Cut(strings.TrimSpace(c.Example), "\n")
	line, _, _ = strings.Cut(line, "   ")
	return line
}
