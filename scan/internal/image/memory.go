package image

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"slices"
)

// A Segment is a loaded part of a file. Its data may be shorter than memory is.
type Segment struct {
	Addr  uint64
	Data  []byte
	Size  uint64 // in memory
	Exec  bool
	Write bool
}

// load takes the segments that are loaded.
func (m *Image) load(data []byte) error {
	for _, p := range m.File.Progs {
		if p.Type != elf.PT_LOAD {
			continue
		}
		if p.Off > uint64(len(data)) || p.Filesz > uint64(len(data))-p.Off {
			return m.bad("truncated: a segment of %d bytes begins at byte %d of %d", p.Filesz, p.Off, len(data))
		}
		if p.Memsz > 1<<40 || p.Vaddr > 1<<56 || p.Filesz > p.Memsz {
			return m.bad("malformed ELF file: a segment has an impossible size")
		}
		m.Segments = append(m.Segments, Segment{p.Vaddr, data[p.Off : p.Off+p.Filesz : p.Off+p.Filesz], p.Memsz, p.Flags&elf.PF_X != 0, p.Flags&elf.PF_W != 0})
	}
	m.apart()
	if !slices.ContainsFunc(m.Segments, func(s Segment) bool { return s.Exec && len(s.Data) > 0 }) {
		return m.bad("no code in it")
	}
	return nil
}

// apart takes constants out of executable segments, as far as sections tell: without -z separate-code, which is not the
// default for ARM, the linker puts both into one.
func (m *Image) apart() {
	var out []Segment
	for _, s := range m.Segments {
		if !s.Exec {
			out = append(out, s)
			continue
		}
		var code []uint64 // where it begins and ends, by turns
		for _, c := range m.File.Sections {
			if c.Flags&elf.SHF_EXECINSTR != 0 && c.Addr >= s.Addr && c.Size > 0 && c.Size <= s.Size && c.Addr-s.Addr <= s.Size-c.Size {
				code = append(code, c.Addr, c.Addr+c.Size)
			}
		}
		if code == nil || !slices.IsSorted(code) {
			out = append(out, s)
			continue
		}
		begin := s.Addr
		for k, a := range append(code, s.Addr+s.Size) {
			if a > begin {
				from, to := min(begin-s.Addr, uint64(len(s.Data))), min(a-s.Addr, uint64(len(s.Data)))
				out = append(out, Segment{begin, s.Data[from:to:to], a - begin, k%2 == 1, s.Write})
			}
			begin = a
		}
	}
	m.Segments = out
}

// At is the memory from an address to the end of its segment's data, and the segment.
func (m *Image) At(addr uint64) ([]byte, *Segment) {
	for k := range m.Segments {
		s := &m.Segments[k]
		if addr >= s.Addr && addr-s.Addr < uint64(len(s.Data)) {
			return s.Data[addr-s.Addr:], s
		}
	}
	return nil, nil
}

// IsCode says that an address is in code.
func (m *Image) IsCode(addr uint64) bool {
	_, s := m.At(addr)
	return s != nil && s.Exec
}

// IsData says that an address is in memory that the program or a library has, and is not code.
func (m *Image) IsData(addr uint64) bool {
	return slices.ContainsFunc(m.Segments, func(s Segment) bool { return !s.Exec && addr >= s.Addr && addr-s.Addr < s.Size })
}

// Holds says that an address is in the image's memory.
func (m *Image) Holds(addr uint64) bool { return m.IsCode(addr) || m.IsData(addr) }

// Word is eight bytes of memory as the file has them; 0 where there are none.
func (m *Image) Word(addr uint64) uint64 {
	if b, _ := m.At(addr); len(b) >= 8 {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// Text is the string at an address, "" where none of at most so many bytes stands.
func (m *Image) Text(addr uint64, most int) string {
	b, _ := m.At(addr)
	return string(b[:max(0, bytes.IndexByte(b[:min(len(b), most+1)], 0))])
}

// Number is a number in read-only data, of four or eight bytes.
func (m *Image) Number(addr uint64, width uint8) (int64, bool) {
	b, s := m.At(addr)
	if s == nil || s.Write || len(b) < 8 {
		return 0, false
	}
	if width == 4 {
		return int64(binary.LittleEndian.Uint32(b)), true
	}
	return int64(binary.LittleEndian.Uint64(b)), true
}
