package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"monban/abi"
	"monban/bpf"
	"monban/compile"
	"monban/verdict"
)

// namer gives disassembly the names of calls, arguments and constants.
type namer struct{}

func (namer) arch(token, nr uint32) (abi.Arch, bool) {
	for _, a := range abi.Archs() {
		if a.Token() == token && (a == abi.X32) == (token == abi.X32.Token() && nr >= abi.X32Bit) {
			return a, true
		}
	}
	return 0, false
}

func (n namer) Arch(token uint32) string {
	if a, ok := n.arch(token, 0); ok {
		return a.String()
	}
	return ""
}

func (n namer) Call(token, nr uint32) string {
	a, ok := n.arch(token, nr)
	if !ok {
		return ""
	}
	name, _ := a.Name(nr)
	return name
}

func (n namer) Arg(token, nr uint32, index int) string {
	a, ok := n.arch(token, nr)
	if !ok {
		return ""
	}
	args, _ := a.Args(n.Call(token, nr))
	for _, arg := range args {
		if arg.Index == index {
			return arg.Name
		}
	}
	return ""
}

func (n namer) Constant(token, nr uint32, index int, value uint32) string {
	a, ok := n.arch(token, nr)
	if !ok {
		return ""
	}
	return a.ConstantName(n.Call(token, nr), index, uint64(value))
}

func disasmCommand() *cobra.Command {
	var gate gateFlags
	cmd := &cobra.Command{
		Use:   "disasm [flags] GATE",
		Short: "show a BPF program instruction by instruction",
		Long: `Disasm lists a program with the names of calls, arguments and constants. A gate that is not BPF is
compiled first. monban asm reads the listing back.`,
		Example: `  monban disasm docker.bpf
  monban disasm web.gate`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			g, err := gate.read(args[0])
			if err != nil {
				return err
			}
			order, err := g.ByteOrder()
			if err != nil {
				return exit{exitUsage, err}
			}
			programs := g.Programs
			if programs == nil {
				v, err := meaning(g, verdict.NewSpace(verdict.DefaultBudget))
				if err != nil {
					return tooComplex(err)
				}
				p, err := compile.Program(v, order)
				if err != nil {
					return exit{exitUsage, err}
				}
				programs = []bpf.Program{p}
			}
			for i, p := range programs {
				if i > 0 {
					fmt.Fprintln(cmd.OutOrStdout())
				}
				if err := bpf.Disassemble(cmd.OutOrStdout(), p, order, namer{}); err != nil {
					return err
				}
			}
			return nil
		},
	}
	gate.register(cmd)
	return cmd
}

func asmCommand() *cobra.Command {
	var out string
	var big bool
	cmd := &cobra.Command{
		Use:   "asm [flags] FILE",
		Short: "assemble a listing to BPF",
		Long: `Asm reads what disasm wrote, or what you wrote, and makes the program: raw struct sock_filter. A program
that the kernel would not admit is refused.`,
		Example: `  monban asm filter.s -o filter.bpf
  monban disasm old.bpf | monban asm - -o new.bpf`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, src := args[0], io.Reader(os.Stdin)
			if name == "-" {
				name = "standard input"
			} else {
				f, err := os.Open(name)
				if err != nil {
					return exit{exitUsage, err}
				}
				defer f.Close()
				src = f
			}
			p, err := bpf.Assemble(name, src)
			if err != nil {
				return exit{exitUsage, err}
			}
			var order binary.ByteOrder = binary.LittleEndian
			if big {
				order = binary.BigEndian
			}
			if out != "" && out != "-" {
				if err := writeFile(out, p.Encode(order)); err != nil {
					return exit{exitUsage, err}
				}
				return nil
			}
			_, err = cmd.OutOrStdout().Write(p.Encode(order))
			return err
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "file to write (default standard output)")
	cmd.Flags().BoolVar(&big, "be", false, "for big-endian architectures")
	return cmd
}
