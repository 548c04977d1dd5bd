package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"monban/bpf"
	"monban/compile"
	"monban/gate"
	"monban/internal/plain"
	"monban/verdict"
)

func compileCommand() *cobra.Command {
	var flags gateFlags
	var made compileFlags
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
  monban compile bpf:their.bpf -o small.bpf --stats
  bwrap --ro-bind / / --dev /dev --seccomp 9 sh 9<web.bpf`,
		Args: takes("GATE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := made.options()
			if err != nil {
				return exit{exitUsage, err}
			}
			g, err := flags.read(args[0])
			if err != nil {
				return err
			}
			order, err := g.ByteOrder()
			if err != nil {
				return exit{exitUsage, err}
			}
			begin := time.Now()
			v, err := g.Verdict()
			if err != nil {
				return err
			}
			understood := time.Since(begin)
			result, err := compile.Compile(v, order, o)
			programs := result.Programs
			switch {
			case g.Programs != nil && (errors.Is(err, compile.ErrTooLong) || errors.Is(err, verdict.ErrTooComplex) ||
				err == nil && longer(programs, g.Programs, o.Goal)):
				programs = g.Programs // they are what v was made from
			case errors.Is(err, verdict.ErrTooComplex):
				return exit{exitUsage, g.Named(err)}
			case err != nil:
				return exit{exitUsage, fmt.Errorf("%s: %w", g.Name, err)}
			}
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
			archs, err := g.Archs()
			if err != nil {
				return err
			}
			s, err := gate.Exact(g, func(v verdict.Verdict) (compile.Stats, error) { return compile.Measure(programs, v, archs, order, o) })
			if err != nil {
				return err
			}
			w := cmd.OutOrStdout()
			if asJSON {
				j := statsJSON{s.Length, s.Longest, s.Mean, s.MeanCached, s.MeanUncached, s.Uncached, s.Allowed, s.Cacheable,
					s.Estimate, s.Nodes, understood.Nanoseconds(), result.Generate.Nanoseconds(), result.Prove.Nanoseconds(), nil, nil}
				for _, p := range g.Programs {
					j.Before = append(j.Before, len(p))
				}
				for _, p := range programs {
					j.Filters = append(j.Filters, len(p))
				}
				return printJSON(w, "compile/1", j)
			}
			limit := "(the kernel takes 4096)"
			if len(programs) > 1 {
				printFilters(w, programs)
				limit = "in all"
			}
			printBefore(w, g, s.Length)
			printStats(w, s, limit, understood, result)
			return nil
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "file to write (default standard output)")
	cmd.Flags().BoolVar(&stats, "stats", false, "print the program's length and paths instead of the program (with -o: as well)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the statistics as JSON")
	made.register(cmd)
	flags.register(cmd)
	return cmd
}

// longer tells whether what we made of somebody's filters is worse than they were.
func longer(made, read []bpf.Program, goal compile.Goal) bool {
	length := func(programs []bpf.Program) (n int) {
		for _, p := range programs {
			n += len(p)
		}
		return n
	}
	return len(made) > len(read) || goal == compile.Size && len(made) == len(read) && length(made) > length(read)
}

// printBefore compares with the filters that the gate was read from.
func printBefore(w io.Writer, g *gate.Gate, now int) {
	before := 0
	for _, p := range g.Programs {
		before += len(p)
	}
	if before > 0 {
		plain.Fprintf(w, "before            %s: now %.0f %% of it\n", plain.Count(before, "instruction"), 100*float64(now)/float64(before))
	}
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
	Estimate     int     `json:"estimate"`      // how few instructions of comparisons do: see compile.Estimate
	VerdictNodes int     `json:"verdict_nodes"`
	VerdictNS    int64   `json:"verdict_ns"`       // time from the gate to its meaning
	GenerateNS   int64   `json:"generate_ns"`      // from there to the program
	ProveNS      int64   `json:"prove_ns"`         // and its proof
	Filters      []int   `json:"filters"`          // the length of each; all else is about all of them together
	Before       []int   `json:"before,omitempty"` // the lengths of the filters that the gate was read from
}

// printFilters prints what comes before the statistics of all filters together.
func printFilters(w io.Writer, programs []bpf.Program) {
	total := 0
	for i, p := range programs {
		plain.Fprintf(w, "filter %-10d %s (the kernel takes 4096)\n", i+1, plain.Count(len(p), "instruction"))
		total += p.KernelLen() + bpf.StackedExtra
	}
	plain.Fprintf(w, "in the kernel     %d instructions (it takes %d in all filters of a program)\n", total, bpf.MaxStacked)
}

func printStats(w io.Writer, s compile.Stats, limit string, understood time.Duration, made compile.Result) {
	distance := "this is as many"
	switch d := s.Length - s.Estimate; {
	case d > 0:
		distance = fmt.Sprintf("these are %d more", d)
	case d < 0:
		distance = fmt.Sprintf("tests with masks save %d more", -d)
	}
	weighted := "–"
	if s.Weighed {
		weighted = fmt.Sprintf("%.1f", s.MeanUncached)
	}
	plain.Fprintf(w, `length            %s %s
estimate          %s at least if a program only compares; %s
longest path      %s
mean executed     %.1f instructions over known calls, %.1f with the kernel's cache
uncached allowed  %s instructions weighted, %.1f alike: %s whose arguments decide
cacheable         %d of %d plainly allowed calls
proof             equal to the gate: one verdict of %s
time              %v to the verdict, %v to the program, %v for the proof
`, plain.Count(s.Length, "instruction"), limit, plain.Count(s.Estimate, "instruction"), distance,
		plain.Count(s.Longest, "instruction"), s.Mean, s.MeanCached, weighted, s.PlainUncached, plain.Count(s.Uncached, "call"), s.Cacheable, s.Allowed, plain.Count(s.Nodes, "node"), understood.Round(time.Microsecond), made.Generate.Round(time.Microsecond), made.Prove.Round(time.Microsecond))
}
