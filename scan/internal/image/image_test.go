package image

import (
	"debug/elf"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"monban/abi"
	"monban/scan/internal/elftest"
)

func read(t *testing.T, f elftest.File) *Image {
	t.Helper()
	m, err := Read("file", f.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMemory(t *testing.T) {
	m := read(t, elftest.File{Sections: []elftest.Section{
		elftest.Exec(0x1000, []byte("\xc3\x90")), elftest.ReadOnly(0x2000, []byte("text\x00\x27\x00\x00\x00\x01\x00\x00\x00")), elftest.Data(0x3000, elftest.Words(7)),
		{Name: ".bss", Type: elf.SHT_NOBITS, Flags: elf.SHF_WRITE, Addr: 0x4000, Size: 0x100},
	}})
	if m.Machine.Arch != abi.X86_64 || !m.Fixed || m.File.Entry != 0x1000 {
		t.Errorf("for %v, fixed %v, from %#x", m.Machine.Arch, m.Fixed, m.File.Entry)
	}
	for _, c := range []struct {
		addr       uint64
		code, data bool
	}{{0xfff, false, false}, {0x1000, true, false}, {0x1001, true, false}, {0x1002, false, false}, {0x2000, false, true}, {0x3007, false, true},
		{0x3008, false, false}, {0x4000, false, true}, {0x40ff, false, true}, {0x4100, false, false}, {^uint64(0), false, false}} {
		if m.IsCode(c.addr) != c.code || m.IsData(c.addr) != c.data || m.Holds(c.addr) != (c.code || c.data) {
			t.Errorf("%#x: code %v, data %v", c.addr, m.IsCode(c.addr), m.IsData(c.addr))
		}
	}
	if got := m.Text(0x2000, 10); got != "text" {
		t.Errorf("the text is %q", got)
	}
	for _, c := range []struct {
		addr uint64
		most int
	}{{0x2000, 3}, {0x9000, 10}, {0x2004, 10}} {
		if got := m.Text(c.addr, c.most); got != "" {
			t.Errorf("the text at %#x is %q", c.addr, got)
		}
	}
	if n, ok := m.Number(0x2005, 4); n != 39 || !ok {
		t.Errorf("the number of four bytes is %d, %v", n, ok)
	}
	if n, ok := m.Number(0x2005, 8); n != 1<<32+39 || !ok {
		t.Errorf("the number of eight bytes is %d, %v", n, ok)
	}
	for _, addr := range []uint64{0x2008, 0x3000, 0x9000} { // at the end, not constant, nowhere
		if n, ok := m.Number(addr, 4); ok {
			t.Errorf("%#x has the number %d", addr, n)
		}
	}
	if m.Word(0x3000) != 7 || m.Word(0x3001) != 0 || m.Word(0x4000) != 0 {
		t.Errorf("words are %d, %d, %d", m.Word(0x3000), m.Word(0x3001), m.Word(0x4000))
	}
}

// Constants that the linker puts into the segment of the code are not code.
func TestApart(t *testing.T) {
	f := elftest.File{Entry: 0x1010, Sections: []elftest.Section{elftest.Exec(0x1000, make([]byte, 0x30))}}
	m := read(t, f)
	if len(m.Segments) != 1 {
		t.Fatalf("%d segments", len(m.Segments))
	}
	m.File.Sections[1].Addr, m.File.Sections[1].Size = 0x1010, 0x10 // the code is in the middle
	m.Segments = []Segment{{Addr: 0x1000, Data: make([]byte, 0x30), Size: 0x40, Exec: true}, {Addr: 0x5000, Size: 8}}
	m.apart()
	var got []string
	for _, s := range m.Segments {
		got = append(got, strings.Repeat("x", map[bool]int{true: 1}[s.Exec])+"@"+string(rune('0'+s.Addr>>4&15))+"+"+string(rune('0'+s.Size>>4)))
	}
	if want := []string{"@0+1", "x@1+1", "@2+2", "@0+0"}; !slices.Equal(got, want) {
		t.Errorf("segments %q; want %q", got, want)
	}
}

func TestSymbols(t *testing.T) {
	m := read(t, elftest.File{Type: elf.ET_DYN, Soname: "libx.so.1", Needed: []string{"libc.so.6", "libm.so.6"}, RPath: "/r", RunPath: "/s", Interp: "/lib/ld.so",
		Tags:     map[elf.DynTag]uint64{elf.DT_INIT: 0x1000, elf.DT_FINI: 0x1001},
		Sections: []elftest.Section{elftest.Exec(0x1000, []byte("\xc3\xc3\xc3\xc3")), elftest.Data(0x3000, elftest.Words(1, 2))},
		Symbols:  []elftest.Symbol{{Name: "hidden", Addr: 0x1003}, {Name: "local", Addr: 0x3008, Type: elf.STT_OBJECT, Size: 8}},
		Exports: []elftest.Symbol{{Name: "f", Addr: 0x1001, Version: "V1"}, {Name: "f", Addr: 0x1002, Version: "V2"}, {Name: "table", Addr: 0x3000, Type: elf.STT_OBJECT, Size: 8},
			{Name: "chosen", Addr: 0x1000, Type: elf.STT_GNU_IFUNC}, {Name: "elsewhere"}, {Name: "perthread", Addr: 0x10, Type: elf.STT_TLS}},
	})
	if !m.IsLibrary("libx.so.1") || m.IsLibrary("libx.so") || !slices.Equal(m.Needed, []string{"libc.so.6", "libm.so.6"}) ||
		!slices.Equal(m.RPath, []string{"/r"}) || !slices.Equal(m.RunPath, []string{"/s"}) || m.Interpreter != "/lib/ld.so" {
		t.Errorf("it is %q, needs %q, searches %q and %q, and is interpreted by %q", m.Sonames, m.Needed, m.RPath, m.RunPath, m.Interpreter)
	}
	slices.Sort(m.Roots)
	if want := []uint64{0x1000, 0x1001}; !slices.Equal(m.Roots, want) {
		t.Errorf("roots %#x; want %#x", m.Roots, want)
	}
	for _, c := range []struct {
		p    Pointer
		want []uint64
	}{{Pointer{Symbol: "f", Version: "V2"}, []uint64{0x1002}}, {Pointer{Symbol: "f", Version: "V3"}, []uint64{0x1001, 0x1002}}, {Pointer{Symbol: "f"}, []uint64{0x1001, 0x1002}},
		{Pointer{Symbol: "table"}, []uint64{0x3000}}, {Pointer{Symbol: "elsewhere"}, nil}, {Pointer{Symbol: "perthread"}, nil}, {Pointer{Symbol: "hidden"}, nil}} {
		var got []uint64
		for _, e := range m.Defined(c.p) {
			got = append(got, e.Addr)
			if e.Data != (c.p.Symbol == "table") {
				t.Errorf("%s is data: %v", c.p.Symbol, e.Data)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%v is at %#x; want %#x", c.p, got, c.want)
		}
	}
	if want := []uint64{0x1000, 0x1001, 0x1002, 0x3000}; !slices.Equal(m.Exported(), want) {
		t.Errorf("exported %#x; want %#x", m.Exported(), want)
	}
	if m.Function(0x1003) != "hidden" || m.Function(0x1fff) != "0x1fff" || m.Sizes[0x3008] != 8 || !slices.Contains(m.Objects, 0x3008) {
		t.Errorf("functions %q, %q, objects %#x", m.Function(0x1003), m.Function(0x1fff), m.Objects)
	}
}

// Each kind of word that a loader fills in.
func TestRelocations(t *testing.T) {
	for _, c := range []struct {
		machine              elf.Machine
		jump, glob, rel, ifn uint32
	}{
		{elf.EM_X86_64, uint32(elf.R_X86_64_JMP_SLOT), uint32(elf.R_X86_64_GLOB_DAT), uint32(elf.R_X86_64_RELATIVE), uint32(elf.R_X86_64_IRELATIVE)},
		{elf.EM_AARCH64, uint32(elf.R_AARCH64_JUMP_SLOT), uint32(elf.R_AARCH64_GLOB_DAT), uint32(elf.R_AARCH64_RELATIVE), uint32(elf.R_AARCH64_IRELATIVE)},
	} {
		m := read(t, elftest.File{Machine: c.machine, Type: elf.ET_DYN, Exports: []elftest.Symbol{{Name: "ours", Addr: 0x1000}, {Name: "theirs"}},
			Sections: []elftest.Section{elftest.Exec(0x1000, make([]byte, 16)), elftest.Data(0x3000, elftest.Words(0, 0, 0, 0, 0x1004, 0, 0x1008)),
				{Name: ".got", Addr: 0x5000, Flags: elf.SHF_WRITE, Data: elftest.Words(0, 0)},
				{Name: ".relr.dyn", Type: shtRelr, Flags: elf.SHF_ALLOC, Data: elftest.Words(0x3020, 1<<2|1)}},
			Relocs: []elftest.Reloc{{At: 0x3010, Type: c.rel, Addend: 0x1008}, {At: 0x3000, Type: c.jump, Symbol: "theirs"}, {At: 0x3008, Type: c.glob, Symbol: "ours", Addend: 4},
				{At: 0x3018, Type: c.ifn, Addend: 0x100c}},
			Progs: []elf.Prog64{{Type: uint32(elf.PT_GNU_RELRO), Vaddr: 0x3000, Memsz: 0x10}}})
		want := []Pointer{{0x3000, 0, "theirs", "", true}, {0x3008, 0x1004, "ours", "", true}, {0x3010, 0x1008, "", "", false}, {0x3018, 0x100c, "", "", false},
			{0x3020, 0x1004, "", "", false}, {0x3030, 0x1008, "", "", false}}
		if !slices.Equal(m.Pointers, want) {
			t.Errorf("%v: pointers %+v; want %+v", c.machine, m.Pointers, want)
		}
		if !slices.Equal(m.Roots, []uint64{0x100c}) {
			t.Errorf("%v: the loader calls %#x", c.machine, m.Roots)
		}
		if p, ok := m.PointerAt(0x3010); !ok || m.IsConstant(p) {
			t.Errorf("%v: %+v is constant", c.machine, p)
		}
		if p, ok := m.PointerAt(0x3008); !ok || !m.IsConstant(p) {
			t.Errorf("%v: %+v is not constant", c.machine, p)
		}
		if !m.IsConstant(Pointer{At: 0x300f}) || m.IsConstant(Pointer{At: 0x3020}) {
			t.Errorf("%v: what is read-only after relocation ends elsewhere", c.machine)
		}
		if _, ok := m.PointerAt(0x3001); ok {
			t.Errorf("%v: a pointer inside of another", c.machine)
		}
		if !m.InSlots(0x5008) || m.InSlots(0x5010) || m.InSlots(0x3000) || m.Base != 0x5000 {
			t.Errorf("%v: the table of pointers lies elsewhere", c.machine)
		}
	}
}

// In a program that is not relocated, words of data that are addresses are pointers.
func TestFixedPointers(t *testing.T) {
	m := read(t, elftest.File{Sections: []elftest.Section{elftest.Exec(0x1000, make([]byte, 16)),
		elftest.Data(0x3004, append([]byte{1, 1, 1, 1}, elftest.Words(0x1004, 5, 0x3004, 0)...))}})
	if want := []Pointer{{At: 0x3008, Addr: 0x1004}, {At: 0x3018, Addr: 0x3004}}; !slices.Equal(m.Pointers, want) {
		t.Errorf("pointers %+v; want %+v", m.Pointers, want)
	}
}

// What the loader calls by tables, or copies for each thread.
func TestRootTables(t *testing.T) {
	rel := uint32(elf.R_X86_64_RELATIVE)
	f := elftest.File{Type: elf.ET_DYN, Sections: []elftest.Section{elftest.Exec(0x1000, make([]byte, 32)),
		{Name: ".init_array", Flags: elf.SHF_WRITE, Addr: 0x3000, Data: elftest.Words(0)}, {Name: ".other", Flags: elf.SHF_WRITE, Addr: 0x4000, Data: elftest.Words(0, 0, 0)}},
		Relocs: []elftest.Reloc{{At: 0x3000, Type: rel, Addend: 0x1001}, {At: 0x4000, Type: rel, Addend: 0x1002}, {At: 0x4008, Type: rel, Addend: 0x1003}, {At: 0x4010, Type: rel, Addend: 0x1004}},
		Tags:   map[elf.DynTag]uint64{elf.DT_FINI_ARRAY: 0x4000, elf.DT_FINI_ARRAYSZ: 8},
		Progs:  []elf.Prog64{{Type: uint32(elf.PT_TLS), Vaddr: 0x4010, Filesz: 8, Memsz: 16}}}
	var got []uint64
	for _, p := range read(t, f).Rooted {
		got = append(got, p.Addr)
	}
	if want := []uint64{0x1001, 0x1002, 0x1004}; !slices.Equal(got, want) {
		t.Errorf("roots %#x; want %#x", got, want)
	}
}

func TestBadFiles(t *testing.T) {
	code := elftest.Exec(0x1000, []byte("\xc3"))
	whole := elftest.File{Sections: []elftest.Section{code}}
	long := elftest.File{Sections: []elftest.Section{elftest.Exec(0x1000, make([]byte, 1000))}}.Bytes()
	for _, c := range []struct {
		name string
		data []byte
		why  string
	}{
		{"empty", nil, "not an ELF file"},
		{"text", []byte("text"), "not an ELF file"},
		{"script", []byte("#! /bin/sh -e\nls\n"), "not an ELF file, but a script for /bin/sh -e"},
		{"no header", []byte(elf.ELFMAG), "truncated or malformed ELF file: "},
		{"cut header", whole.Bytes()[:50], "truncated or malformed ELF file: "},
		{"cut segments", whole.Bytes()[:100], "truncated or malformed ELF file: "},
		{"relocatable", elftest.File{Type: elf.ET_REL, Sections: []elftest.Section{code}}.Bytes(), "neither a program nor a shared library (ET_REL)"},
		{"for another machine", elftest.File{Machine: elf.EM_S390, Sections: []elftest.Section{code}}.Bytes(), "for EM_S390 (ELFCLASS64, ELFDATA2LSB): x86_64 and aarch64 are what can be scanned"},
		{"data only", elftest.File{Sections: []elftest.Section{elftest.Data(0x1000, []byte("x"))}}.Bytes(), "no code in it"},
		{"nothing loaded", elftest.File{Entry: 1, Progs: []elf.Prog64{{Type: uint32(elf.PT_NOTE)}}}.Bytes(), "no code in it"},
		{"a segment behind the end", elftest.File{Sections: []elftest.Section{code}, Progs: []elf.Prog64{{Type: uint32(elf.PT_LOAD), Off: 1 << 20, Filesz: 1, Memsz: 1}}}.Bytes(),
			"truncated: a segment of 1 bytes begins at byte 1048576 of "},
		{"a segment larger than the file", elftest.File{Sections: []elftest.Section{code}, Progs: []elf.Prog64{{Type: uint32(elf.PT_LOAD), Filesz: 1 << 50, Memsz: 1 << 50}}}.Bytes(), "truncated: a segment of "},
		{"a segment whose end wraps", elftest.File{Sections: []elftest.Section{code}, Progs: []elf.Prog64{{Type: uint32(elf.PT_LOAD), Off: 64, Filesz: ^uint64(0) - 8, Memsz: ^uint64(0)}}}.Bytes(), "t"},
		{"a segment of a terabyte", elftest.File{Sections: []elftest.Section{code}, Progs: []elf.Prog64{{Type: uint32(elf.PT_LOAD), Memsz: 1<<40 + 1}}}.Bytes(), "malformed ELF file: a segment has an impossible size"},
		{"a segment beyond memory", elftest.File{Sections: []elftest.Section{code}, Progs: []elf.Prog64{{Type: uint32(elf.PT_LOAD), Vaddr: 1<<56 + 1}}}.Bytes(), "malformed ELF file: a segment has an impossible size"},
		{"more in the file than in memory", elftest.File{Sections: []elftest.Section{code}, Progs: []elf.Prog64{{Type: uint32(elf.PT_LOAD), Filesz: 2, Memsz: 1}}}.Bytes(), "malformed ELF file: a segment has an impossible size"},
		{"dynamic without sections", elftest.File{Sections: []elftest.Section{code}, Soname: "x", Stripped: true}.Bytes(), "no section headers: its libraries and relocations cannot be read"},
		{"sections behind the end", long[:len(long)-100], "truncated or malformed ELF file: "},
	} {
		_, err := Read("prog", c.data)
		bad, ok := errors.AsType[*BadFileError](err)
		if !ok || bad.File != "prog" || !strings.HasPrefix(bad.Why, c.why) || (bad.Interpreter != "") != (c.name == "script") {
			t.Errorf("%s: %v; want prog: %s", c.name, err, c.why)
		}
	}
	cut := elftest.File{Sections: []elftest.Section{code, {Name: ".note", Data: make([]byte, 8)}}}
	m := read(t, cut)
	m.File.Sections[2].Offset = 1 << 40
	if err := m.complete(1000); err == nil || err.Error() != "file: truncated: section .note ends behind the file's 1000 bytes" {
		t.Errorf("a section behind the end: %v", err)
	}
}

// Every prefix of a file, and every file with a byte changed, is read or refused, with no panic.
func TestBrokenFiles(t *testing.T) {
	frame := elftest.EHFrame(0x4000, false, elftest.Frame{Start: 0x1000, Length: 8, LSDA: 0x5000})
	whole := elftest.File{Type: elf.ET_DYN, Soname: "x", Needed: []string{"y"}, Exports: []elftest.Symbol{{Name: "f", Addr: 0x1000, Version: "V"}},
		Symbols: []elftest.Symbol{{Name: "g", Addr: 0x1004}}, Relocs: []elftest.Reloc{{At: 0x3000, Type: 8, Addend: 0x1000}},
		Sections: []elftest.Section{elftest.Exec(0x1000, make([]byte, 16)), elftest.Data(0x3000, elftest.Words(1)), frame, elftest.ReadOnly(0x5000, elftest.LandingPads(1, 2))}}.Bytes()
	if _, err := Read("whole", whole); err != nil {
		t.Fatal(err)
	}
	refused := 0
	try := func(data []byte) {
		m, err := Read("broken", data)
		if _, ok := errors.AsType[*BadFileError](err); err != nil && !ok || err == nil && m == nil {
			t.Errorf("an error of another kind: %v", err)
		} else if ok {
			refused++
		}
	}
	for n := range whole {
		try(whole[:n])
		for _, b := range []byte{0, 0x7f, 0xff} {
			data := slices.Clone(whole)
			data[n] = b
			try(data)
		}
	}
	if refused < len(whole) {
		t.Errorf("only %d of %d broken files are refused", refused, 4*len(whole))
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good")
	if err := os.WriteFile(good, elftest.File{Sections: []elftest.Section{elftest.Exec(0x1000, []byte("\xc3"))}}.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if m, err := Open(good, "shown"); err != nil || m.Name != "shown" {
		t.Errorf("a good file: %v", err)
	}
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, maxSize+1); err != nil {
		t.Skipf("needs large files: %v", err)
	}
	for path, want := range map[string]string{filepath.Join(dir, "none"): "", dir: "shown: not a regular file", large: "shown: larger than 1073741824 bytes"} {
		if _, err := Open(path, "shown"); err == nil || want != "" && err.Error() != want {
			t.Errorf("%s: %v", path, err)
		}
	}
}
