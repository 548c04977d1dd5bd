// Package graph follows calls, jumps and pointers from what the loader calls, through all images of a program.
package graph

import (
	"cmp"
	"context"
	"slices"

	"monban/scan/internal/code"
	"monban/scan/internal/image"
)

// An Origin says how a part is reached: from which other one, and in what way.
type Origin struct {
	From *code.Part // nil for the loader
	How  string
}

// An Arrival is an edge that leads to a place, from the part that it is in.
type Arrival struct {
	Part *code.Part
	Edge code.Edge
}

// A Graph is what can be reached from what the loader calls. Its fields are not to be changed.
type Graph struct {
	Codes    []*code.Code // in the order in which symbols are looked up
	Reached  map[*code.Part]Origin
	Order    []*code.Part        // those reached, in the order in which they were
	Heads    map[code.Place]bool // what is called, pointed to, or started at: not only jumped to
	Taken    map[code.Place]bool // pointed to: anybody may call it
	Valued   map[code.Place]bool // pointed to by data
	Arrivals map[code.Place][]Arrival
	Loads    map[*code.Code]bool // it calls dlopen
	Dlsyms   map[code.Place]bool // dlsym and its like

	shared   int        // how many of the codes belong to the program itself, not to modules that it loads
	interp   *code.Code // glibc's loader; nil where the program has another one, or none
	facts    *facts
	chunks   map[code.Place]bool // data that is reached, by its begin
	pending  []pending
	named    map[*code.Code]bool // symbols are looked up by names that stand in it
	final    map[code.Place]bool // it is known whether it never returns
	followed int                 // how many of Order
}

// A pending pointer is still to be followed.
type pending struct {
	code    *code.Code
	pointer image.Pointer
	origin  Origin
}

// New is the graph of a program's images, of which the first ones, shared in number, belong to the program itself, and
// the others to modules that it loads. One of them may be glibc's loader. It is not followed yet.
func New(codes []*code.Code, shared int, interp *code.Code) *Graph {
	g := &Graph{Codes: codes, shared: shared, interp: interp, facts: newFacts(codes), Reached: map[*code.Part]Origin{}, Heads: map[code.Place]bool{},
		Taken: map[code.Place]bool{}, Valued: map[code.Place]bool{}, Arrivals: map[code.Place][]Arrival{}, Loads: map[*code.Code]bool{},
		Dlsyms: map[code.Place]bool{}, chunks: map[code.Place]bool{}, named: map[*code.Code]bool{}, final: map[code.Place]bool{}}
	const how = "the loader calls it"
	for k, m := range codes {
		m.Order = k
	}
	for _, m := range codes {
		for _, a := range slices.Concat(m.Roots, loaderRoots(m)) {
			g.point(m, a, Origin{How: how})
		}
		for _, p := range m.Rooted {
			g.through(m, p, Origin{How: how})
		}
	}
	g.drain()
	return g
}

// Follow follows all that is reached and was not followed yet, and says whether that was anything. It fails with the
// context's error.
func (g *Graph) Follow(ctx context.Context) (more bool, err error) {
	g.drain()
	for ; g.followed < len(g.Order); g.followed++ {
		if g.followed%4096 == 0 && ctx.Err() != nil {
			return false, ctx.Err()
		}
		more = true
		g.follow(g.Order[g.followed])
		g.drain()
		g.facts.release()
	}
	return more, nil
}

func (g *Graph) reach(p *code.Part, o Origin) {
	if _, ok := g.Reached[p]; !ok && p != nil {
		g.Reached[p] = o
		g.Order = append(g.Order, p)
		g.facts.free(p)
	}
}

// point is a pointer to an address: to code, which may be called, or to data, whose pointers may be followed.
func (g *Graph) point(m *code.Code, addr uint64, o Origin) {
	if p := m.Part(addr); p != nil {
		at := code.Place{Code: m, Addr: addr}
		if g.facts.hold(o.From, at, func() { g.point(m, addr, o) }) {
			return
		}
		if p.Starts(addr) {
			g.Heads[at] = true
			g.Taken[at] = true
		} else if m.Fixed && o.From != nil || m.IsGo(addr) {
			return // a number that looks like an address
		}
		g.reach(p, o)
		if !m.IsGo(addr) || m.Names[addr] != "" {
			return
		}
	}
	g.data(m, addr, o)
}

