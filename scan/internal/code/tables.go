package code

import (
	"encoding/binary"
	"maps"
	"slices"

	"monban/scan/internal/decode"
)

const (
	maxTable  = 4096    // entries of one jump table that are read
	maxLabels = 1 << 22 // entries that are read as distances from labels, for one part
)

// Tables are where jump tables that a part mentions lead, sorted: words that are pointers, or distances from the table
// or from a label of the part. Where there are too many labels and tables to try each with each, they may lead to any
// block of the part.
func (p *Part) Tables() []uint64 {
	if p.tables != nil {
		return p.tables
	}
	m := p.Code
	out := map[uint64]bool{}
	var labels []uint64
	for _, r := range p.Refs {
		if p.Has(r) {
			labels = append(labels, r)
		}
	}
	left := maxLabels
	for _, r := range p.Refs {
		b, seg := m.At(r)
		if seg == nil || seg.Exec && m.GoEnd == 0 {
			continue
		}
		b = m.untilMentioned(b, r) // where the next table begins
		for _, t := range p.distances(b, r) {
			out[t] = true
		}
		for _, label := range labels {
			if left -= min(len(b)/4, maxTable); left < 0 {
				break
			}
			for _, t := range p.distances(b, label) {
				if m.Part(t) == p { // else an offset that means something else
					out[t] = true
				}
			}
		}
		p.pointers(b, r, out)
	}
	if left < 0 {
		for _, t := range p.Blocks() {
			out[t] = true
		}
	}
	p.tables = sorted(out)
	return p.tables
}

// distances are where a table of four-byte distances from a base leads; nil where none of them leads into the part.
func (p *Part) distances(b []byte, base uint64) (to []uint64) {
	own := false
	for k := range min(len(b)/4, maxTable) {
		t := base + uint64(int64(int32(binary.LittleEndian.Uint32(b[4*k:]))))
		if !p.Code.IsCode(t) {
			break
		}
		own = own || p.Code.Part(t) == p
		to = append(to, t)
	}
	if !own {
		return nil
	}
	return to
}

// pointers adds where a table of pointers at an address leads in the part.
func (p *Part) pointers(b []byte, addr uint64, out map[uint64]bool) {
	m := p.Code
	for k := range min(len(b)/8, maxTable) {
		t := binary.LittleEndian.Uint64(b[8*k:])
		if ptr, ok := m.PointerAt(addr + uint64(8*k)); ok {
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
