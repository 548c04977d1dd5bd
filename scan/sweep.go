package scan

import (
	"context"
	"runtime"
	"slices"
	"sync"
)

// A part is the code between where one function starts and where the next one does, and what leads out of it.
type part struct {
	image    *image
	start    uint64
	end      uint64
	calls    []edge
	refs     []uint64 // addresses that it mentions
	syscalls []uint64
	foreign  []uint64
	tables   map[uint64]bool // where its jump tables lead, once that was looked for
	blocks   map[uint64]bool // where its blocks begin, likewise
	indirect bool            // it jumps to where a register or a table says
	writes   []write
	leas     []uint64 // addresses that it does not only read or write
}

// An edge leads to another part: to an address, or to what a pointer holds.
type edge struct {
	from uint64 // the instruction
	to   uint64
	slot uint64
	call bool // else a jump, or running on over the end
}

// A write stores something to a fixed address.
type write struct {
	from, to uint64
	width    uint8
}

// sweep reads all the code of an image once.
func (m *image) sweep(ctx context.Context) error {
	m.parts = make([]*part, len(m.starts))
	workers := runtime.GOMAXPROCS(0)
	var wg sync.WaitGroup
	const batch = 256
	for w := range workers {
		wg.Go(func() {
			for k := w * batch; k < len(m.starts) && ctx.Err() == nil; k += workers * batch {
				for j := k; j < min(k+batch, len(m.starts)); j++ {
					_, end := m.bounds(m.starts[j])
					m.parts[j] = m.read(m.starts[j], end)
				}
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for _, p := range m.parts {
		m.mentioned = append(m.mentioned, p.refs...)
	}
	for _, p := range m.pointers {
		if p.symbol == "" {
			m.mentioned = append(m.mentioned, p.addr)
		}
	}
	slices.Sort(m.mentioned)
	m.mentioned = slices.Compact(m.mentioned)
	return nil
}

// longMove is how many bytes the move of a 64-bit constant has. In the large code model it holds what an address is away from the table
// of pointers.
const longMove = 10

// read decodes a part from its first instruction to its last.
func (m *image) read(start, end uint64) *part {
	p := &part{image: m, start: start, end: end}
	code, _ := m.at(start)
	code = code[:min(uint64(len(code)), end-start)]
	sure := m.ends[start] // behind it lie padding, data, or code that something jumps to
	reached := map[uint64]bool{}
	var pages map[reg]int64
	ended := false
	falls := true // into what follows, as far as jumps within the part tell
	last := inst{}
	for off := uint64(0); off < uint64(len(code)); {
		i := m.mach.decode(code[off:], start+off, m.fixed)
		off = i.next - start
		if reached[i.addr] {
			ended, falls = false, true
		}
		if ended && sure != 0 && i.addr >= sure {
			continue
		}
		if m.mach == &arm64 {
			pages = adrp(&i, pages)
		} else if m.base != 0 && i.kind == kindSet && i.next-i.addr == longMove && m.holds(m.base+uint64(i.imm)) {
			i.ref = m.base + uint64(i.imm)
		}
		ended = i.kind == kindEnd || i.kind == kindJump
		falls = !ended && (!i.pads || falls && last.kind != kindCall) // a call before padding never returns
		last = i
		if i.target != 0 && i.target >= start && i.target < end && i.kind != kindCall {
			reached[i.target] = true
			continue
		}
		p.indirect = p.indirect || i.kind == kindJump && i.target == 0 && i.slot == 0
		switch i.kind {
		case kindCall, kindJump, kindBranch:
			if i.target != 0 || i.slot != 0 {
				p.calls = append(p.calls, edge{i.addr, i.target, i.slot, i.kind == kindCall})
				continue
			}
		case kindSyscall:
			p.syscalls = append(p.syscalls, i.addr)
		case kindForeign:
			p.foreign = append(p.foreign, i.addr)
		case kindStore:
			if i.ref != 0 && !i.indexed {
				p.writes = append(p.writes, write{i.addr, i.ref, i.width})
			}
		}
		if i.ref != 0 && (i.kind != kindStore && i.kind != kindLoad || i.indexed) {
			p.leas = append(p.leas, i.ref)
		}
		if i.ref != 0 {
			p.refs = append(p.refs, i.ref)
		}
	}
	// A compiled function does not run on into the next one: a call at its end never returns.
	whole := sure == end || m.isGo(start) && m.names[start] != ""
	if falls && last.next == end && !(whole && last.kind == kindCall) {
		p.calls = append(p.calls, edge{last.addr, end, 0, false})
	}
	slices.Sort(p.refs)
	p.refs = slices.Compact(p.refs)
	return p
}

// adrp joins an address from the two instructions that make it on ARM, where the page stands in a register between them.
func adrp(i *inst, pages map[reg]int64) map[reg]int64 {
	if i.kind == kindSet && i.ref == 0 && i.imm&0xfff == 0 && i.imm != 0 && i.dst != noReg {
		if pages == nil {
			pages = map[reg]int64{}
		}
		pages[i.dst] = i.imm
		return pages
	}
	base := i.src
	if i.kind == kindLoad || i.kind == kindStore {
		base = i.base
	}
	if page, ok := pages[base]; ok && (i.kind == kindAdd || i.kind == kindLoad || i.kind == kindStore) {
		i.ref = uint64(page + i.imm)
	}
	if i.dst != noReg && i.kind != kindAdd {
		delete(pages, i.dst)
	}
	return pages
}
