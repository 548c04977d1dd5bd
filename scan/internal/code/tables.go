package code

import (
	"encoding/binary"
	"maps"
	"slices"

	"monban/scan/internal/decode"
)

// maxTable is how many entries of a jump table are read.
const maxTable = 4096

// Tables are where jump tables that a part mentions lead, sorted: words that are pointers, or offsets from the table or
// from a label of the part.
func (p *Part) Tables() []uint64 {
	if p.tables != nil {
		return p.tables
	}
	m := p.Code
	out := map[uint64]bool{}
	bases := []uint64{0}
	for _, r := range p.Refs {
		if p.Has(r) {
			bases = append(bases, r)
		}
	}
	for _, r := range p.Refs {
		b, seg := m.At(r)
		if seg == nil || seg.Exec && m.GoEnd == 0 {
			continue
		}
		b = m.untilMentioned(b, r) // where the next table begins
		for _, base := range bases {
			if base == 0 {
				base = r
			}
			var to []uint64
			own := false
			for k := range min(len(b)/4, maxTable) {
				t := base + uint64(int64(int32(binary.LittleEndian.Uint32(b[4*k:]))))
				if !m.IsCode(t) {
					break
				}
				if m.Part(t) == p {
					own = true
				} else if base != r { // an offset that means something else
					continue
				}
				to = append(to, t)
			}
			if own {
				for _, t := range to {
					out[t] = true
				}
			}
		}
		for k := range min(len(b)/8, maxTable) {
			t := binary.LittleEndian.Uint64(b[8*k:])
			if ptr, ok := m.PointerAt(r + uint64(8*k)); ok {
				t = ptr.Addr
			}
			if !m.IsCode(t) {
				break
			}
			if m.Part(t) == p {
				out[t] = true
			}
		}
	}
	p.tables = sorted(out)
	return p.tables
}

// sorted is a list that is not nil.
func sorted(set map[uint64]bool) []uint64 {
	out := slices.AppendSeq(make([]uint64, 0, len(set)), maps.Keys(set))
	slices.Sort(out)
	return out
}

// Blocks are where blocks of a part begin, sorted: what is jumped to, and what follows where nothing runs on.
func (p *Part) Blocks() []uint64 {
	if p.blocks != nil {
		return p.blocks
	}
	m := p.Code
	out := map[uint64]bool{}
	code, _ := m.At(p.Start)
	for off := uint64(0); off < p.End-p.Start && off < uint64(len(code)); {
		i := m.Machine.Decode(code[off:], p.Start+off, m.Fixed)
		off = i.Next - p.Start
		if (i.Kind == decode.Jump || i.Kind == decode.Branch) && p.Has(i.Target) {
			out[i.Target] = true
		}
		if (i.Kind == decode.Jump || i.Kind == decode.End) && i.Next < p.End {
			out[i.Next] = true
		}
	}
	p.blocks = sorted(out)
	return p.blocks
}

// Relative is what a table of four-byte offsets from itself leads to, as LLVM makes of a table of pointers: to objects,
// or to functions.
func (m *Code) Relative(r uint64) (out []uint64) {
	b, s := m.At(r)
	if s == nil || s.Exec || s.Write || r%4 != 0 {
		return nil
	}
	b = m.untilMentioned(b, r)
	for ; len(b) >= 4 && len(out) < maxTable; b = b[4:] {
		t := r + uint64(int64(int32(binary.LittleEndian.Uint32(b))))
		if code := m.IsCode(t); code && m.Ends[t] == 0 || !code && !m.IsData(t) || m.InSlots(t) {
			break // numbers of another kind
		}
		out = append(out, t)
	}
	if len(out) < 2 { // LLVM leaves one pointer alone
		return nil
	}
	return out
}
