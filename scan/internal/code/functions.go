package code

import (
	"debug/elf"
	"maps"
	"slices"

	"monban/scan/internal/decode"
)

// functions finds where functions start, sorted: beside those that the image's tables name, where sections and segments
// begin, what pointers lead to, what is called where no table tells, and what lies between.
func (m *Code) functions() {
	m.starts = slices.Clone(m.Starts)
	for _, s := range m.File.Sections {
		if s.Flags&elf.SHF_EXECINSTR == 0 || s.Addr == 0 {
			continue
		}
		m.starts = append(m.starts, s.Addr)
		step := uint64(0)
		switch s.Name {
		case ".plt", ".plt.sec", ".iplt":
			step = 16
		case ".plt.got":
			step = 8 // its stubs have 8 bytes, or 16 with endbr64: halves do no harm
		}
		for a := s.Addr; step > 0 && a < s.Addr+min(s.Size, 1<<22); a += step {
			m.starts = append(m.starts, a)
		}
	}
	for _, s := range m.Segments {
		if s.Exec {
			m.starts = append(m.starts, s.Addr)
		}
	}
	m.starts = append(m.starts, m.File.Entry)
	framed := slices.Sorted(maps.Keys(m.Ends))
	for _, p := range m.Pointers {
		if p.Addr == 0 || p.Symbol != "" || m.IsGo(p.Addr) || !m.IsCode(p.Addr) {
			continue
		}
		// Inside a function it is a label of it.
		k, found := slices.BinarySearch(framed, p.Addr)
		if !found && (k == 0 || m.Ends[framed[k-1]] <= p.Addr) {
			m.starts = append(m.starts, p.Addr)
		}
	}
	if m.Framed == 0 {
		m.called()
	}
	m.gaps()
	m.starts = slices.DeleteFunc(m.starts, func(a uint64) bool { return !m.IsCode(a) })
	slices.Sort(m.starts)
	m.starts = slices.Compact(m.starts)
}

// gaps takes code behind functions that unwind tables end before, and that no table knows, for functions: assembly
// often has none.
func (m *Code) gaps() {
	slices.Sort(m.starts)
	for start, end := range m.Ends {
		k, found := slices.BinarySearch(m.starts, end)
		if found || end <= start || !m.IsCode(end) {
			continue
		}
		code, _ := m.At(end)
		if k < len(m.starts) {
			code = code[:min(uint64(len(code)), m.starts[k]-end)]
		}
		if m.looksLikeCode(code, end) {
			m.gap[end] = true
		}
	}
	m.starts = append(m.starts, slices.Collect(maps.Keys(m.gap))...)
}

// looksLikeCode tells code from padding, and from the tables that some assembly keeps beside its code: what does not
// decode, or is zero, is none.
func (m *Code) looksLikeCode(code []byte, addr uint64) bool {
	const most = 256 // instructions
	does := false
	for n, off := 0, 0; n < most && off < len(code); n++ {
		if !m.Machine.IsCode(code[off:]) {
			return false
		}
		i := m.Machine.Decode(code[off:], addr+uint64(off), m.Fixed)
		does = does || !i.Pads && i.Kind != decode.End
		off += int(i.Next - i.Addr)
	}
	return does
}

// called takes what is called for functions, where no table names any.
func (m *Code) called() {
	for _, s := range m.Segments {
		if !s.Exec {
			continue
		}
		for off := 0; off < len(s.Data); {
			if a := s.Addr + uint64(off); m.IsGo(a) {
				off += int(min(m.GoEnd-a, uint64(len(s.Data)-off)))
				continue
			}
			i := m.Machine.Decode(s.Data[off:], s.Addr+uint64(off), m.Fixed)
			if i.Kind == decode.Call && i.Target != 0 {
				m.starts = append(m.starts, i.Target)
			}
			off += int(i.Next - i.Addr)
		}
	}
}

// bounds are those of the function that an address lies in: up to where the next one starts.
func (m *Code) bounds(addr uint64) (start, end uint64) {
	i, found := slices.BinarySearch(m.starts, addr)
	if !found {
		i--
	}
	if i < 0 {
		return addr, addr
	}
	b, _ := m.At(m.starts[i])
	end = m.starts[i] + uint64(len(b))
	if i+1 < len(m.starts) && m.starts[i+1] < end {
		end = m.starts[i+1]
	}
	return m.starts[i], end
}
