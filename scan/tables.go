package scan

import (
	"encoding/binary"
	"slices"
)

// table leads on through a jump table. Where there is none, the jump is a call of somebody else at the end.
func (f *flow) table(from uint64, s *state) {
	p := f.m.partAt(from)
	if p == nil {
		return
	}
	if f.m.mach == &arm64 { // offsets of one, two or four bytes from a place in the code
		if slices.ContainsFunc(p.refs, func(r uint64) bool { return r >= p.start && r < p.end }) {
			for a := range f.m.blocks(p) {
				f.enter(a, s)
			}
		}
		return
	}
	found := false
	for t := range f.m.tables(p) {
		found = true
		if f.m.partAt(t) == p || !f.heads[place{f.m, t}] {
			f.enter(t, s)
		}
	}
	for _, r := range p.refs { // labels whose addresses are taken
		if r > p.start && r < p.end {
			f.enter(r, s)
		}
	}
	if sp := s.regs[f.m.mach.sp]; !found && (!sp.stack || sp.off != 0) { // a call of somebody else does without a frame
		for a := range f.m.blocks(p) {
			f.enter(a, s)
		}
	}
}

// maxTable is how many entries of a jump table are read.
const maxTable = 4096

// tables are where jump tables that a part mentions lead: words that are pointers, or offsets from the table or from a label of the part.
func (m *image) tables(p *part) map[uint64]bool {
	if p.tables != nil {
		return p.tables
	}
	out := map[uint64]bool{}
	p.tables = out
	bases := []uint64{0}
	for _, r := range p.refs {
		if r >= p.start && r < p.end {
			bases = append(bases, r)
		}
	}
	for _, r := range p.refs {
		b, seg := m.at(r)
		if seg == nil || seg.exec && m.goEnd == 0 {
			continue
		}
		if k, _ := slices.BinarySearch(m.mentioned, r+1); k < len(m.mentioned) { // where the next table begins
			b = b[:min(uint64(len(b)), m.mentioned[k]-r)]
		}
		for _, base := range bases {
			if base == 0 {
				base = r
			}
			var to []uint64
			own := false
			for k := range min(len(b)/4, maxTable) {
				t := base + uint64(int64(int32(binary.LittleEndian.Uint32(b[4*k:]))))
				if !m.isCode(t) {
					break
				}
				if m.partAt(t) == p {
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
			if ptr, ok := m.pointerAt(r + uint64(8*k)); ok {
				t = ptr.addr
			}
			if !m.isCode(t) {
				break
			}
			if m.partAt(t) == p {
				out[t] = true
			}
		}
	}
	return out
}

// blocks are where blocks of a part begin: what is jumped to, and what follows where nothing runs on.
func (m *image) blocks(p *part) map[uint64]bool {
	if p.blocks != nil {
		return p.blocks
	}
	out := map[uint64]bool{}
	p.blocks = out
	code, _ := m.at(p.start)
	for off := uint64(0); off < p.end-p.start && off < uint64(len(code)); {
		i := m.mach.decode(code[off:], p.start+off, m.fixed)
		off = i.next - p.start
		if (i.kind == kindJump || i.kind == kindBranch) && i.target >= p.start && i.target < p.end {
			out[i.target] = true
		}
		if (i.kind == kindJump || i.kind == kindEnd) && i.next < p.end {
			out[i.next] = true
		}
	}
	return out
}

// relative is what a table of four-byte offsets from itself leads to, as LLVM makes of a table of pointers: to objects, or to functions.
func (m *image) relative(r uint64) (out []uint64) {
	b, s := m.at(r)
	if s == nil || s.exec || s.write || r%4 != 0 {
		return nil
	}
	if k, _ := slices.BinarySearch(m.mentioned, r+1); k < len(m.mentioned) {
		b = b[:min(uint64(len(b)), m.mentioned[k]-r)]
	}
	for ; len(b) >= 4 && len(out) < maxTable; b = b[4:] {
		t := r + uint64(int64(int32(binary.LittleEndian.Uint32(b))))
		if code := m.isCode(t); code && m.ends[t] == 0 || !code && !m.isData(t) || m.inGot(t) {
			break // numbers of another kind
		}
		out = append(out, t)
	}
	if len(out) < 2 { // LLVM leaves one pointer alone
		return nil
	}
	return out
}
