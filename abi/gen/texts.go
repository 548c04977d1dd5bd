package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// groups writes facts/groups.txt as it is, once its names are known to be names.
func (g *generator) groups() error {
	lines, err := g.lines("groups.txt")
	if err != nil {
		return err
	}
	groups := map[string]bool{}
	for _, l := range lines {
		if name, ok := strings.CutSuffix(l.text, ":"); ok {
			groups[name] = true
		}
	}
	var b bytes.Buffer
	for _, l := range lines {
		if !strings.HasSuffix(l.text, ":") {
			for word := range strings.FieldsSeq(l.text) {
				if !groups[word] && !slices.Contains(g.table.calls, word) {
					return fmt.Errorf("%s: %s is neither a group nor a call", l.place, word)
				}
			}
		}
		fmt.Fprintln(&b, l.text)
	}
	return g.write("groups.txt", "facts/groups.txt", &b)
}

// argValues writes a line for each call and argument of facts/argvalues.txt: "call argument kind names", the names with
// their prefixes as they are.
func (g *generator) argValues() error {
	lines, err := g.lines("argvalues.txt")
	if err != nil {
		return err
	}
	var b bytes.Buffer
	for _, l := range lines {
		head, names, ok := strings.Cut(l.text, ": ")
		f := strings.Fields(head)
		if !ok || len(f) != 3 {
			return fmt.Errorf("%s: want calls, arguments, kind: names", l.place)
		}
		for call := range strings.SplitSeq(f[0], ",") {
			if call != "*" && !slices.Contains(g.table.calls, call) {
				return fmt.Errorf("%s: unknown call %s", l.place, call)
			}
		}
		for word := range strings.FieldsSeq(names) {
			if _, ok := g.all[word]; !ok && word != "|" && !strings.HasSuffix(word, "_") && !strings.HasSuffix(word, "*") {
				return fmt.Errorf("%s: unknown constant %s", l.place, word)
			}
		}
		fmt.Fprintf(&b, "%s %s %s %s\n", f[0], f[1], f[2], names)
	}
	return g.write("argvalues.txt", "facts/argvalues.txt", &b)
}
