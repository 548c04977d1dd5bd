package image

import (
	"cmp"
	"debug/elf"
	"encoding/binary"
	"slices"
)

// A Pointer is a word of data that the loader fills in: with the address of a symbol, or of a place in the same image.
type Pointer struct {
	At      uint64
	Addr    uint64 // 0 where the symbol is somebody else's
	Symbol  string
	Version string // of the symbol
	Slot    bool   // read only by code that names the word
}

// rootTables takes all pointers in what the loader itself reads for roots: the tables of what it calls, and what each
// thread gets a copy of, which code does not reach by address. Symbols in them begin no objects of their own.
func (m *Image) rootTables() {
	table := func(addr, size uint64) {
		k, _ := slices.BinarySearchFunc(m.Pointers, addr, func(p Pointer, a uint64) int { return cmp.Compare(p.At, a) })
		for ; k < len(m.Pointers) && m.Pointers[k].At-addr < size; k++ {
			m.Rooted = append(m.Rooted, m.Pointers[k])
		}
	}
	for _, s := range m.File.Sections {
		switch s.Name {
		case ".init_array", ".fini_array", ".preinit_array":
			table(s.Addr, s.Size)
		}
	}
	for _, t := range [][2]elf.DynTag{{elf.DT_INIT_ARRAY, elf.DT_INIT_ARRAYSZ}, {elf.DT_FINI_ARRAY, elf.DT_FINI_ARRAYSZ},
		{elf.DT_PREINIT_ARRAY, elf.DT_PREINIT_ARRAYSZ}} {
		addr, err := m.File.DynValue(t[0])
		size, err2 := m.File.DynValue(t[1])
		if err == nil && err2 == nil && len(addr) == 1 && len(size) == 1 {
			table(addr[0], size[0])
		}
	}
	for _, p := range m.File.Progs {
		if p.Type == elf.PT_TLS {
			table(p.Vaddr, p.Filesz)
		}
	}
}

// shtRelr is SHT_RELR of elf.h: relocations as bitmaps.
const shtRelr elf.SectionType = 19

// relocations notes every word of data that the loader makes a pointer.
func (m *Image) relocations() {
	symbols, _ := m.File.DynamicSymbols()
	for _, s := range m.File.Sections {
		if s.Flags&elf.SHF_ALLOC == 0 || s.Type != elf.SHT_RELA && s.Type != shtRelr {
			continue
		}
		b, err := s.Data()
		if err != nil {
			continue
		}
		if s.Type == elf.SHT_RELA {
			m.rela(b, symbols)
		} else {
			m.relr(b)
		}
	}
	for _, s := range m.File.Sections {
		if s.Name == ".got" || s.Name == ".got.plt" {
			m.slots = append(m.slots, s)
			m.Base = s.Addr // _GLOBAL_OFFSET_TABLE_ is the latter where there are both
		}
	}
	known := map[uint64]bool{}
	for _, p := range m.Pointers {
		known[p.At] = true
	}
	if m.Fixed {
		for _, s := range m.Segments {
			if s.Exec {
				continue
			}
			for k := -s.Addr & 7; k+8 <= uint64(len(s.Data)); k += 8 {
				v := binary.LittleEndian.Uint64(s.Data[k:])
				if v != 0 && !known[s.Addr+k] && m.Holds(v) {
					m.Pointers = append(m.Pointers, Pointer{At: s.Addr + k, Addr: v})
				}
			}
		}
	}
	slices.SortFunc(m.Pointers, func(a, b Pointer) int { return cmp.Compare(a.At, b.At) })
}

func (m *Image) rela(b []byte, symbols []elf.Symbol) {
	for ; len(b) >= 24; b = b[24:] {
		off, info, add := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint64(b[16:])
		p := Pointer{At: off, Addr: add}
		if n := info >> 32; n > 0 && n <= uint64(len(symbols)) {
			s := symbols[n-1]
			p.Symbol, p.Version, p.Addr = s.Name, s.Version, 0
			if s.Section != elf.SHN_UNDEF {
				p.Addr = s.Value + add
			}
		}
		switch t := uint32(info); m.File.Machine {
		case elf.EM_X86_64:
			p.Slot = t == uint32(elf.R_X86_64_GLOB_DAT) || t == uint32(elf.R_X86_64_JMP_SLOT)
			if t == uint32(elf.R_X86_64_IRELATIVE) {
				m.Roots = append(m.Roots, add)
			}
		default:
			p.Slot = t == uint32(elf.R_AARCH64_GLOB_DAT) || t == uint32(elf.R_AARCH64_JUMP_SLOT)
			if t == uint32(elf.R_AARCH64_IRELATIVE) {
				m.Roots = append(m.Roots, add)
			}
		}
		m.Pointers = append(m.Pointers, p)
	}
}

// relr is an address, then bitmaps of the words after it.
func (m *Image) relr(b []byte) {
	var next uint64
	for ; len(b) >= 8; b = b[8:] {
		e := binary.LittleEndian.Uint64(b)
		if e&1 == 0 {
			m.Pointers = append(m.Pointers, Pointer{At: e, Addr: m.Word(e)})
			next = e + 8
			continue
		}
		for k := range uint64(63) {
			if e>>(k+1)&1 != 0 {
				m.Pointers = append(m.Pointers, Pointer{At: next + 8*k, Addr: m.Word(next + 8*k)})
			}
		}
		next += 63 * 8
	}
}

// IsConstant says that a pointer stays as the loader leaves it.
func (m *Image) IsConstant(p Pointer) bool {
	if _, s := m.At(p.At); p.Slot || s == nil || !s.Write {
		return true
	}
	return slices.ContainsFunc(m.File.Progs, func(s *elf.Prog) bool { return s.Type == elf.PT_GNU_RELRO && p.At-s.Vaddr < s.Memsz })
}

// InSlots says that an address is in a table of single words, which code names one by one.
func (m *Image) InSlots(addr uint64) bool {
	return slices.ContainsFunc(m.slots, func(s *elf.Section) bool { return addr >= s.Addr && addr-s.Addr < s.Size })
}

// PointerAt is the pointer at an address.
func (m *Image) PointerAt(addr uint64) (Pointer, bool) {
	i, ok := slices.BinarySearchFunc(m.Pointers, addr, func(p Pointer, a uint64) int { return cmp.Compare(p.At, a) })
	if !ok {
		return Pointer{}, false
	}
	return m.Pointers[i], true
}
