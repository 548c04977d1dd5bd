package image

import (
	"debug/gosym"
	"encoding/binary"
)

// Where the first words of Go's runtime.moduledata lie, in bytes; they have not moved since Go 1.16.
const (
	goPclntable = 104 // slice of the table's bytes behind its header
	goText      = 176
	goEnd       = 184
)

// A module is what Go's linker says of a program to its runtime, in the variable runtime.firstmoduledata.
type module struct {
	table    uint64 // address of the table of functions, which gosym knows as pclntab
	tableEnd uint64
	text     uint64 // where Go's code begins, which offsets into it count from
	end      uint64
}

// module looks for Go's table of functions: without symbols and sections, the pointer to it that the runtime itself has
// is what is left.
func (m *Image) module() (module, bool) {
	for _, p := range m.Pointers {
		b, s := m.At(p.Addr)
		if s == nil || len(b) < 16 || !pclntabMagic(b) {
			continue
		}
		text, end, rest := m.loaded(p.At+goText), m.loaded(p.At+goEnd), m.loaded(p.At+goPclntable)
		if m.IsCode(text) && end > text && rest > p.Addr {
			return module{p.Addr, rest + m.Word(p.At+goPclntable+8), text, end}, true
		}
	}
	return module{}, false
}

// pclntabMagic says that a table of functions of Go 1.16 or later, for eight-byte pointers, begins.
func pclntabMagic(b []byte) bool {
	switch binary.LittleEndian.Uint32(b) {
	case 0xfffffffa, 0xfffffff0, 0xfffffff1:
		return b[4] == 0 && b[5] == 0 && (b[6] == 1 || b[6] == 4) && b[7] == 8
	}
	return false
}

// loaded is a word of data as the loader leaves it.
func (m *Image) loaded(addr uint64) uint64 {
	if p, ok := m.PointerAt(addr); ok && p.Symbol == "" {
		return p.Addr
	}
	return m.Word(addr)
}

// IsGo says that an address is in code of Go's compiler, or of its assembler: with cgo, C's stands beside it.
func (m *Image) IsGo(addr uint64) bool { return addr >= m.GoText && addr < m.GoEnd }

// pclntab reads Go's table of functions, and the offsets into code that its types hold for methods.
func (m *Image) pclntab() {
	mod, ok := m.module()
	if !ok {
		return
	}
	b, _ := m.At(mod.table)
	t, err := gosym.NewTable(nil, gosym.NewLineTable(b, mod.text))
	if err != nil || len(t.Funcs) == 0 {
		return
	}
	m.GoText, m.GoEnd = mod.text, mod.end
	entries := make(map[uint64]bool, len(t.Funcs))
	for _, f := range t.Funcs {
		m.Starts = append(m.Starts, f.Entry)
		m.Names[f.Entry] = f.Name
		entries[f.Entry] = true
	}
	// A method stands in its type as two offsets: of the function for interfaces, and of the one itself.
	for _, s := range m.Segments {
		for k := -s.Addr & 3; k+8 <= uint64(len(s.Data)); k += 4 {
			if a := s.Addr + k; a >= mod.table && a < mod.tableEnd {
				continue
			}
			x, y := mod.text+uint64(binary.LittleEndian.Uint32(s.Data[k:])), mod.text+uint64(binary.LittleEndian.Uint32(s.Data[k+4:]))
			if x != mod.text && y != mod.text && entries[x] && entries[y] {
				m.Roots = append(m.Roots, x, y)
			}
		}
	}
}
