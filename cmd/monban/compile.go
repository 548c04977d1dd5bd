package main

import (
	"io"

	"github.com/spf13/cobra"

	"monban/inspect"
	"monban/report"
)

// A compilePlan is what compile is asked for.
type compilePlan struct {
	flags         gateFlags
	made          compileFlags
	ref, out      string
	stats, asJSON bool
}

func compileCommand() *cobra.Command {
	var p compilePlan
	cmd := &cobra.Command{
		Use:   "compile [flags] GATE",
		Short: "compile a gate to BPF, proven equal to it",
		Long: `Compile writes the shortest program that it can find for a gate: raw struct sock_filter, eight bytes
an instruction, in the byte order of the architecture, as bubblewrap and others take it. The program
is proven equal to the gate before it is written. A gate that is BPF already comes out equal and
usually smaller.

The kernel takes 4096 instructions a filter. A longer gate becomes several, proven equal to it when
all are installed, in the order of their names: .1, .2 … is added to the file's.`,
		Example: `  monban compile web.gate -o web.bpf
  monban compile docker.json --arch x86_64 --stats -o docker.bpf
  monban compile bpf:their.bpf -o small.bpf --stats
  bwrap --ro-bind / / --dev /dev --seccomp 9 sh 9<web.bpf`,
		Args: takes("GATE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			p.ref = args[0]
			return p.run(cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVarP(&p.out, "output", "o", "", "file to write (default standard output)")
	cmd.Flags().BoolVar(&p.stats, "stats", false, "print the program's length and paths instead of the program (with -o: as well)")
	cmd.Flags().BoolVar(&p.asJSON, "json", false, "print the statistics as JSON")
	p.made.register(cmd)
	p.flags.register(cmd)
	return cmd
}

func (p *compilePlan) run(w io.Writer) error {
	o, err := p.made.options()
	if err != nil {
		return exit{exitUsage, err}
	}
	g, err := p.flags.read(p.ref)
	if err != nil {
		return err
	}
	if g.Policy != nil {
		if err := spares(p.out, g); err != nil {
			return err
		}
	}
	c, err := inspect.Compile(g, o)
	if err != nil {
		return exit{exitUsage, err}
	}
	stats := p.stats || p.asJSON
	if toFile := p.out != "" && p.out != "-"; toFile || !stats {
		var raw [][]byte
		for _, f := range c.Filters {
			raw = append(raw, f.Encode(c.Order))
		}
		if len(raw) > 1 {
			err = writeStack(p.out, raw)
		} else {
			err = writeProgram(w, p.out, raw[0], "monban disasm "+p.ref)
		}
		if err != nil {
			return exit{exitUsage, err}
		}
	}
	if !stats {
		return nil
	}
	s, err := c.Measure()
	switch {
	case err != nil:
		return err
	case p.asJSON:
		return report.CompilationJSON(w, c, s)
	}
	return report.CompilationText(w, c, s, style(w))
}
