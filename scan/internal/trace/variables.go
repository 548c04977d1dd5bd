package trace

import (
	"encoding/binary"
	"fmt"
	"slices"

	"monban/scan/internal/code"
	"monban/scan/internal/flow"
)

// goHandsOver is whose first argument a function of Go's runtime uses as a number, which it gets by way of memory: the
// one that syscall.AllThreadsSyscall, Setuid and their like give to every thread.
var goHandsOver = map[string][]string{
	"runtime.runPerThreadSyscall": {"syscall.runtime_doAllThreadsSyscall", "runtime.syscall_runtime_doAllThreadsSyscall"},
}

// handedOver asks who gives a number, where that is known by name.
func (t *tracer) handedOver(at Spot) bool {
	m := at.Part.Code
	givers, ok := goHandsOver[m.Names[at.Part.Start]]
	if !ok || !m.IsGo(at.Part.Start) {
		return false
	}
	for start, name := range m.Names {
		if h := (code.Place{Code: m, Addr: start}); slices.Contains(givers, name) && t.graph.Heads[h] {
			t.ask(demand{h, flow.Param{Reg: 0}})
		}
	}
	return true
}

// maxVariables is how many variables numbers are traced through: each takes a look at all that is reached.
const maxVariables = 1000

// variable asks for what a variable holds at first, and everybody who writes to it.
func (t *tracer) variable(d demand) {
	m, at := d.head.Code, d.param.Global
	own := Spot{m.Part(d.head.Addr), d.head.Addr}
	if t.variables++; t.variables > maxVariables {
		t.unknown[own] = fmt.Sprintf("numbers come from more than %d variables", maxVariables)
		return
	}
	t.take(t.unit(d.head, false), own, first(m, d.param))
	for _, p := range t.graph.Order {
		for _, w := range p.Writes {
			if p.Code == m && w.To < at+8 && w.To+uint64(w.Width) > at {
				t.written(p, w, d.param)
			}
		}
	}
	const near = 64
	pointed := slices.ContainsFunc(t.graph.Order, func(p *code.Part) bool {
		return p.Code == m && slices.ContainsFunc(p.Addrs, func(a uint64) bool {
			return a <= at && at-a < near && (m.Sizes[a] == 0 || at-a < m.Sizes[a])
		})
	})
	if pointed && !t.handedOver(own) { // else nothing that is reached writes to it
		t.unknown[own] = fmt.Sprintf("the number comes from a variable at %#x", at)
	}
}

// first is what a variable holds when the program starts.
func first(m *code.Code, p flow.Param) flow.Value {
	v := flow.Constant(0)
	if ptr, ok := m.PointerAt(p.Global); ok {
		if v = flow.Constant(int64(ptr.Addr)); ptr.Symbol != "" {
			v = flow.Top()
		}
	} else if b, s := m.At(p.Global); s != nil {
		if len(b) < 8 {
			return flow.Top()
		}
		if v = flow.Constant(int64(binary.LittleEndian.Uint32(b))); p.Deref {
			v = flow.Constant(int64(binary.LittleEndian.Uint64(b)))
		}
	}
	if !p.Deref {
		return v
	}
	if len(v.Consts) == 1 && v.Consts[0] == 0 { // points nowhere
		return flow.Value{}
	}
	return flow.Nothing().Deref(m, v, p.Off)
}

// written takes what an instruction writes to a variable.
func (t *tracer) written(p *code.Part, w code.Write, to flow.Param) {
	at := Spot{p, w.From}
	if !t.each(p, func(u *flow.Unit) bool {
		v, ok := u.Stores[w.From]
		if !ok {
			return false
		}
		if w.To != to.Global || w.Width > 8 {
			v = flow.Top()
		}
		if to.Deref {
			v = flow.Nothing().Deref(p.Code, v, to.Off)
		}
		t.take(u, at, v)
		return true
	}) {
		t.unknown[at] = fmt.Sprintf("it writes the number to a variable at %#x, and nothing that leads to it was found", to.Global)
	}
}
