package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"monban/compile"
	"monban/verdict"
)

func compileCommand() *cobra.Command {
	var gate gateFlags
	var out string
	var stats, asJSON bool
	cmd := &cobra.Command{
		Use:   "compile [flags] GATE",
		Short: "compile a gate to BPF, proven equal to it",
		Long: `Compile writes the shortest program that we can find for a gate: raw struct sock_filter, eight bytes an
instruction, in the byte order of the architecture, as bubblewrap and others take it. The program is proven
equal to the gate before it is written. A gate that is BPF already comes out equal and usually smaller.`,
		Example: `  monban compile web.gate -o web.bpf
  monban compile docker.json --arch x86_64 --stats -o docker.bpf
  bwrap --ro-bind / / --seccomp 10 sh 10< web.bpf`,
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
			space := verdict.NewSpace(verdict.DefaultBudget)
			begin := time.Now()
			v, err := meaning(g, space)
			if err != nil {
				return tooComplex(err)
			}
			understood := time.Since(begin)
			begin = time.Now()
			program, err := compile.Program(v, order)
			if err != nil {
				return exit{exitUsage, fmt.Errorf("%s: %w", g.Name, err)}
			}
			compiled := time.Since(begin)
			toStdout := out == "" || out == "-"
			if toStdout && !stats && term.IsTerminal(int(os.Stdout.Fd())) {
				return exit{exitUsage, fmt.Errorf("a program is binary: name a file with -o, or show it with monban disasm %s", args[0])}
			}
			if !toStdout {
				if err := writeFile(out, program.Encode(order)); err != nil {
					return exit{exitUsage, err}
				}
			} else if !stats {
				if _, err := cmd.OutOrStdout().Write(program.Encode(order)); err != nil {
					return err
				}
			}
			if !stats {
				return nil
			}
			s := compile.Measure(program, v, archsOf(g, v), order)
			w := cmd.OutOrStdout()
			if asJSON {
				return printJSON(w, struct {
					compile.Stats
					VerdictNodes          int
					MeaningNS, CompiledNS int64
				}{s, v.Size(), understood.Nanoseconds(), compiled.Nanoseconds()})
			}
			return printStats(w, s, v, understood, compiled)
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "file to write (default standard output)")
	cmd.Flags().BoolVar(&stats, "stats", false, "print the program's length and paths instead of the program (with -o: as well)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print --stats as JSON")
	gate.register(cmd)
	return cmd
}

func printStats(w io.Writer, s compile.Stats, v verdict.Verdict, understood, compiled time.Duration) error {
	_, err := fmt.Fprintf(w, `length            %d instructions (the kernel takes 4096)
longest path      %d instructions
mean executed     %.1f instructions over known calls, %.1f with the kernel's cache
uncached allowed  %.1f instructions, %s whose arguments decide
cacheable         %d of %d plainly allowed calls
proof             equal to the gate: one verdict of %d nodes
time              %v to the verdict, %v to the proven program
`, s.Length, s.Longest, s.Mean, s.MeanCached, s.MeanUncached, plural(s.Uncached, "call"), s.Cacheable, s.Allowed, v.Size(),
		understood.Round(time.Microsecond), compiled.Round(time.Microsecond))
	return err
}

// writeFile writes a file whole or not at all.
func writeFile(name string, data []byte) error {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return os.WriteFile(name, data, 0o644) // a pipe or device is written as it is
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already when all went well
	if _, err = f.Write(data); err == nil {
		err = f.Chmod(0o644)
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", name, err)
	}
	return os.Rename(f.Name(), name)
}
