package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"monban/bpf"
	"monban/compile"
	"monban/format"
	"monban/internal/plain"
	"monban/verdict"
)

func disasmCommand() *cobra.Command {
	var gate gateFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "disasm [flags] GATE",
		Short: "show a BPF program instruction by instruction",
		Long: `Disasm lists a program with the names of calls, arguments and constants. A gate that is not BPF is
compiled first. monban asm reads the listing back.`,
		Example: `  monban disasm docker.bpf
  monban disasm web.gate
  monban disasm docker.bpf --json`,
		Args: takes("GATE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			g, err := gate.read(args[0])
			if err != nil {
				return err
			}
			if g.Policy != nil {
				if err := compiled(g); err != nil {
					return exit{exitUsage, err}
				}
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), "disasm/1", map[string]any{"filters": listingsOf(g)})
			}
			return list(cmd.OutOrStdout(), g)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	gate.register(cmd)
	return cmd
}

// compiled gives a gate that is a policy its programs.
func compiled(g *format.Gate) error {
	order, err := g.ByteOrder()
	if err != nil {
		return err
	}
	v, err := g.Verdict(verdict.NewSpace(verdict.DefaultBudget))
	if err != nil {
		return err
	}
	if g.Programs, err = compile.Programs(v, order); err != nil {
		return fmt.Errorf("%s: %w", g.Name, err)
	}
	g.Order = order
	return nil
}

// list writes a gate's programs as asm reads them.
func list(w io.Writer, g *format.Gate) error {
	for i, p := range g.Programs {
		if i > 0 {
			plain.Fprintf(w, "\n")
		}
		if len(g.Programs) > 1 {
			plain.Fprintf(w, "; filter %d of %d, the oldest first: %s\n", i+1, len(g.Programs), plural(len(p), "instruction"))
		} else {
			plain.Fprintf(w, "; %s: %s\n", g.Name, plural(len(p), "instruction"))
		}
		// The listing itself says its byte order only where it loads halves of arguments; asm wants to know it in any case.
		if g.Order == binary.ByteOrder(binary.BigEndian) && !slices.ContainsFunc(p, loadsHalf) {
			plain.Fprintf(w, ".order big\n")
		}
		if err := bpf.Disassemble(w, p, g.Order, namer{}); err != nil {
			return err
		}
	}
	return nil
}

func loadsHalf(ins bpf.Instruction) bool {
	return ins.Code == bpf.LD|bpf.W|bpf.ABS && ins.K >= bpf.OffsetIP
}

// A listing is a program for machines.
type listing struct {
	Order        string        `json:"order"` // little or big
	Instructions []instruction `json:"instructions"`
}

type instruction struct {
	Code uint16 `json:"code"`
	Jt   uint8  `json:"jt"`
	Jf   uint8  `json:"jf"`
	K    uint32 `json:"k"`
	Text string `json:"text"`
}

func listingsOf(g *format.Gate) []listing {
	var all []listing
	for _, p := range g.Programs {
		l := listing{Order: "little"}
		if g.Order == binary.ByteOrder(binary.BigEndian) {
			l.Order = "big"
		}
		for _, ins := range p {
			l.Instructions = append(l.Instructions, instruction{ins.Code, ins.Jt, ins.Jf, ins.K, ins.String()})
		}
		all = append(all, l)
	}
	return all
}
