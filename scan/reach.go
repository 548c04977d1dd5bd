package scan

import (
	"cmp"
	"context"
	"encoding/binary"
	"slices"
)

// A place is an address in an image.
type place struct {
	image *image
	addr  uint64
}

// An origin says how a part is reached: from which other one, and in what way.
type origin struct {
	from *part
	how  string
}

// An arrival is an edge that leads to a place, from the part that it is in.
type arrival struct {
	part *part
	edge edge
}

// A pending pointer is still to be followed.
type pending struct {
	image   *image
	pointer pointer
	origin  origin
}

// A graph is what can be reached from what the loader calls.
type graph struct {
	*loader
	*holds
	reached  map[*part]origin
	order    []*part
	heads    map[place]bool // what is called, pointed to, or started at: not only jumped to
	taken    map[place]bool // pointed to: anybody may call it
	valued   map[place]bool // pointed to by data
	arrivals map[place][]arrival
	chunks   map[place]bool // data that is reached, by its begin
	bounds   map[*image][]uint64
	pending  []pending
	named    map[*image]bool // symbols are looked up by names that stand in it
	loads    map[*image]bool // it calls dlopen
	lookups  map[*image]bool // it gives dlsym names that are not known
	dlsyms   map[place]bool  // dlsym and its like
	final    map[place]bool  // it is known whether it never returns
}

func newGraph(ctx context.Context, l *loader) (*graph, error) {
	g := &graph{loader: l, holds: newHolds(l.images), reached: map[*part]origin{}, heads: map[place]bool{}, taken: map[place]bool{}, arrivals: map[place][]arrival{},
		chunks: map[place]bool{}, bounds: map[*image][]uint64{}, named: map[*image]bool{}, loads: map[*image]bool{}, lookups: map[*image]bool{}, final: map[place]bool{}, dlsyms: map[place]bool{},
		valued: map[place]bool{}}
	for k, m := range l.images {
		m.order = k
		if err := m.sweep(ctx); err != nil {
			return nil, err
		}
		g.bounds[m] = m.boundaries()
	}
	for _, m := range l.images {
		for _, a := range slices.Concat(m.roots, m.loaderRoots()) {
			g.point(m, a, origin{how: "the loader calls it"})
		}
		for _, p := range m.rooted {
			g.through(m, p, origin{how: "the loader calls it"})
		}
	}
	g.drain()
	for k := 0; ; {
		for ; k < len(g.order); k++ {
			g.follow(g.order[k])
			g.drain()
			g.release()
			if k%4096 == 0 && ctx.Err() != nil {
				return nil, ctx.Err()
			}
		}
		g.lookUps()
		g.drain()
		if k == len(g.order) {
			return g, nil
		}
	}
}

// objectAlign is what compilers align larger objects to. An address that code mentions begins an object of its own if it is aligned so;
// if not, it may be a field of one.
const objectAlign = 32

// boundaries are where objects of data begin, as far as can be told.
func (m *image) boundaries() []uint64 {
	out := slices.Clone(m.objects)
	for _, s := range m.file.Sections {
		if s.Addr != 0 {
			out = append(out, s.Addr)
		}
	}
	for _, p := range m.parts {
		for _, r := range p.refs {
			if r%objectAlign == 0 {
				out = append(out, r)
			}
		}
	}
	for _, p := range m.pointers {
		if p.symbol == "" && p.addr%objectAlign == 0 {
			out = append(out, p.addr)
		}
	}
	out = slices.DeleteFunc(out, func(a uint64) bool { return !m.isData(a) })
	slices.Sort(out)
	out = slices.Compact(out)
	// What a symbol says the size of is one object, whatever is mentioned inside.
	var end uint64
	return slices.DeleteFunc(out, func(a uint64) bool {
		if a < end {
			return true
		}
		end = a + min(m.sizes[a], ^a)
		return false
	})
}

// partAt is the part that an address lies in.
func (m *image) partAt(addr uint64) *part {
	if !m.isCode(addr) {
		return nil
	}
	k, found := slices.BinarySearch(m.starts, addr)
	if !found {
		k--
	}
	if k < 0 {
		return nil
	}
	return m.parts[k]
}

func (g *graph) reach(p *part, o origin) {
	if _, ok := g.reached[p]; !ok && p != nil {
		g.reached[p] = o
		g.order = append(g.order, p)
		g.free(p)
	}
}

// point is a pointer to an address: to code, which may be called, or to data, whose pointers may be followed.
func (g *graph) point(m *image, addr uint64, o origin) {
	if p := m.partAt(addr); p != nil {
		if g.hold(o.from, place{m, addr}, func() { g.point(m, addr, o) }) {
			return
		}
		if p.start == addr || m.gap[p.start] {
			g.heads[place{m, addr}] = true
			g.taken[place{m, addr}] = true
		} else if m.fixed && o.from != nil || m.isGo(addr) {
			return // a number that looks like an address
		}
		g.reach(p, o)
		if !m.isGo(addr) || m.names[addr] != "" {
			return
		}
	}
	g.data(m, addr, o)
}

func (g *graph) data(m *image, addr uint64, o origin) {
	if p, ok := m.pointerAt(addr); ok && p.got || m.inGot(addr) {
		if ok && !g.chunks[place{m, addr}] {
			g.chunks[place{m, addr}] = true
			g.pending = append(g.pending, pending{m, p, o})
		}
		return
	}
	begin, end := g.object(m, addr)
	if g.chunks[place{m, begin}] {
		return
	}
	g.chunks[place{m, begin}] = true
	i, _ := slices.BinarySearchFunc(m.pointers, begin, func(p pointer, a uint64) int { return cmp.Compare(p.at, a) })
	for ; i < len(m.pointers) && m.pointers[i].at < end; i++ {
		g.pending = append(g.pending, pending{m, m.pointers[i], o})
	}
}

