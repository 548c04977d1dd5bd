// Package elftest makes ELF files of a few bytes for tests, which need no compiler then and can have what no compiler
// makes.
package elftest

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"slices"
)

// A File is an ELF file to be made, for x86-64 unless said. What is empty is not in it.
type File struct {
	Machine  elf.Machine
	Type     elf.Type // ET_EXEC unless said
	Entry    uint64   // where the first executable section begins unless said
	Sections []Section
	Symbols  []Symbol // of .symtab
	Exports  []Symbol // of .dynsym
	Relocs   []Reloc
	Interp   string
	Soname   string
	Needed   []string
	RPath    string
	RunPath  string
	Tags     map[elf.DynTag]uint64
	Progs    []elf.Prog64 // beside those that load sections
	Stripped bool         // no section headers
}

// A Section is loaded at an address, by a segment of its own, unless that is 0.
type Section struct {
	Name  string
	Type  elf.SectionType // SHT_PROGBITS unless said
	Flags elf.SectionFlag // beside SHF_ALLOC
	Addr  uint64
	Data  []byte
	Size  uint64 // of SHT_NOBITS, in bytes
	Link  uint32 // the number of another section

	info, entry uint32
}

// A Symbol is defined at an address, or elsewhere where that is 0.
type Symbol struct {
	Name    string
	Addr    uint64
	Size    uint64
	Type    elf.SymType // STT_FUNC unless said
	Version string      // only of those in Exports
}

// A Reloc is one of .rela.dyn, by the number of its type.
type Reloc struct {
	At     uint64
	Type   uint32
	Symbol string // of Exports; "" for none
	Addend uint64
}

// Words are eight bytes each, in little endian.
func Words(words ...uint64) (b []byte) {
	for _, w := range words {
		b = binary.LittleEndian.AppendUint64(b, w)
	}
	return b
}

// Ints are four bytes each, in little endian.
func Ints(words ...int64) (b []byte) {
	for _, w := range words {
		b = binary.LittleEndian.AppendUint32(b, uint32(w))
	}
	return b
}

// Exec, Data and ReadOnly are sections that are loaded.
func Exec(addr uint64, data []byte) Section {
	return Section{Name: ".text", Addr: addr, Data: data, Flags: elf.SHF_EXECINSTR}
}

// Data can be written to.
func Data(addr uint64, data []byte) Section {
	return Section{Name: ".data", Addr: addr, Data: data, Flags: elf.SHF_WRITE}
}

// ReadOnly cannot.
func ReadOnly(addr uint64, data []byte) Section {
	return Section{Name: ".rodata", Addr: addr, Data: data}
}

// table is a table of strings.
type table struct{ bytes.Buffer }

func (t *table) add(s string) uint32 {
	if t.Len() == 0 {
		t.WriteByte(0)
	}
	n := t.Len()
	t.WriteString(s + "\x00")
	return uint32(n)
}

func symbolTable(symbols []Symbol, names *table) (b []byte) {
	b = make([]byte, elf.Sym64Size)
	for _, s := range symbols {
		t := s.Type
		if t == 0 {
			t = elf.STT_FUNC
		}
		section := elf.SHN_ABS // where, does not matter, but that it is somewhere
		if s.Addr == 0 {
			section = elf.SHN_UNDEF
		}
		b, _ = binary.Append(b, binary.LittleEndian, elf.Sym64{Name: names.add(s.Name), Info: elf.ST_INFO(elf.STB_GLOBAL, t), Shndx: uint16(section), Value: s.Addr, Size: s.Size})
	}
	return b
}

// dynamic adds the sections for the loader.
func (f *File) dynamic(sections []Section) []Section {
	var names table
	first := uint32(len(sections) + 1) // the number of .dynstr
	symbols := symbolTable(f.Exports, &names)
	var versions []byte
	versioned := slices.ContainsFunc(f.Exports, func(s Symbol) bool { return s.Version != "" })
	var known []string
	versions = binary.LittleEndian.AppendUint16(versions, 0)
	for _, s := range f.Exports {
		k := uint16(1) // global
		if s.Version != "" {
			if !slices.Contains(known, s.Version) {
				known = append(known, s.Version)
			}
			k = uint16(slices.Index(known, s.Version) + 2)
		}
		versions = binary.LittleEndian.AppendUint16(versions, k)
	}
	var defined []byte
	for k, v := range known { // Elf64_Verdef, and one Elf64_Verdaux each
		defined, _ = binary.Append(defined, binary.LittleEndian, struct {
			Version, Flags, Ndx, Cnt uint16
			Hash, Aux, Next          uint32
			Name, NoMore             uint32
		}{1, 0, uint16(k + 2), 1, 0, 20, map[bool]uint32{true: 28}[k+1 < len(known)], names.add(v), 0})
	}
	var dyn []byte
	tag := func(t elf.DynTag, v uint64) { dyn = append(dyn, Words(uint64(t), v)...) }
	for _, n := range f.Needed {
		tag(elf.DT_NEEDED, uint64(names.add(n)))
	}
	for t, s := range map[elf.DynTag]string{elf.DT_SONAME: f.Soname, elf.DT_RPATH: f.RPath, elf.DT_RUNPATH: f.RunPath} {
		if s != "" {
			tag(t, uint64(names.add(s)))
		}
	}
	for t, v := range f.Tags {
		tag(t, v)
	}
	tag(elf.DT_NULL, 0)
	var rela []byte
	for _, r := range f.Relocs {
		n := slices.IndexFunc(f.Exports, func(s Symbol) bool { return s.Name == r.Symbol }) + 1
		rela = append(rela, Words(r.At, uint64(n)<<32|uint64(r.Type), r.Addend)...)
	}
	if names.Len() == 0 {
		names.WriteByte(0)
	}
	sections = append(sections,
		Section{Name: ".dynstr", Type: elf.SHT_STRTAB, Data: names.Bytes()},
		Section{Name: ".dynsym", Type: elf.SHT_DYNSYM, Data: symbols, Link: first, info: 1, entry: elf.Sym64Size},
		Section{Name: ".dynamic", Type: elf.SHT_DYNAMIC, Data: dyn, Link: first, entry: 16})
	if rela != nil {
		sections = append(sections, Section{Name: ".rela.dyn", Type: elf.SHT_RELA, Flags: elf.SHF_ALLOC, Data: rela, Link: first + 1, entry: 24})
	}
	if versioned {
		sections = append(sections, Section{Name: ".gnu.version", Type: elf.SHT_GNU_VERSYM, Data: versions, Link: first + 1, entry: 2},
			Section{Name: ".gnu.version_d", Type: elf.SHT_GNU_VERDEF, Data: defined, Link: first, info: uint32(len(known))})
	}
	return sections
}

