// Package image takes an ELF file apart as the dynamic loader and an analysis of its code see it: memory, the pointers
// that the loader fills in, symbols, where functions begin and end, where exceptions enter them, and what Go's linker
// says of them.
package image

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"slices"

	"monban/internal/regular"
	"monban/scan/internal/decode"
)

// maxSize is the largest file that is read, in bytes.
const maxSize = 1 << 30

// A BadFileError says why a file cannot be scanned.
type BadFileError struct {
	File, Why   string
	Interpreter string // of a script, with its arguments
}

func (e *BadFileError) Error() string { return e.File + ": " + e.Why }

// An Image is one ELF file as the analysis sees it. Addresses are those of the file.
type Image struct {
	Name     string // as the loader knows it
	File     *elf.File
	Machine  *decode.Machine
	Fixed    bool // not relocated: absolute addresses stand in code and data
	Segments []Segment
	Pointers []Pointer // by address
	Exports  map[string][]Export
	Objects  []uint64          // where data begins that has a symbol
	Sizes    map[uint64]uint64 // of such data, in bytes, where the symbol says so
	Starts   []uint64          // of functions that a table or a symbol names, in no order
	Framed   int               // how many of them the unwind tables name
	Ends     map[uint64]uint64
	Pads     map[uint64][]uint64 // landing pads by function
	Names    map[uint64]string
	Roots    []uint64  // what the loader calls, or what anybody may
	Rooted   []Pointer // what the loader calls or copies by tables of pointers
	Base     uint64    // of the table of pointers, 0 without
	GoText   uint64    // where the code of Go's compiler is; 0 without
	GoEnd    uint64

	Interpreter    string // "" without
	Sonames        []string
	Needed         []string // libraries
	RunPath, RPath []string

	slots []*elf.Section // tables of single pointers
}

// Open reads an ELF file. It fails with a BadFileError or that of the file system.
func Open(path, name string) (*Image, error) {
	f, err := regular.Open(path)
	if errors.Is(err, regular.ErrKind) {
		return nil, &BadFileError{File: name, Why: "not a regular file"}
	} else if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case st.Size() > maxSize:
		return nil, &BadFileError{File: name, Why: fmt.Sprintf("larger than %d bytes", maxSize)}
	}
	data := make([]byte, st.Size())
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return Read(name, data)
}

// Read takes a file apart. It fails with a BadFileError: debug/elf and debug/gosym may panic on a malformed one, too.
func Read(name string, data []byte) (m *Image, err error) {
	defer func() {
		if p := recover(); p != nil {
			m, err = nil, &BadFileError{File: name, Why: fmt.Sprintf("malformed ELF file: %v", p)}
		}
	}()
	if !bytes.HasPrefix(data, []byte(elf.ELFMAG)) {
		return nil, notELF(name, data)
	}
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return nil, &BadFileError{File: name, Why: fmt.Sprintf("truncated or malformed ELF file: %v", err)}
	}
	m = &Image{Name: name, File: f, Exports: map[string][]Export{}, Ends: map[uint64]uint64{}, Pads: map[uint64][]uint64{},
		Names: map[uint64]string{}, Sizes: map[uint64]uint64{}, Fixed: f.Type == elf.ET_EXEC}
	switch {
	case f.Class == elf.ELFCLASS64 && f.Data == elf.ELFDATA2LSB && f.Machine == elf.EM_X86_64:
		m.Machine = decode.X86()
	case f.Class == elf.ELFCLASS64 && f.Data == elf.ELFDATA2LSB && f.Machine == elf.EM_AARCH64:
		m.Machine = decode.ARM64()
	default:
		return nil, m.bad("for %v (%v, %v): x86_64 and aarch64 are what can be scanned", f.Machine, f.Class, f.Data)
	}
	if f.Type != elf.ET_EXEC && f.Type != elf.ET_DYN {
		return nil, m.bad("neither a program nor a shared library (%v)", f.Type)
	}
	if err := m.load(data); err != nil {
		return nil, err
	}
	if err := m.complete(len(data)); err != nil {
		return nil, err
	}
	m.dynamic()
	m.symbols()
	m.relocations()
	m.rootTables()
	m.pclntab()
	m.Framed = m.unwind()
	return m, nil
}

func (m *Image) bad(format string, args ...any) error {
	return &BadFileError{File: m.Name, Why: fmt.Sprintf(format, args...)}
}

// notELF tells scripts from other files.
func notELF(name string, data []byte) error {
	const longest = 200 // of a script's first line, in bytes
	rest, script := bytes.CutPrefix(data, []byte("#!"))
	if !script {
		return &BadFileError{File: name, Why: "not an ELF file"}
	}
	line, _, _ := bytes.Cut(rest[:min(len(rest), longest)], []byte("\n"))
	interpreter := string(bytes.TrimSpace(line))
	return &BadFileError{File: name, Why: "not an ELF file, but a script for " + interpreter, Interpreter: interpreter}
}

// complete says whether the sections, which hold what the analysis lives on, are in the file.
func (m *Image) complete(size int) error {
	dynamic := func(p *elf.Prog) bool { return p.Type == elf.PT_DYNAMIC }
	if len(m.File.Sections) == 0 && slices.ContainsFunc(m.File.Progs, dynamic) {
		return m.bad("no section headers: its libraries and relocations cannot be read")
	}
	for _, s := range m.File.Sections {
		if s.Type != elf.SHT_NOBITS && s.Type != elf.SHT_NULL && (s.Offset > uint64(size) || s.FileSize > uint64(size)-s.Offset) {
			return m.bad("truncated: section %s ends behind the file's %d bytes", s.Name, size)
		}
	}
	return nil
}

// Section is a section's content; nil where there is none.
func (m *Image) Section(name string) ([]byte, uint64) {
	s := m.File.Section(name)
	if s == nil || s.Type == elf.SHT_NOBITS {
		return nil, 0
	}
	b, err := s.Data()
	if err != nil {
		return nil, 0
	}
	return b, s.Addr
}

// dynamic reads what the file says to the loader.
func (m *Image) dynamic() {
	interp, _ := m.Section(".interp")
	m.Interpreter = string(bytes.TrimRight(interp, "\x00"))
	for tag, to := range map[elf.DynTag]*[]string{elf.DT_SONAME: &m.Sonames, elf.DT_NEEDED: &m.Needed, elf.DT_RUNPATH: &m.RunPath, elf.DT_RPATH: &m.RPath} {
		*to, _ = m.File.DynString(tag) // none is not an error for a static program
	}
	for _, tag := range []elf.DynTag{elf.DT_INIT, elf.DT_FINI} {
		if v, err := m.File.DynValue(tag); err == nil {
			m.Roots = append(m.Roots, v...)
		}
	}
}

// IsLibrary says that the file is known by a library's name.
func (m *Image) IsLibrary(soname string) bool { return slices.Contains(m.Sonames, soname) }
