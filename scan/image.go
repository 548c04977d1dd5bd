package scan

import (
	"bytes"
	"cmp"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"monban/internal/regular"
)

// maxImage is the largest file that is read, in bytes.
const maxImage = 1 << 30

// A segment is a loaded part of a file. Its data may be shorter than memory is.
type segment struct {
	addr  uint64
	data  []byte
	size  uint64 // in memory
	exec  bool
	write bool
}

// A pointer is a word of data that the loader fills in: with the address of a symbol, or of a place in the same image.
type pointer struct {
	at     uint64
	addr   uint64 // 0 where the symbol is somebody else's
	symbol string
	ver    string // of the symbol
	got    bool   // read only by code that names the word
}

// An image is one ELF file as the analysis sees it. Addresses are those of the file.
type image struct {
	path      string
	name      string // as the loader knows it
	file      *elf.File
	mach      *machine
	segments  []segment
	pointers  []pointer // by address
	exports   map[string][]export
	objects   []uint64          // where data begins that has a symbol, sorted
	sizes     map[uint64]uint64 // of such data, in bytes, where the symbol says so
	starts    []uint64          // of functions, sorted
	gap       map[uint64]bool   // starts of code that no table knows; it may hold several functions
	ends      map[uint64]uint64
	pads      map[uint64][]uint64 // landing pads by function
	names     map[uint64]string
	roots     []uint64  // what the loader calls, or what anybody may
	rooted    []pointer // what the loader calls or copies by tables of pointers
	goText    uint64    // where the code of Go's compiler is; 0 without
	goEnd     uint64
	fixed     bool // not relocated: absolute addresses stand in code and data
	parts     []*part
	mentioned []uint64 // addresses that code mentions, sorted
	base      uint64   // of the table of pointers, 0 without
	gots      []*elf.Section
	order     int // in the search for symbols
}

type export struct {
	addr    uint64
	version string
	ifunc   bool
	data    bool
}

// openImage reads an ELF file.
func openImage(path, name string) (*image, error) {
	f, err := regular.Open(path)
	if errors.Is(err, regular.ErrKind) {
		return nil, &BadFileError{name, "not a regular file"}
	} else if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case st.Size() > maxImage:
		return nil, &BadFileError{name, fmt.Sprintf("larger than %d bytes", maxImage)}
	}
	data := make([]byte, st.Size())
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return readImage(path, name, data)
}

// readImage takes a file apart. debug/elf and debug/gosym may panic on a malformed one, and that becomes an error.
func readImage(path, name string, data []byte) (m *image, err error) {
	defer func() {
		if p := recover(); p != nil {
			m, err = nil, &BadFileError{name, fmt.Sprintf("malformed ELF file: %v", p)}
		}
	}()
	if !bytes.HasPrefix(data, []byte(elf.ELFMAG)) {
		mend := "name a program"
		if bytes.HasPrefix(data, []byte("#!")) {
			line, _, _ := bytes.Cut(data[2:min(len(data), 200)], []byte("\n"))
			mend = fmt.Sprintf("a script: scan its interpreter, %s", bytes.TrimSpace(line))
		}
		return nil, &BadFileError{name, "not an ELF file (" + mend + ")"}
	}
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return nil, &BadFileError{name, fmt.Sprintf("truncated or malformed ELF file: %v", err)}
	}
	m = &image{path: path, name: name, file: f, exports: map[string][]export{}, ends: map[uint64]uint64{}, gap: map[uint64]bool{},
		pads: map[uint64][]uint64{}, names: map[uint64]string{}, sizes: map[uint64]uint64{}, fixed: f.Type == elf.ET_EXEC}
	switch {
	case f.Class == elf.ELFCLASS64 && f.Data == elf.ELFDATA2LSB && f.Machine == elf.EM_X86_64:
		m.mach = &x86
	case f.Class == elf.ELFCLASS64 && f.Data == elf.ELFDATA2LSB && f.Machine == elf.EM_AARCH64:
		m.mach = &arm64
	default:
		return nil, &BadFileError{name, fmt.Sprintf("for %v (%v, %v): x86_64 and aarch64 are what can be scanned", f.Machine, f.Class, f.Data)}
	}
	if f.Type != elf.ET_EXEC && f.Type != elf.ET_DYN {
		return nil, &BadFileError{name, fmt.Sprintf("neither a program nor a shared library (%v)", f.Type)}
	}
	for _, p := range f.Progs {
		if p.Type != elf.PT_LOAD {
			continue
		}
		if p.Off > uint64(len(data)) || p.Filesz > uint64(len(data))-p.Off {
			return nil, &BadFileError{name, fmt.Sprintf("truncated: a segment of %d bytes begins at byte %d of %d", p.Filesz, p.Off, len(data))}
		}
		if p.Memsz > 1<<40 || p.Vaddr > 1<<56 || p.Filesz > p.Memsz {
			return nil, &BadFileError{name, "malformed ELF file: a segment has an impossible size"}
		}
		m.segments = append(m.segments, segment{p.Vaddr, data[p.Off : p.Off+p.Filesz : p.Off+p.Filesz], p.Memsz, p.Flags&elf.PF_X != 0, p.Flags&elf.PF_W != 0})
	}
	m.apart()
	if !slices.ContainsFunc(m.segments, func(s segment) bool { return s.exec && len(s.data) > 0 }) {
		return nil, &BadFileError{name, "no code in it"}
	}
	if err := m.complete(len(data)); err != nil {
		return nil, err
	}
	m.symbols()
	m.relocations()
	m.rootTables()
	m.functions()
	return m, nil
}

