package scan

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// A found number is made at a place: where the constant is set, or passed on.
type origins map[uint32]spot

// A spot is an instruction in a part.
type spot struct {
	part *part
	addr uint64
}

// A demand is a value that a unit gets from whoever enters it.
type demand struct {
	head  place
	param param
}

// A resolver traces the numbers of all system calls that are reached.
type resolver struct {
	*graph
	units    map[place]*unit
	loose    map[place]*unit
	asked    map[demand]bool
	queue    []demand
	found    func(at spot, c int64)
	numbers  origins
	unknown  map[spot]string
	jumpedBy map[*part][]arrival // jumps into a part, from others
	headsOf  map[*image][]uint64
}

// newResolver is for a graph that is complete for now.
func newResolver(g *graph) *resolver {
	r := &resolver{graph: g, units: map[place]*unit{}, loose: map[place]*unit{}, asked: map[demand]bool{}, numbers: origins{},
		unknown: map[spot]string{}, jumpedBy: map[*part][]arrival{}, headsOf: map[*image][]uint64{}}
	for t, from := range g.arrivals {
		if p := t.image.partAt(t.addr); p != nil {
			for _, a := range from {
				if !a.edge.call && a.part.image == t.image {
					r.jumpedBy[p] = append(r.jumpedBy[p], a)
				}
			}
		}
	}
	for h := range g.heads {
		r.headsOf[h.image] = append(r.headsOf[h.image], h.addr)
	}
	for _, all := range r.headsOf {
		slices.Sort(all)
	}
	r.found = func(at spot, c int64) {
		if at.part.image == r.interp && r.loaderOnly(uint32(c)) {
			return
		}
		if old, ok := r.numbers[uint32(c)]; !ok || less(at, old) {
			r.numbers[uint32(c)] = at
		}
	}
	return r
}

// resolve traces the numbers of all system calls.
func (g *graph) resolve() *resolver {
	r := newResolver(g)
	for _, p := range g.order {
		for _, a := range p.foreign {
			r.unknown[spot{p, a}] = "a call of the 32-bit architecture (int 0x80): its number is not traced"
		}
		for _, a := range p.syscalls {
			r.site(p, a)
		}
	}
	r.run()
	return r
}

func (r *resolver) run() {
	for len(r.queue) > 0 {
		d := r.queue[len(r.queue)-1]
		r.queue = r.queue[:len(r.queue)-1]
		r.answer(d)
	}
}

func (r *resolver) unit(h place, loose bool) *unit {
	cache := r.units
	if loose {
		cache = r.loose
	}
	u := cache[h]
	if u == nil {
		u = r.flow(h, loose)
		cache[h] = u
	}
	return u
}

// entries are the heads of the units that a part belongs to: those in it, and those of the parts that jump into it.
func (r *resolver) entries(p *part) (out []place) {
	seen := map[*part]bool{p: true}
	queue := []*part{p}
	const most = 2000
	for len(queue) > 0 {
		if len(seen) > most {
			r.unknown[spot{p, p.start}] = fmt.Sprintf("more than %d functions jump to it", most)
			break
		}
		q := queue[0]
		queue = queue[1:]
		all := r.headsOf[q.image]
		for k, _ := slices.BinarySearch(all, q.start); k < len(all) && all[k] < q.end; k++ {
			out = append(out, place{q.image, all[k]})
		}
		for _, a := range r.jumpedBy[q] {
			if !seen[a.part] {
				seen[a.part] = true
				queue = append(queue, a.part)
			}
		}
	}
	if len(out) == 0 {
		out = append(out, place{p.image, p.start})
	}
	return out
}

// site traces the number at a system call instruction.
func (r *resolver) site(p *part, addr uint64) {
	entries := r.entries(p)
	covered := false
	for _, h := range entries {
		u := r.unit(h, false)
		if v := u.numbers[addr]; !v.none() {
			covered = true
			r.take(u, spot{p, addr}, v)
		}
	}
	if covered {
		return
	}
	for _, h := range append(entries, place{p.image, p.start}) {
		u := r.unit(h, true)
		if v := u.numbers[addr]; !v.none() {
			covered = true
			r.take(u, spot{p, addr}, v)
		}
	}
	if !covered {
		r.unknown[spot{p, addr}] = "nothing that leads to it was found"
	}
}

// composed is said of a pointer to a function's own memory, into which it writes a name.
const composed = "it is put together on the stack"

// take notes the numbers of a value, and asks for what it depends on.
func (r *resolver) take(u *unit, at spot, v value) {
	if v.top || v.stack {
		if r.handedOver(at) {
			return
		}
		if _, ok := r.unknown[at]; !ok {
			r.unknown[at] = "the number is computed, or comes from memory"
			if v.stack {
				r.unknown[at] = composed
			}
		}
		return
	}
	for _, c := range v.consts {
		r.found(at, c)
	}
	for _, p := range v.params {
		d := demand{u.head, p}
		if !r.asked[d] {
			r.asked[d] = true
			r.queue = append(r.queue, d)
		}
	}
}

func less(a, b spot) bool {
	if a.part.image != b.part.image {
		return a.part.image.order < b.part.image.order
	}
	return a.addr < b.addr
}