// data follows the pointers of an object of data, once.
func (g *Graph) data(m *code.Code, addr uint64, o Origin) {
	at := code.Place{Code: m, Addr: addr}
	if m.IsSlot(addr) {
		if p, ok := m.PointerAt(addr); ok && !g.chunks[at] {
			g.chunks[at] = true
			g.pending = append(g.pending, pending{m, p, o})
		}
		return
	}
	begin, end := m.Object(addr)
	if at.Addr = begin; g.chunks[at] {
		return
	}
	g.chunks[at] = true
	i, _ := slices.BinarySearchFunc(m.Pointers, begin, func(p image.Pointer, a uint64) int { return cmp.Compare(p.At, a) })
	for ; i < len(m.Pointers) && m.Pointers[i].At < end; i++ {
		g.pending = append(g.pending, pending{m, m.Pointers[i], o})
	}
}

// isData says that the data that an address lies in is reached.
func (g *Graph) isData(m *code.Code, addr uint64) bool {
	if !m.IsSlot(addr) {
		addr, _ = m.Object(addr)
	}
	return g.chunks[code.Place{Code: m, Addr: addr}]
}

// drain follows the pointers of the data that was reached.
func (g *Graph) drain() {
	for len(g.pending) > 0 {
		p := g.pending[len(g.pending)-1]
		g.pending = g.pending[:len(g.pending)-1]
		g.through(p.code, p.pointer, p.origin)
	}
}

// through follows a pointer that the loader fills in.
func (g *Graph) through(m *code.Code, p image.Pointer, o Origin) {
	if o.How == "" {
		o.How = "by pointer"
	}
	if p.Symbol == "" {
		g.mentions(m, p.Addr)
		g.Valued[code.Place{Code: m, Addr: p.Addr}] = true
		g.point(m, p.Addr, o)
		return
	}
	for _, t := range g.targets(m, p) {
		g.point(t.Code, t.Addr, o)
	}
}

// follow notes where a part leads.
func (g *Graph) follow(p *code.Part) {
	m := p.Code
	for _, e := range p.Edges {
		g.edge(p, e)
	}
	if p.Indirect {
		for _, t := range p.Tables() {
			if q := m.Part(t); q != p {
				at := code.Place{Code: m, Addr: t}
				g.Arrivals[at] = append(g.Arrivals[at], Arrival{p, code.Edge{From: p.Start, To: t}})
				g.reach(q, Origin{p, "jumps by table"})
			}
		}
	}
	g.mentions(m, p.Refs...)
	for _, r := range p.Refs {
		if m.Holds(r) {
			g.point(m, r, Origin{p, ""})
		}
		for _, t := range m.Relative(r) {
			g.point(m, t, Origin{p, "by offset"})
		}
	}
	for _, pad := range m.Pads[p.Start] {
		g.reach(m.Part(pad), Origin{p, "is unwound to"})
	}
}

// edge follows an edge, directly or through a pointer.
func (g *Graph) edge(p *code.Part, e code.Edge) {
	m := p.Code
	var to []code.Place
	if e.Slot == 0 {
		to = []code.Place{{Code: m, Addr: e.To}}
	} else {
		ptr, ok := m.PointerAt(e.Slot)
		switch {
		case ok && ptr.Symbol != "":
			to = g.targets(m, ptr)
		case ok:
			to = []code.Place{{Code: m, Addr: ptr.Addr}}
		}
		if len(to) == 0 || !ptr.Slot {
			g.data(m, e.Slot, Origin{p, ""})
		}
	}
	for _, t := range to {
		if t.Code.Part(t.Addr) != nil && !g.facts.hold(p, t, func() { g.arrive(p, e, t) }) {
			g.arrive(p, e, t)
		}
	}
}

// arrive takes an edge.
func (g *Graph) arrive(p *code.Part, e code.Edge, t code.Place) {
	how := "jumps"
	if e.Call {
		how = "calls"
		g.Heads[t] = true
	}
	g.Arrivals[t] = append(g.Arrivals[t], Arrival{p, e})
	g.reach(t.Code.Part(t.Addr), Origin{p, how})
}

// longestPath is PATH_MAX of limits.h less its NUL.
const longestPath = 4095

// Texts are the strings that reached code mentions.
func (g *Graph) Texts(yield func(string) bool) {
	for _, p := range g.Order {
		for _, r := range p.Refs {
			if s := p.Code.Text(r, longestPath); s != "" && !yield(s) {
				return
			}
		}
	}
}
