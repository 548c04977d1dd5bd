package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

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
		Long: `Compile writes the shortest program that it can find for a gate: raw struct sock_filter, eight bytes
an instruction, in the byte order of the architecture, as bubblewrap and others take it. The program
is proven equal to the gate before it is written. A gate that is BPF already comes out equal and
usually smaller.`,
		Example: `  monban compile web.gate -o web.bpf
  monban compile docker.json --arch x86_64 --stats -o docker.bpf
  bwrap --ro-bind / / --dev /dev --seccomp 9 sh 9<web.bpf`,
		Args: takes("GATE"),
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
				return err
			}
			understood := time.Since(begin)
			begin = time.Now()
			program, err := compile.Program(v, order)
			if err != nil {
				return exit{exitUsage, fmt.Errorf("%s: %w", g.Name, err)}
			}
			compiled := time.Since(begin)
			stats = stats || asJSON
			if toFile := out != "" && out != "-"; toFile || !stats {
				if err := writeProgram(cmd.OutOrStdout(), out, program.Encode(order), "monban disasm "+args[0]); err != nil {
					return exit{exitUsage, err}
				}
			}
			if !stats {
				return nil
			}
			s := compile.Measure(program, v, archsOf(g, v), order)
			w := cmd.OutOrStdout()
			if asJSON {
				return printJSON(w, statsJSON{s.Length, s.Longest, s.Mean, s.MeanCached, s.MeanUncached, s.Uncached, s.Allowed, s.Cacheable,
					v.Size(), understood.Nanoseconds(), compiled.Nanoseconds()})
			}
			return printStats(w, s, v, understood, compiled)
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "file to write (default standard output)")
	cmd.Flags().BoolVar(&stats, "stats", false, "print the program's length and paths instead of the program (with -o: as well)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the statistics as JSON")
	gate.register(cmd)
	return cmd
}

// statsJSON is compile.Stats and how they came about, with names for machines.
type statsJSON struct {
	Length       int     `json:"length"`        // instructions
	Longest      int     `json:"longest"`       // instructions on the longest path
	Mean         float64 `json:"mean"`          // executed a call
	MeanCached   float64 `json:"mean_cached"`   // the same with the kernel's cache
	MeanUncached float64 `json:"mean_uncached"` // executed a call whose arguments decide
	Uncached     int     `json:"uncached"`      // calls allowed depending on arguments
	Allowed      int     `json:"allowed"`       // calls allowed whatever their arguments
	Cacheable    int     `json:"cacheable"`     // how many of those the kernel's cache answers
	VerdictNodes int     `json:"verdict_nodes"`
	VerdictNS    int64   `json:"verdict_ns"` // time from the gate to its meaning
	ProgramNS    int64   `json:"program_ns"` // time from there to the proven program
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
