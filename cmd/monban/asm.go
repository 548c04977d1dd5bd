package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"regexp"

	"github.com/spf13/cobra"

	"monban/bpf"
	"monban/format"
)

func asmCommand() *cobra.Command {
	var out string
	var big bool
	cmd := &cobra.Command{
		Use:   "asm [flags] FILE",
		Short: "assemble a listing to BPF",
		Long: `Asm reads what disasm wrote, or what you wrote, and makes the program: raw struct sock_filter. A
program that the kernel would not admit is refused. It is little-endian unless the listing says
.order big or the flag --be is given.`,
		Example: `  monban asm filter.s -o filter.bpf
  monban disasm old.bpf | monban asm - -o new.bpf`,
		Args: takes("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			src, err := format.ReadFile(args[0], format.Options{Stdin: os.Stdin})
			if err != nil {
				return exit{exitUsage, err}
			}
			name := nameOf(args[0])
			p, err := bpf.Assemble(name, bytes.NewReader(src))
			if err != nil {
				return exit{exitUsage, err}
			}
			var order binary.ByteOrder = binary.LittleEndian
			switch said := orderLine.FindSubmatch(src); {
			case said == nil && big, said != nil && string(said[1]) == "big":
				order = binary.BigEndian
			case said != nil && big:
				return exit{exitUsage, fmt.Errorf("--be contradicts the listing, which says .order %s", said[1])}
			}
			if err := writeProgram(cmd.OutOrStdout(), out, p.Encode(order), "it is what "+name+" says"); err != nil {
				return exit{exitUsage, err}
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "file to write (default standard output)")
	cmd.Flags().BoolVar(&big, "be", false, "for big-endian architectures")
	return cmd
}

// orderLine is the directive of a listing that says its byte order.
var orderLine = regexp.MustCompile(`(?m)^\s*\.order\s+(little|big)\b`)