// Bytes is the file.
func (f File) Bytes() []byte {
	if f.Machine == 0 {
		f.Machine = elf.EM_X86_64
	}
	if f.Type == 0 {
		f.Type = elf.ET_EXEC
	}
	sections := slices.Clone(f.Sections)
	if f.Interp != "" {
		sections = append(sections, Section{Name: ".interp", Data: []byte(f.Interp + "\x00")})
	}
	if f.Exports != nil || f.Relocs != nil || f.Soname != "" || f.Needed != nil || f.RPath != "" || f.RunPath != "" || f.Tags != nil {
		sections = f.dynamic(sections)
		f.Progs = append(slices.Clip(f.Progs), elf.Prog64{Type: uint32(elf.PT_DYNAMIC)})
	}
	if f.Symbols != nil {
		var names table
		data := symbolTable(f.Symbols, &names)
		sections = append(sections, Section{Name: ".symtab", Type: elf.SHT_SYMTAB, Data: data, Link: uint32(len(sections) + 2), info: 1, entry: elf.Sym64Size},
			Section{Name: ".strtab", Type: elf.SHT_STRTAB, Data: names.Bytes()})
	}
	var names table
	headers := []elf.Section64{{}}
	progs := f.Progs
	loads := 0
	for _, s := range sections {
		if s.Addr != 0 {
			loads++
		}
	}
	const headerSize, progSize = 64, 56
	off := uint64(headerSize + progSize*(len(f.Progs)+loads))
	var body bytes.Buffer
	for _, s := range sections {
		h := elf.Section64{Name: names.add(s.Name), Type: uint32(s.Type), Flags: uint64(s.Flags), Addr: s.Addr, Off: off + uint64(body.Len()),
			Size: uint64(len(s.Data)), Link: s.Link, Info: s.info, Entsize: uint64(s.entry)}
		if s.Type == 0 {
			h.Type = uint32(elf.SHT_PROGBITS)
		}
		if s.Type == elf.SHT_NOBITS {
			h.Size = s.Size
		}
		if s.Addr != 0 {
			h.Flags |= uint64(elf.SHF_ALLOC)
			p := elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R), Off: h.Off, Vaddr: s.Addr, Filesz: uint64(len(s.Data)), Memsz: h.Size}
			if s.Flags&elf.SHF_EXECINSTR != 0 {
				p.Flags |= uint32(elf.PF_X)
				if f.Entry == 0 && f.Type == elf.ET_EXEC {
					f.Entry = s.Addr
				}
			}
			if s.Flags&elf.SHF_WRITE != 0 {
				p.Flags |= uint32(elf.PF_W)
			}
			progs = append(progs, p)
		}
		body.Write(s.Data)
		headers = append(headers, h)
	}
	last := elf.Section64{Name: names.add(".shstrtab"), Type: uint32(elf.SHT_STRTAB), Off: off + uint64(body.Len())}
	last.Size = uint64(names.Len())
	body.Write(names.Bytes())
	headers = append(headers, last)
	h := elf.Header64{Type: uint16(f.Type), Machine: uint16(f.Machine), Version: 1, Entry: f.Entry, Phoff: headerSize, Ehsize: headerSize,
		Phentsize: progSize, Phnum: uint16(len(progs)), Shoff: off + uint64(body.Len()), Shentsize: 64, Shnum: uint16(len(headers)), Shstrndx: uint16(len(headers) - 1)}
	copy(h.Ident[:], "\x7fELF\x02\x01\x01")
	if f.Stripped {
		h.Shoff, h.Shnum, h.Shstrndx = 0, 0, 0
	}
	b, _ := binary.Append(nil, binary.LittleEndian, h)
	b, _ = binary.Append(b, binary.LittleEndian, progs)
	b = append(b, body.Bytes()...)
	if !f.Stripped {
		b, _ = binary.Append(b, binary.LittleEndian, headers)
	}
	return b
}
