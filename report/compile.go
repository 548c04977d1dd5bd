package report

import (
	"fmt"
	"io"
	"time"

	"monban/bpf"
	"monban/compile"
	"monban/inspect"
	"monban/internal/plain"
)

// CompilationText says how long filters are and what they cost.
func CompilationText(w io.Writer, c *inspect.Compilation, s compile.Stats, o Options) error {
	p := o.printer(w)
	limit := "(the kernel takes 4096)"
	if len(c.Filters) > 1 {
		p.filters(c.Filters)
		limit = "in all"
	}
	if before := inspect.Instructions(c.Gate.Programs); before > 0 {
		p.Printf("before            %s: now %.0f %% of it\n", instructions(before), 100*float64(s.Length)/float64(before))
	}
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
	rounded := func(d time.Duration) time.Duration { return d.Round(time.Microsecond) }
	p.Printf(`length            %s %s
estimate          %s at least if a program only compares; %s
longest path      %s
mean executed     %.1f instructions over known calls, %.1f with the kernel's cache
uncached allowed  %s instructions weighted, %.1f unweighted: %s whose arguments decide
cacheable         %d of %d plainly allowed calls
proof             equal to the gate: one verdict of %s
time              %v to the verdict, %v to the program, %v for the proof
`, instructions(s.Length), limit, instructions(s.Estimate), distance, instructions(s.Longest), s.Mean, s.MeanCached, weighted, s.PlainUncached, plain.Count(s.Uncached, "call"),
		s.Cacheable, s.Allowed, plain.Count(s.Nodes, "node"), rounded(c.Understood), rounded(c.Generate), rounded(c.Prove))
	return p.Err()
}

// filters says what comes before the statistics of all filters together.
func (p *printer) filters(programs []bpf.Program) {
	total := 0
	for i, program := range programs {
		p.Printf("filter %-10d %s (the kernel takes 4096)\n", i+1, instructions(len(program)))
		total += program.KernelLen() + bpf.StackedExtra
	}
	p.Printf("in the kernel     %d instructions (it takes %d in all filters of a program)\n", total, bpf.MaxStacked)
}

// CompilationJSON writes monban/compile/1.
func CompilationJSON(w io.Writer, c *inspect.Compilation, s compile.Stats) error {
	out := struct {
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
	}{s.Length, s.Longest, s.Mean, s.MeanCached, s.MeanUncached, s.Uncached, s.Allowed, s.Cacheable,
		s.Estimate, s.Nodes, c.Understood.Nanoseconds(), c.Generate.Nanoseconds(), c.Prove.Nanoseconds(),
		lengths(c.Filters), lengths(c.Gate.Programs)}
	return JSON(w, "compile/1", out)
}

func instructions(n int) string { return plain.Count(n, "instruction") }

func lengths(programs []bpf.Program) (out []int) {
	for _, p := range programs {
		out = append(out, len(p))
	}
	return out
}
