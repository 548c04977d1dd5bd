package trace

import (
	"fmt"
	"slices"

	"monban/scan/internal/code"
	"monban/scan/internal/flow"
	"monban/scan/internal/graph"
)

// A demand is a value that a unit gets from whoever enters it.
type demand struct {
	head  code.Place
	param flow.Param
}

// A tracer traces numbers, or the addresses of names, in a graph that is complete for now.
type tracer struct {
	graph     *graph.Graph
	found     func(at Spot, c int64)
	unknown   map[Spot]string
	units     [2]map[code.Place]*flow.Unit // strict and loose ones
	asked     map[demand]bool
	queue     []demand
	jumpedBy  map[*code.Part][]*code.Part // who jumps into a part of the same image
	heads     map[*code.Code][]uint64     // sorted
	variables int                         // that numbers were traced through
}

func newTracer(g *graph.Graph, found func(Spot, int64)) *tracer {
	t := &tracer{graph: g, found: found, unknown: map[Spot]string{}, asked: map[demand]bool{},
		units:    [2]map[code.Place]*flow.Unit{{}, {}},
		jumpedBy: map[*code.Part][]*code.Part{}, heads: map[*code.Code][]uint64{}}
	for to, from := range g.Arrivals {
		if p := to.Code.Part(to.Addr); p != nil {
			for _, a := range from {
				if !a.Edge.Call && a.Part.Code == to.Code {
					t.jumpedBy[p] = append(t.jumpedBy[p], a.Part)
				}
			}
		}
	}
	for _, all := range t.jumpedBy {
		slices.SortFunc(all, func(a, b *code.Part) int { return compareSpots(Spot{a, a.Start}, Spot{b, b.Start}) })
	}
	for h := range g.Heads {
		t.heads[h.Code] = append(t.heads[h.Code], h.Addr)
	}
	for _, all := range t.heads {
		slices.Sort(all)
	}
	return t
}

func (t *tracer) run() {
	for len(t.queue) > 0 {
		d := t.queue[len(t.queue)-1]
		t.queue = t.queue[:len(t.queue)-1]
		t.answer(d)
	}
}

// ask asks for a value once.
func (t *tracer) ask(d demand) {
	if !t.asked[d] {
		t.asked[d] = true
		t.queue = append(t.queue, d)
	}
}

func (t *tracer) unit(h code.Place, loose bool) *flow.Unit {
	cache := t.units[0]
	if loose {
		cache = t.units[1]
	}
	u := cache[h]
	if u == nil {
		u = flow.Run(t.graph, h, loose)
		cache[h] = u
	}
	return u
}

// maxJumps is how many functions may jump to one whose number is traced.
const maxJumps = 2000

// entries are the heads of the units that a part belongs to: those in it, and those of the parts that jump into it.
func (t *tracer) entries(p *code.Part) (out []code.Place) {
	seen := map[*code.Part]bool{p: true}
	queue := []*code.Part{p}
	for len(queue) > 0 {
		if len(seen) > maxJumps {
			t.unknown[Spot{p, p.Start}] = fmt.Sprintf("more than %d functions jump to it", maxJumps)
			break
		}
		q := queue[0]
		queue = queue[1:]
		all := t.heads[q.Code]
		for k, _ := slices.BinarySearch(all, q.Start); k < len(all) && all[k] < q.End; k++ {
			out = append(out, code.Place{Code: q.Code, Addr: all[k]})
		}
		for _, from := range t.jumpedBy[q] {
			if !seen[from] {
				seen[from] = true
				queue = append(queue, from)
			}
		}
	}
	if len(out) == 0 {
		out = append(out, p.Place())
	}
	return out
}

// each runs through the units that a part belongs to, strictly, and, where that told nothing, loosely, and says whether
// anything did.
func (t *tracer) each(p *code.Part, yield func(*flow.Unit) bool) bool {
	covered := false
	entries := t.entries(p)
	for _, h := range entries {
		covered = yield(t.unit(h, false)) || covered
	}
	if covered {
		return true
	}
	for _, h := range append(entries, p.Place()) {
		covered = yield(t.unit(h, true)) || covered
	}
	return covered
}

// site traces the number at a system call instruction.
func (t *tracer) site(p *code.Part, addr uint64) {
	at := Spot{p, addr}
	if !t.each(p, func(u *flow.Unit) bool {
		v := u.Numbers[addr]
		if v.None() {
			return false
		}
		t.take(u, at, v)
		return true
	}) {
		t.unknown[at] = "nothing that leads to it was found"
	}
}

// composed is said of a pointer to a function's own memory, into which it writes a name.
const composed = "it is put together on the stack"

// take notes the numbers of a value, and asks for what it depends on.
func (t *tracer) take(u *flow.Unit, at Spot, v flow.Value) {
	if v.Top || v.Stack {
		if t.handedOver(at) {
			return
		}
		if _, ok := t.unknown[at]; !ok {
			t.unknown[at] = "the number is computed, or comes from memory"
			if v.Stack {
				t.unknown[at] = composed
			}
		}
		return
	}
	for _, c := range v.Consts {
		t.found(at, c)
	}
	for _, p := range v.Params {
		t.ask(demand{u.Head, p})
	}
}

// answer asks everybody who enters a unit what they bring.
func (t *tracer) answer(d demand) {
	if d.param.Global != 0 {
		t.variable(d)
		return
	}
	h := d.head
	// A value of a function's type is in Go a pointer to a word of data that holds the function's address; in code that
	// is only a number.
	pointedTo := t.graph.Taken[h] && (t.graph.Valued[h] || !h.Code.IsGo(h.Addr))
	if at := (Spot{h.Code.Part(h.Addr), h.Addr}); pointedTo || len(t.graph.Arrivals[h]) == 0 {
		if _, ok := t.unknown[at]; !ok {
			t.unknown[at] = "it takes the number from its caller, and may be called through a pointer"
		}
	}
	for _, a := range t.graph.Arrivals[h] {
		at := Spot{a.Part, a.Edge.From}
		if !t.each(a.Part, func(u *flow.Unit) bool {
			s := u.At[a.Edge.From]
			if s == nil {
				return false
			}
			v := given(a.Part.Code, s, d.param, a.Edge.Call)
			if v.None() {
				v = flow.Top()
			}
			t.take(u, at, v)
			return true
		}) {
			t.unknown[at] = "it passes a number on, and nothing that leads to it was found"
		}
	}
}

// given is what an entering state holds for a parameter.
func given(m *code.Code, s *flow.State, p flow.Param, call bool) flow.Value {
	pushed := m.Machine.Pushed
	base := s.Regs[m.Machine.SP]
	if call {
		base = base.Add(-pushed)
	}
	var v flow.Value
	switch {
	case p.Reg >= 0:
		v = s.Regs[p.Reg]
	case !base.Stack:
		return flow.Top()
	default:
		v = s.Slot(base.Off+p.Slot, pushed)
	}
	if !p.Deref {
		return v
	}
	return s.Deref(m, v, p.Off)
}
