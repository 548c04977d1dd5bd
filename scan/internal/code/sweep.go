package code

import (
	"context"
	"runtime"
	"slices"
	"sync"

	"monban/abi"
	"monban/scan/internal/decode"
)

// sweep reads all the code of an image once.
func (m *Code) sweep(ctx context.Context) error {
	m.parts = make([]*Part, len(m.starts))
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
		m.mentioned = append(m.mentioned, p.Refs...)
	}
	for _, p := range m.Pointers {
		if p.Symbol == "" {
			m.mentioned = append(m.mentioned, p.Addr)
		}
	}
	slices.Sort(m.mentioned)
	m.mentioned = slices.Compact(m.mentioned)
	return nil
}

// longMove is how many bytes the move of a 64-bit constant has. In the large code model it holds what an address is
// away from the table of pointers.
const longMove = 10

// read decodes a part from its first instruction to its last.
func (m *Code) read(start, end uint64) *Part {
	p := &Part{Code: m, Start: start, End: end}
	code, _ := m.At(start)
	code = code[:min(uint64(len(code)), end-start)]
	sure := m.Ends[start] // behind it lie padding, data, or code that something jumps to
	var jumped offsets    // what something in the part jumps to
	var pages map[decode.Reg]int64
	ended := false
	falls := true // into what follows, as far as jumps within the part tell
	last := decode.Inst{}
	for off := uint64(0); off < uint64(len(code)); {
		i := m.Machine.Decode(code[off:], start+off, m.Fixed)
		off = i.Next - start
		if jumped.has(i.Addr - start) {
			ended, falls, last.Kind = false, true, decode.Other // whatever stands before it
		}
		if ended && sure != 0 && i.Addr >= sure {
			continue
		}
		if m.Machine.Arch == abi.AArch64 {
			pages = adrp(&i, pages)
		} else if m.Base != 0 && i.Kind == decode.Set && i.Next-i.Addr == longMove && m.Holds(m.Base+uint64(i.Imm)) {
			i.Ref = m.Base + uint64(i.Imm)
		}
		ended = i.Kind == decode.End || i.Kind == decode.Jump
		falls = !ended && (!i.Pads || falls && last.Kind != decode.Call) // a call before padding never returns
		last = i
		if i.Target != 0 && i.Target >= start && i.Target < end && i.Kind != decode.Call {
			jumped = jumped.with(i.Target-start, len(code))
			continue
		}
		p.Indirect = p.Indirect || i.Kind == decode.Jump && i.Target == 0 && i.Slot == 0
		switch i.Kind {
		case decode.Call, decode.Jump, decode.Branch:
			if i.Target != 0 || i.Slot != 0 {
				p.Edges = append(p.Edges, Edge{i.Addr, i.Target, i.Slot, i.Kind == decode.Call})
				continue
			}
		case decode.Syscall:
			p.Syscalls = append(p.Syscalls, i.Addr)
		case decode.Foreign:
			p.Foreign = append(p.Foreign, i.Addr)
		case decode.Store:
			if i.Ref != 0 && !i.Indexed {
				p.Writes = append(p.Writes, Write{i.Addr, i.Ref, i.Width})
			}
		}
		if i.Ref != 0 && (i.Kind != decode.Store && i.Kind != decode.Load || i.Indexed) {
			p.Addrs = append(p.Addrs, i.Ref)
		}
		if i.Ref != 0 {
			p.Refs = append(p.Refs, i.Ref)
		}
	}
	// A compiled function does not run on into the next one: a call at its end never returns.
	whole := sure == end || m.IsGo(start) && m.Names[start] != ""
	if falls && last.Next == end && !(whole && last.Kind == decode.Call) {
		p.Edges = append(p.Edges, Edge{last.Addr, end, 0, false})
	}
	slices.Sort(p.Refs)
	p.Refs = slices.Compact(p.Refs)
	return p
}

// offsets are a set of them, a bit each; nil has none.
type offsets []uint64

func (o offsets) has(n uint64) bool { return n/64 < uint64(len(o)) && o[n/64]>>(n%64)&1 == 1 }

// with is the set with another one, of a part of so many bytes.
func (o offsets) with(n uint64, size int) offsets {
	if o == nil {
		o = make(offsets, size/64+1)
	}
	if n/64 < uint64(len(o)) {
		o[n/64] |= 1 << (n % 64)
	}
	return o
}

// adrp joins an address from the two instructions that make it on ARM, where the page stands in a register between
// them.
func adrp(i *decode.Inst, pages map[decode.Reg]int64) map[decode.Reg]int64 {
	if i.Kind == decode.Set && i.Ref == 0 && i.Imm&0xfff == 0 && i.Imm != 0 && i.Dst != decode.NoReg {
		if pages == nil {
			pages = map[decode.Reg]int64{}
		}
		pages[i.Dst] = i.Imm
		return pages
	}
	base := i.Src
	if i.Kind == decode.Load || i.Kind == decode.Store {
		base = i.Base
	}
	if page, ok := pages[base]; ok && (i.Kind == decode.Add || i.Kind == decode.Load || i.Kind == decode.Store) {
		i.Ref = uint64(page + i.Imm)
	}
	if i.Dst != decode.NoReg && i.Kind != decode.Add {
		delete(pages, i.Dst)
	}
	return pages
}
