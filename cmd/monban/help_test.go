package main

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"monban/internal/plain"
)

// tooWide are the lines of a text that do not fit.
func tooWide(text string) (wide []string) {
	for line := range strings.SplitSeq(text, "\n") {
		if utf8.RuneCountInString(line) > plain.Width {
			wide = append(wide, line)
		}
	}
	return wide
}

// Each command says what it is for, shows its use, and fits the width.
func TestHelp(t *testing.T) {
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		t.Run(c.Name(), func(t *testing.T) {
			var out bytes.Buffer
			c.SetOut(&out)
			if err := c.Help(); err != nil {
				t.Fatal(err)
			}
			for _, line := range tooWide(out.String()) {
				t.Errorf("wider than %d columns: %s", plain.Width, line)
			}
			if c.Short == "" || c.Long == "" {
				t.Error("it does not say what it is for")
			}
			if c.Example == "" && c.HasParent() {
				t.Error("no example")
			}
			for line := range strings.SplitSeq(c.Example, "\n") {
				words := strings.Fields(line)
				if len(words) > 1 && words[0] == "monban" {
					if found, _, err := c.Root().Find(words[1:]); err != nil || found == c.Root() {
						t.Errorf("the example is not a command: %s", line)
					}
				}
			}
		})
		for _, sub := range c.Commands() {
			if sub.Name() != "help" {
				visit(sub)
			}
		}
	}
	visit(newRoot())
}
