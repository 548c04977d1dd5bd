package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"monban/bpf"
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
usually smaller.

The kernel takes 4096 instructions a filter. A longer gate becomes several, proven equal to it when
all are installed, in the order of their names: .1, .2 … is added to the file's.`,
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
			programs, err := compile.Programs(v, order)
			if err != nil {
				return exit{exitUsage, fmt.Errorf("%s: %w", g.Name, err)}
			}
			compiled := time.Since(begin)
			stats = stats || asJSON
			if toFile := out != "" && out != "-"; toFile || !stats {
				var raw [][]byte
				for _, p := range programs {
					raw = append(raw, p.Encode(order))
				}
				if len(raw) > 1 {
					err = writeStack(out, raw)
				} else {
					err = writeProgram(cmd.OutOrStdout(), out, raw[0], "monban disasm "+args[0])
				}
				if err != nil {
					return exit{exitUsage, err}
				}
			}
			if !stats {
				return nil
			}
			var each []compile.Stats
			for _, p := range programs {
				each = append(each, compile.Measure(p, v, archsOf(g, v), order))
			}
			s := compile.Total(each)
			w := cmd.OutOrStdout()
			if asJSON {
				j := statsJSON{s.Length, s.Longest, s.Mean, s.MeanCached, s.MeanUncached, s.Uncached, s.Allowed, s.Cacheable,
					v.Size(), understood.Nanoseconds(), compiled.Nanoseconds(), nil}
				for _, s := range each {
					j.Filters = append(j.Filters, s.Length)
				}
				return printJSON(w, j)
			}
			limit := "(the kernel takes 4096)"
			if len(each) > 1 {
				printFilters(w, programs)
				limit = "in all"
			}
			return printStats(w, s, limit, v, understood, compiled)
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
	Filters      []int   `json:"filters"`    // the length of each; all else is about all of them together
}

// printFilters prints what comes before the statistics of all filters together.
func printFilters(w io.Writer, programs []bpf.Program) {
	total := 0
	for i, p := range programs {
		fmt.Fprintf(w, "filter %-10d %d instructions (the kernel takes 4096)\n", i+1, len(p))
		total += p.KernelLen() + bpf.StackedExtra
	}
	fmt.Fprintf(w, "in the kernel     %d instructions (it takes %d in all filters of a program)\n", total, bpf.MaxStacked)
}

func printStats(w io.Writer, s compile.Stats, limit string, v verdict.Verdict, understood, compiled time.Duration) error {
	_, err := fmt.Fprintf(w, `length            %d instructions %s
longest path      %d instructions
mean executed     %.1f instructions over known calls, %.1f with the kernel's cache
uncached allowed  %.1f instructions, %s whose arguments decide
cacheable         %d of %d plainly allowed calls
proof             equal to the gate: one verdict of %d nodes
time              %v to the verdict, %v to the proven program
`, s.Length, limit, s.Longest, s.Mean, s.MeanCached, s.MeanUncached, plural(s.Uncached, "call"), s.Cacheable, s.Allowed, v.Size(),
		understood.Round(time.Microsecond), compiled.Round(time.Microsecond))
	return err
}
