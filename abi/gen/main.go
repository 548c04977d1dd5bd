// Command gen makes the tables in ../data, and that of the architectures in Go, from the facts in ../facts and the
// constants of golang.org/x/sys/unix.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A generator holds what the steps share.
type generator struct {
	facts string // the directory of facts/
	unix  string // the directory of golang.org/x/sys/unix
	out   string // where package abi is written
	archs []architecture
	table *callTable
	all   values
}

func main() {
	g := &generator{}
	flag.StringVar(&g.facts, "facts", "facts", "directory of the facts")
	flag.StringVar(&g.out, "out", ".", "directory of package abi, to write to")
	flag.Parse()
	if err := g.run(); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func (g *generator) run() error {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "golang.org/x/sys").Output()
	if err != nil {
		return fmt.Errorf("where is golang.org/x/sys: %w", err)
	}
	g.unix = filepath.Join(strings.TrimSpace(string(dir)), "unix")
	for _, step := range []func() error{g.architectures, g.numbers, g.since, g.args, g.constants, g.groups, g.argValues} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// write puts a table into the output directory.
func (g *generator) write(name, source string, body *bytes.Buffer) error {
	path := filepath.Join(g.out, "data", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	head := "# Made by go generate (abi/gen) from " + source + ". Edit those, not this.\n"
	return os.WriteFile(path, append([]byte(head), body.Bytes()...), 0o644)
}