// answer asks everybody who enters a unit what they bring.
func (r *resolver) answer(d demand) {
	if d.param.global != 0 {
		r.variable(d)
		return
	}
	p := d.head.image.partAt(d.head.addr)
	// A value of a function's type is in Go a pointer to a word of data that holds the function's address; in code that is only a number.
	if r.taken[d.head] && (r.valued[d.head] || !d.head.image.isGo(d.head.addr)) || len(r.arrivals[d.head]) == 0 {
		if _, ok := r.unknown[spot{p, d.head.addr}]; !ok {
			r.unknown[spot{p, d.head.addr}] = "it takes the number from its caller, and may be called through a pointer"
		}
	}
	for _, a := range r.arrivals[d.head] {
		covered := false
		for _, loose := range []bool{false, true} {
			entries := r.entries(a.part)
			if loose {
				entries = append(entries, place{a.part.image, a.part.start})
			}
			for _, h := range entries {
				u := r.unit(h, loose)
				s := u.at[a.edge.from]
				if s == nil {
					continue
				}
				covered = true
				v := r.given(a.part.image, s, d.param, a.edge.call)
				if v.none() {
					v = top
				}
				r.take(u, spot{a.part, a.edge.from}, v)
			}
			if covered {
				break
			}
		}
		if !covered {
			r.unknown[spot{a.part, a.edge.from}] = "it passes a number on, and nothing that leads to it was found"
		}
	}
}

// given is what an entering state holds for a parameter.
func (r *resolver) given(m *image, s *state, p param, call bool) value {
	pushed := m.mach.pushed
	base := s.regs[m.mach.sp]
	if call {
		base = base.add(-pushed)
	}
	var v value
	switch {
	case p.reg != noReg:
		v = s.regs[p.reg]
	case !base.stack:
		return top
	default:
		v = s.slot(base.off+p.slot, pushed)
	}
	if !p.deref {
		return v
	}
	return m.deref(s, v, p.off)
}

// deref is the word that a value points to.
func (m *image) deref(s *state, v value, off int64) value {
	switch {
	case v.stack:
		return s.slot(v.off+off, m.mach.pushed)
	case len(v.params) == 1 && len(v.consts) == 0 && !v.top && !v.params[0].deref:
		q := v.params[0]
		q.deref, q.off = true, off
		return value{params: []param{q}}
	case len(v.consts) > 0 && len(v.params) == 0 && !v.top:
		var out value
		for _, a := range v.consts {
			n, ok := m.constantAt(uint64(a+off), 4)
			if !ok {
				return top
			}
			out = out.join(constant(n))
		}
		return out
	}
	return top
}

// goHandsOver is whose first argument a function of Go's runtime uses as a number, which it gets by way of memory: the one that
// syscall.AllThreadsSyscall, Setuid and their like give to every thread.
var goHandsOver = map[string][]string{
	"runtime.runPerThreadSyscall": {"syscall.runtime_doAllThreadsSyscall", "runtime.syscall_runtime_doAllThreadsSyscall"},
}

// handedOver asks who gives a number, where that is known by name.
func (r *resolver) handedOver(at spot) bool {
	m := at.part.image
	givers, ok := goHandsOver[m.names[at.part.start]]
	if !ok || !m.isGo(at.part.start) {
		return false
	}
	for start, name := range m.names {
		h := place{m, start}
		if d := (demand{h, param{reg: 0}}); slices.Contains(givers, name) && r.heads[h] && !r.asked[d] {
			r.asked[d] = true
			r.queue = append(r.queue, d)
		}
	}
	return true
}

// variable asks for what a variable holds at first, and everybody who writes to it.
func (r *resolver) variable(d demand) {
	m := d.head.image
	own := spot{m.partAt(d.head.addr), d.head.addr}
	r.take(r.unit(d.head, false), own, r.first(m, d.param))
	for _, p := range r.order {
		for _, w := range p.writes {
			if p.image != m || w.to >= d.param.global+8 || w.to+uint64(w.width) <= d.param.global {
				continue
			}
			r.written(p, w, d.param)
		}
	}
	const near = 64
	pointed := slices.ContainsFunc(r.order, func(p *part) bool {
		return p.image == m && slices.ContainsFunc(p.leas, func(a uint64) bool {
			return a <= d.param.global && d.param.global-a < near && (m.sizes[a] == 0 || d.param.global-a < m.sizes[a])
		})
	})
	if pointed && !r.handedOver(own) { // else nothing that is reached writes to it
		r.unknown[own] = fmt.Sprintf("the number comes from a variable at %#x", d.param.global)
	}
}

// first is what a variable holds when the program starts.
func (r *resolver) first(m *image, p param) value {
	v := constant(0)
	if ptr, ok := m.pointerAt(p.global); ok {
		if v = constant(int64(ptr.addr)); ptr.symbol != "" {
			v = top
		}
	} else if b, s := m.at(p.global); s != nil {
		if len(b) < 8 {
			return top
		}
		if v = constant(int64(binary.LittleEndian.Uint32(b))); p.deref {
			v = constant(int64(binary.LittleEndian.Uint64(b)))
		}
	}
	if !p.deref {
		return v
	}
	if len(v.consts) == 1 && v.consts[0] == 0 { // points nowhere
		return value{}
	}
	return m.deref(nothing(), v, p.off)
}

// written takes what an instruction writes to a variable.
func (r *resolver) written(p *part, w write, to param) {
	known := false
	for _, loose := range []bool{false, true} {
		for _, h := range r.entries(p) {
			u := r.unit(h, loose)
			v, ok := u.stores[w.from]
			if !ok {
				continue
			}
			known = true
			if w.to != to.global || w.width > 8 {
				v = top
			}
			if to.deref {
				v = p.image.deref(nothing(), v, to.off)
			}
			r.take(u, spot{p, w.from}, v)
		}
		if known {
			return
		}
	}
	r.unknown[spot{p, w.from}] = fmt.Sprintf("it writes the number to a variable at %#x, and nothing that leads to it was found", to.global)
}