// complete says whether the sections, which hold what the analysis lives on, are in the file.
func (m *image) complete(size int) error {
	dynamic := func(p *elf.Prog) bool { return p.Type == elf.PT_DYNAMIC }
	if len(m.file.Sections) == 0 && slices.ContainsFunc(m.file.Progs, dynamic) {
		return &BadFileError{m.name, "no section headers: its libraries and relocations cannot be read"}
	}
	for _, s := range m.file.Sections {
		if s.Type != elf.SHT_NOBITS && s.Type != elf.SHT_NULL && (s.Offset > uint64(size) || s.FileSize > uint64(size)-s.Offset) {
			return &BadFileError{m.name, fmt.Sprintf("truncated: section %s ends behind the file's %d bytes", s.Name, size)}
		}
	}
	return nil
}

// apart takes constants out of executable segments, as far as sections tell: without -z separate-code, which is not the default for ARM,
// the linker puts both into one.
func (m *image) apart() {
	var out []segment
	for _, s := range m.segments {
		if !s.exec {
			out = append(out, s)
			continue
		}
		var code []uint64 // where it begins and ends, by turns
		for _, c := range m.file.Sections {
			if c.Flags&elf.SHF_EXECINSTR != 0 && c.Addr >= s.addr && c.Size > 0 && c.Size <= s.size && c.Addr-s.addr <= s.size-c.Size {
				code = append(code, c.Addr, c.Addr+c.Size)
			}
		}
		if code == nil || !slices.IsSorted(code) {
			out = append(out, s)
			continue
		}
		begin := s.addr
		for k, a := range append(code, s.addr+s.size) {
			if a > begin {
				from, to := min(begin-s.addr, uint64(len(s.data))), min(a-s.addr, uint64(len(s.data)))
				out = append(out, segment{begin, s.data[from:to:to], a - begin, k%2 == 1, s.write})
			}
			begin = a
		}
	}
	m.segments = out
}

// at is the memory from an address to the end of its segment's data, and the segment.
func (m *image) at(addr uint64) ([]byte, *segment) {
	for k := range m.segments {
		s := &m.segments[k]
		if addr >= s.addr && addr-s.addr < uint64(len(s.data)) {
			return s.data[addr-s.addr:], s
		}
	}
	return nil, nil
}

func (m *image) isCode(addr uint64) bool {
	_, s := m.at(addr)
	return s != nil && s.exec
}

// isData says that an address is in memory that the program or a library has, and is not code.
func (m *image) isData(addr uint64) bool {
	return slices.ContainsFunc(m.segments, func(s segment) bool { return !s.exec && addr >= s.addr && addr-s.addr < s.size })
}

// holds says that an address is in the image's memory.
func (m *image) holds(addr uint64) bool { return m.isCode(addr) || m.isData(addr) }

func (m *image) word(addr uint64) uint64 {
	if b, _ := m.at(addr); len(b) >= 8 {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// section is a section's content; nil where there is none.
func (m *image) section(name string) ([]byte, uint64) {
	s := m.file.Section(name)
	if s == nil || s.Type == elf.SHT_NOBITS {
		return nil, 0
	}
	b, err := s.Data()
	if err != nil {
		return nil, 0
	}
	return b, s.Addr
}

func (m *image) symbols() {
	dynamic, _ := m.file.DynamicSymbols() // none is no error for a static program
	static, _ := m.file.Symbols()
	for i, s := range slices.Concat(dynamic, static) {
		t := elf.ST_TYPE(s.Info)
		if s.Section == elf.SHN_UNDEF || s.Value == 0 || t == elf.STT_TLS || t == elf.STT_SECTION || t == elf.STT_FILE {
			continue
		}
		code := m.isCode(s.Value) && t != elf.STT_OBJECT
		if i < len(dynamic) {
			m.exports[s.Name] = append(m.exports[s.Name], export{s.Value, s.Version, t == elf.STT_GNU_IFUNC, !code})
		}
		switch {
		case code && (t == elf.STT_FUNC || t == elf.STT_GNU_IFUNC):
			m.starts = append(m.starts, s.Value)
			m.names[s.Value] = s.Name
		case !code && t == elf.STT_OBJECT && m.isData(s.Value):
			m.objects = append(m.objects, s.Value)
			m.sizes[s.Value] = max(m.sizes[s.Value], s.Size)
		}
	}
	for _, tag := range []elf.DynTag{elf.DT_INIT, elf.DT_FINI} {
		if v, err := m.file.DynValue(tag); err == nil {
			m.roots = append(m.roots, v...)
		}
	}
}

// inGot says that an address is in a table of single words, which code names one by one.
func (m *image) inGot(addr uint64) bool {
	return slices.ContainsFunc(m.gots, func(s *elf.Section) bool { return addr >= s.Addr && addr-s.Addr < s.Size })
}

func (m *image) pointerAt(addr uint64) (pointer, bool) {
	i, ok := slices.BinarySearchFunc(m.pointers, addr, func(p pointer, a uint64) int { return cmp.Compare(p.at, a) })
	if !ok {
		return pointer{}, false
	}
	return m.pointers[i], true
}
