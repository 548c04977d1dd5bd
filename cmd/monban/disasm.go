package main

import (
	"encoding/binary"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"monban/bpf"
	"monban/internal/plain"
)

func disasmCommand() *cobra.Command {
	var flags gateFlags
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
			g, err := flags.read(args[0])
			if err != nil {
				return err
			}
			filters, err := g.Filters()
			if err != nil {
				return exit{exitUsage, err}
			}
			order, err := g.ByteOrder()
			if err != nil {
				return exit{exitUsage, err}
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), "disasm/1", map[string]any{"filters": listingsOf(filters, order)})
			}
			return list(cmd.OutOrStdout(), g.Name, filters, order)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	flags.register(cmd)
	return cmd
}

// list writes programs as asm reads them.
func list(w io.Writer, name string, programs []bpf.Program, order binary.ByteOrder) error {
	for i, p := range programs {
		if i > 0 {
			plain.Fprintf(w, "\n")
		}
		if len(programs) > 1 {
			plain.Fprintf(w, "; filter %d of %d, the oldest first: %s\n", i+1, len(programs), plain.Count(len(p), "instruction"))
		} else {
			plain.Fprintf(w, "; %s: %s\n", name, plain.Count(len(p), "instruction"))
		}
		// The listing itself says its byte order only where it loads halves of arguments; asm wants to know it in any case.
		if order == binary.ByteOrder(binary.BigEndian) && !slices.ContainsFunc(p, loadsHalf) {
			plain.Fprintf(w, ".order big\n")
		}
		if err := bpf.Disassemble(w, p, order, namer{}); err != nil {
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

func listingsOf(programs []bpf.Program, order binary.ByteOrder) []listing {
	var all []listing
	for _, p := range programs {
		l := listing{Order: "little"}
		if order == binary.ByteOrder(binary.BigEndian) {
			l.Order = "big"
		}
		for _, ins := range p {
			l.Instructions = append(l.Instructions, instruction{ins.Code, ins.Jt, ins.Jf, ins.K, ins.String()})
		}
		all = append(all, l)
	}
	return all
}
