// Package trace finds the numbers of the system calls that a graph reaches: from each instruction that makes one it
// asks back, through as many functions as pass the number on, where it is set. Names that are given to dlsym are found
// in the same way.
package trace

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"monban/scan/internal/code"
	"monban/scan/internal/flow"
	"monban/scan/internal/graph"
)

// A Spot is an instruction in a part.
type Spot struct {
	Part *code.Part
	Addr uint64
}

func compareSpots(a, b Spot) int {
	return cmp.Or(cmp.Compare(a.Part.Code.Order, b.Part.Code.Order), cmp.Compare(a.Addr, b.Addr))
}

// Calls are the system calls of a program.
type Calls struct {
	Numbers map[uint32]Spot     // where each of them is set, or passed on: the first place of several
	Unknown map[Spot]string     // where a number could not be traced, and why
	Lookups map[*code.Code]bool // what gives dlsym names that are not known
}

// Reach follows a graph to its end, with the functions that the program looks up by name, and traces the numbers of all
// system calls that are reached. It fails with the context's error.
func Reach(ctx context.Context, g *graph.Graph) (*Calls, error) {
	lookups := map[*code.Code]bool{}
	for {
		more, err := g.Follow(ctx)
		if err != nil {
			return nil, err
		}
		if !more {
			break
		}
		lookUp(g, lookups)
	}
	out := &Calls{Numbers: map[uint32]Spot{}, Lookups: lookups}
	t := newTracer(g, func(at Spot, c int64) {
		nr := uint32(c)
		if g.LoadersOwn(at.Part, nr) {
			return
		}
		if old, ok := out.Numbers[nr]; !ok || compareSpots(at, old) < 0 {
			out.Numbers[nr] = at
		}
	})
	for _, p := range g.Order {
		for _, a := range p.Foreign {
			t.unknown[Spot{p, a}] = "a call of the 32-bit architecture (int 0x80): its number is not traced"
		}
		for _, a := range p.Syscalls {
			t.site(p, a)
		}
	}
	t.run()
	out.Unknown = t.unknown
	return out, nil
}

// longestName is how long the names are that are looked up, in bytes.
const longestName = 255

// lookUp follows the names that are given to dlsym, as far as they can be traced. Who gives it others, which is noted,
// may look up any name that his image mentions.
func lookUp(g *graph.Graph, unknown map[*code.Code]bool) {
	if len(g.Dlsyms) == 0 {
		return
	}
	var names []graph.Origin
	t := newTracer(g, func(at Spot, c int64) {
		if name := at.Part.Code.Text(uint64(c), longestName); name != "" {
			names = append(names, graph.Origin{From: at.Part, How: name})
		}
	})
	for f := range g.Dlsyms {
		t.queue = append(t.queue, demand{f, flow.Param{Reg: f.Code.Machine.Second}})
	}
	slices.SortFunc(t.queue, func(a, b demand) int {
		return cmp.Or(cmp.Compare(a.head.Code.Order, b.head.Code.Order), cmp.Compare(a.head.Addr, b.head.Addr))
	})
	t.run()
	for _, n := range names {
		g.LookUp(n.How, graph.Origin{From: n.From, How: "looks up by name"})
	}
	for _, at := range slices.SortedFunc(maps.Keys(t.unknown), compareSpots) {
		m := at.Part.Code
		if m.Part(at.Addr) != nil && !g.Dlsyms[code.Place{Code: m, Addr: at.Addr}] {
			unknown[m] = true
			if t.unknown[at] != composed { // no name of a whole function stands anywhere then
				g.ByName(m)
			}
		}
	}
}
