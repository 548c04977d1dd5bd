package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// verbs are the commands by what a person wants to do.
var verbs = []struct {
	id, title string
	commands  []func() *cobra.Command
}{
	{"confine", "Confine a program", []func() *cobra.Command{runCommand, doctorCommand}},
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
	fmt.Fprintf(w, "%s\n", root.Long)
	for _, g := range root.Groups() {
		fmt.Fprintf(w, "\n%s\n", styled(w, bold, g.Title))
		for _, c := range root.Commands() {
			if c.GroupID != g.ID || c.Hidden {
				continue
			}
			fmt.Fprintf(w, "  %-9s %s\n", c.Name(), c.Short)
			if example := firstExample(c); example != "" {
				fmt.Fprintf(w, "  %-9s %s\n", "", styled(w, faint, "  "+example))
			}
		}
	}
	fmt.Fprint(w, "\nMore of each: monban COMMAND --help. Completion in your shell: monban completion --help.\n")
}

// firstExample is a command's first example, without what is said beside it.
func firstExample(c *cobra.Command) string {
	line, _, _ := strings.Cut(strings.TrimSpace(c.Example), "\n")
	line, _, _ = strings.Cut(line, "   ")
	return line
}
