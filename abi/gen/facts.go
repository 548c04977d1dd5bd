package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A factLine is a line of a facts file, with its place for messages.
type factLine struct {
	text  string
	place string
}

// lines reads a facts file without its comments and empty lines.
func (g *generator) lines(name string) ([]factLine, error) {
	text, err := os.ReadFile(filepath.Join(g.facts, name))
	if err != nil {
		return nil, err
	}
	var out []factLine
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		line = strings.TrimSpace(line)
		if line != "" && line[0] != '#' {
			out = append(out, factLine{line, fmt.Sprintf("%s:%d", name, n)})
		}
	}
	return out, nil
}
