package scan

import (
	"cmp"
	"debug/elf"
	"encoding/binary"
	"slices"
)

// rootTables takes all pointers in what the loader itself reads for roots: the tables of what it calls, and what each thread gets a copy
// of, which code does not reach by address. Symbols in them begin no objects of their own.
func (m *image) rootTables() {
	table := func(addr, size uint64) {
		k, _ := slices.BinarySearchFunc(m.pointers, addr, func(p pointer, a uint64) int { return cmp.Compare(p.at, a) })
		for ; k < len(m.pointers) && m.pointers[k].at-addr < size; k++ {
			m.rooted = append(m.rooted, m.pointers[k])
		}
	}
	for _, s := range m.file.Sections {
		switch s.Name {
		case ".init_array", ".fini_array", ".preinit_array":
			table(s.Addr, s.Size)
		}
	}
	for _, t := range [][2]elf.DynTag{{elf.DT_INIT_ARRAY, elf.DT_INIT_ARRAYSZ}, {elf.DT_FINI_ARRAY, elf.DT_FINI_ARRAYSZ},
		{elf.DT_PREINIT_ARRAY, elf.DT_PREINIT_ARRAYSZ}} {
		addr, err := m.file.DynValue(t[0])
		size, err2 := m.file.DynValue(t[1])
		if err == nil && err2 == nil && len(addr) == 1 && len(size) == 1 {
			table(addr[0], size[0])
		}
	}
	for _, p := range m.file.Progs {
		if p.Type == elf.PT_TLS {
			table(p.Vaddr, p.Filesz)
		}
	}
}

// shtRelr is SHT_RELR of elf.h: relocations as bitmaps.
const shtRelr elf.SectionType = 19

// relocations notes every word of data that the loader makes a pointer.
func (m *image) relocations() {
	symbols, _ := m.file.DynamicSymbols()
	for _, s := range m.file.Sections {
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
	for _, s := range m.file.Sections {
		if s.Name == ".got" || s.Name == ".got.plt" {
			m.gots = append(m.gots, s)
			m.base = s.Addr // _GLOBAL_OFFSET_TABLE_ is the latter where there are both
		}
	}
	known := map[uint64]bool{}
	for _, p := range m.pointers {
		known[p.at] = true
	}
	if m.fixed {
		for _, s := range m.segments {
			if s.exec {
				continue
			}
			for k := -s.addr & 7; k+8 <= uint64(len(s.data)); k += 8 {
				v := binary.LittleEndian.Uint64(s.data[k:])
				if v != 0 && !known[s.addr+k] && m.holds(v) {
					m.pointers = append(m.pointers, pointer{at: s.addr + k, addr: v})
				}
			}
		}
	}
	slices.SortFunc(m.pointers, func(a, b pointer) int { return cmp.Compare(a.at, b.at) })
}

func (m *image) rela(b []byte, symbols []elf.Symbol) {
	for ; len(b) >= 24; b = b[24:] {
		off, info, add := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint64(b[16:])
		p := pointer{at: off, addr: add}
		if n := info >> 32; n > 0 && n <= uint64(len(symbols)) {
			s := symbols[n-1]
			p.symbol, p.ver, p.addr = s.Name, s.Version, 0
			if s.Section != elf.SHN_UNDEF {
				p.addr = s.Value + add
			}
		}
		switch t := uint32(info); m.file.Machine {
		case elf.EM_X86_64:
			p.got = t == uint32(elf.R_X86_64_GLOB_DAT) || t == uint32(elf.R_X86_64_JMP_SLOT)
			if t == uint32(elf.R_X86_64_IRELATIVE) {
				m.roots = append(m.roots, add)
			}
		default:
			p.got = t == uint32(elf.R_AARCH64_GLOB_DAT) || t == uint32(elf.R_AARCH64_JUMP_SLOT)
			if t == uint32(elf.R_AARCH64_IRELATIVE) {
				m.roots = append(m.roots, add)
			}
		}
		m.pointers = append(m.pointers, p)
	}
}

// relr is an address, then bitmaps of the words after it.
func (m *image) relr(b []byte) {
	var next uint64
	for ; len(b) >= 8; b = b[8:] {
		e := binary.LittleEndian.Uint64(b)
		if e&1 == 0 {
			m.pointers = append(m.pointers, pointer{at: e, addr: m.word(e)})
			next = e + 8
			continue
		}
		for k := range uint64(63) {
			if e>>(k+1)&1 != 0 {
				m.pointers = append(m.pointers, pointer{at: next + 8*k, addr: m.word(next + 8*k)})
			}
		}
		next += 63 * 8
	}
}

// constant says that a pointer stays as the loader leaves it.
func (m *image) constant(p pointer) bool {
	if _, s := m.at(p.at); p.got || s == nil || !s.write {
		return true
	}
	return slices.ContainsFunc(m.file.Progs, func(s *elf.Prog) bool { return s.Type == elf.PT_GNU_RELRO && p.at-s.Vaddr < s.Memsz })
}
