package trace

import (
	"cmp"
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

// A memory is what reached code does with fixed addresses of an image.
type memory struct {
	writes []write  // by the address that is written to
	addrs  []uint64 // those that it does not only read or write, sorted
}

// A write is by a part.
type write struct {
	code.Write
	part *code.Part
	nth  int // in the order in which parts are reached
}

// memoryOf gathers that once.
func (t *tracer) memoryOf(m *code.Code) *memory {
	if t.memory != nil {
		return t.memory[m]
	}
	t.memory = map[*code.Code]*memory{}
	for _, m := range t.graph.Codes {
		t.memory[m] = &memory{}
	}
	for n, p := range t.graph.Order {
		all := t.memory[p.Code]
		all.addrs = append(all.addrs, p.Addrs...)
		for _, w := range p.Writes {
			all.writes = append(all.writes, write{w, p, n})
		}
	}
	for _, all := range t.memory {
		slices.Sort(all.addrs)
		slices.SortFunc(all.writes, func(a, b write) int { return cmp.Or(cmp.Compare(a.To, b.To), cmp.Compare(a.nth, b.nth)) })
	}
	return t.memory[m]
}

// to are the writes that change a word of eight bytes, in the order in which their parts are reached.
func (m *memory) to(at uint64) (out []write) {
	const widest = 255 // bytes
	k, _ := slices.BinarySearchFunc(m.writes, at-min(at, widest), func(w write, addr uint64) int { return cmp.Compare(w.To, addr) })
	for ; k < len(m.writes) && m.writes[k].To < at+8; k++ {
		if w := m.writes[k]; w.To+uint64(w.Width) > at {
			out = append(out, w)
		}
	}
	slices.SortStableFunc(out, func(a, b write) int { return cmp.Or(cmp.Compare(a.nth, b.nth), cmp.Compare(a.From, b.From)) })
	return out
}

// near are the addresses that are taken from so many bytes before one on.
func (m *memory) near(at, bytes uint64) []uint64 {
	begin, _ := slices.BinarySearch(m.addrs, at-min(at, bytes))
	end, found := slices.BinarySearch(m.addrs, at)
	for found && end < len(m.addrs) && m.addrs[end] == at {
		end++
	}
	return m.addrs[begin:end]
}

// variable asks for what a variable holds at first, and everybody who writes to it.
func (t *tracer) variable(d demand) {
	m, at := d.head.Code, d.param.Global
	own := Spot{m.Part(d.head.Addr), d.head.Addr}
	t.take(t.unit(d.head, false), own, first(m, d.param))
	known := t.memoryOf(m)
	for _, w := range known.to(at) {
		t.written(w.part, w.Write, d.param)
	}
	const most = 63 // bytes into an object whose size is not known
	pointed := slices.ContainsFunc(known.near(at, most), func(a uint64) bool { return m.Sizes[a] == 0 || at-a < m.Sizes[a] })
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