// object is where the object of data that an address lies in begins and ends, as far as can be told.
func (g *graph) object(m *image, addr uint64) (begin, end uint64) {
	bounds := g.bounds[m]
	k, found := slices.BinarySearch(bounds, addr)
	if found {
		k++
	}
	begin, end = addr, ^uint64(0)
	if k > 0 {
		begin = bounds[k-1]
	}
	if k < len(bounds) {
		end = bounds[k]
	}
	return begin, end
}

// chunk is under what the data that an address lies in is noted.
func (g *graph) chunk(m *image, addr uint64) uint64 {
	if p, ok := m.pointerAt(addr); ok && p.got || m.inGot(addr) {
		return addr
	}
	begin, _ := g.object(m, addr)
	return begin
}

// drain follows the pointers of the data that was reached.
func (g *graph) drain() {
	for len(g.pending) > 0 {
		p := g.pending[len(g.pending)-1]
		g.pending = g.pending[:len(g.pending)-1]
		g.through(p.image, p.pointer, p.origin)
	}
}

// through follows a pointer that the loader fills in.
func (g *graph) through(m *image, p pointer, o origin) {
	if o.how == "" {
		o.how = "by pointer"
	}
	if p.symbol == "" {
		g.mentions(m, p.addr)
		g.valued[place{m, p.addr}] = true
		g.point(m, p.addr, o)
		return
	}
	for _, t := range g.targets(m, p) {
		g.point(t.image, t.addr, o)
	}
}

// targets are what a symbol means, and notes what else its name says.
func (g *graph) targets(m *image, p pointer) (out []place) {
	switch p.symbol {
	case "dlsym", "dlvsym":
		for _, d := range g.lookup(p) {
			if d.image != m {
				g.dlsyms[place{d.image, d.addr}] = true
			}
		}
	case "dlopen", "dlmopen":
		g.loads[m] = true
	}
	found := g.lookup(p)
	if len(found) == 1 && found[0].image == m && found[0].data && found[0].addr == p.at { // copied from a library when the program starts
		for _, other := range g.images {
			if all := other.exports[p.symbol]; other != m && all != nil {
				found = nil
				for _, e := range all {
					found = append(found, definition{other, e})
				}
				break
			}
		}
	}
	if len(found) == 0 && p.addr != 0 {
		return []place{{m, p.addr}}
	}
	for _, d := range found {
		out = append(out, place{d.image, d.addr})
	}
	return out
}

// follow notes where a part leads.
func (g *graph) follow(p *part) {
	m := p.image
	for _, e := range p.calls {
		var to []place
		how := "calls"
		if !e.call {
			how = "jumps"
		}
		if e.slot == 0 {
			to = []place{{m, e.to}}
		} else if ptr, ok := m.pointerAt(e.slot); ok {
			to = []place{{m, ptr.addr}}
			if ptr.symbol != "" {
				to = g.targets(m, ptr)
			}
		}
		if e.slot != 0 && (len(to) == 0 || !isGot(m, e.slot)) {
			g.data(m, e.slot, origin{p, ""})
		}
		for _, t := range to {
			if t.image.partAt(t.addr) != nil && !g.hold(p, t, func() { g.arrive(p, e, t, how) }) {
				g.arrive(p, e, t, how)
			}
		}
	}
	if p.indirect {
		for t := range m.tables(p) {
			if q := m.partAt(t); q != p {
				g.arrivals[place{m, t}] = append(g.arrivals[place{m, t}], arrival{p, edge{from: p.start, to: t}})
				g.reach(q, origin{p, "jumps by table"})
			}
		}
	}
	g.mentions(m, p.refs...)
	for _, r := range p.refs {
		if m.holds(r) {
			g.point(m, r, origin{p, ""})
		}
		for _, t := range m.relative(r) {
			g.point(m, t, origin{p, "by offset"})
		}
	}
	for _, pad := range m.pads[p.start] {
		g.reach(m.partAt(pad), origin{p, "is unwound to"})
	}
}

// arrive takes an edge.
func (g *graph) arrive(p *part, e edge, t place, how string) {
	if e.call {
		g.heads[t] = true
	}
	g.arrivals[t] = append(g.arrivals[t], arrival{p, e})
	g.reach(t.image.partAt(t.addr), origin{p, how})
}

func isGot(m *image, addr uint64) bool {
	p, ok := m.pointerAt(addr)
	return ok && p.got
}

// longestPath is PATH_MAX of limits.h less its NUL.
const longestPath = 4095

// texts are the strings that reached code mentions.
func (g *graph) texts(yield func(*part, string) bool) {
	for _, p := range g.order {
		for _, r := range p.refs {
			if s := p.image.text(r, longestPath); s != "" && !yield(p, s) {
				return
			}
		}
	}
}

// constantAt is a number in read-only data.
func (m *image) constantAt(addr uint64, width uint8) (int64, bool) {
	b, s := m.at(addr)
	if s == nil || s.write || len(b) < 8 {
		return 0, false
	}
	if width == 4 {
		return int64(binary.LittleEndian.Uint32(b)), true
	}
	return int64(binary.LittleEndian.Uint64(b)), true
}
