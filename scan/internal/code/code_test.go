package code

import (
	"context"
	"debug/elf"
	"fmt"
	"slices"
	"strings"
	"testing"

	. "monban/scan/internal/elftest"
	"monban/scan/internal/image"
)

func read(t *testing.T, f File) *Code {
	t.Helper()
	m, err := image.Read("file", f.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	c, err := Read(context.Background(), m)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// program is one with code at 0x1000.
func program(pieces ...Piece) File {
	return File{Sections: []Section{Exec(0x1000, Asm(0x1000, pieces...))}}
}

func starts(c *Code) (out []uint64) {
	for _, p := range c.parts {
		out = append(out, p.Start)
	}
	return out
}

// Where functions begin, by each of the signs that there are.
func TestFunctions(t *testing.T) {
	blank := func(n int) []byte { return []byte(strings.Repeat("\xc3", n)) }
	for _, c := range []struct {
		name string
		file File
		want []uint64
	}{
		{"symbols", File{Sections: []Section{Exec(0x1000, blank(32))}, Symbols: []Symbol{{Name: "f", Addr: 0x1008}, {Name: "data", Addr: 0x1009, Type: elf.STT_OBJECT}}}, []uint64{0x1000, 0x1008}},
		{"the entry", File{Entry: 0x1004, Sections: []Section{Exec(0x1000, blank(32))}}, []uint64{0x1000, 0x1004}},
		{"what is called, where no table tells", program(Call(0x1008), Align(8), Raw("\xc3")), []uint64{0x1000, 0x1008}},
		{"stubs", File{Entry: 0x1000, Sections: []Section{Exec(0x1000, blank(4)), {Name: ".plt", Addr: 0x2000, Flags: elf.SHF_EXECINSTR, Data: blank(48)},
			{Name: ".plt.got", Addr: 0x3000, Flags: elf.SHF_EXECINSTR, Data: blank(16)}}}, []uint64{0x1000, 0x2000, 0x2010, 0x2020, 0x3000, 0x3008}},
		{"pointers", File{Sections: []Section{Exec(0x1000, blank(32)), Data(0x2000, Words(0x1010, 0x2000, 5))}}, []uint64{0x1000, 0x1010}},
		{"unwind tables, and no label inside", File{Sections: []Section{Exec(0x1000, append(append(blank(16), 0xcc, 0xcc, 0xcc, 0xcc), blank(12)...)), Data(0x2000, Words(0x1008)),
			EHFrame(0x4000, false, Frame{Start: 0x1000, Length: 16}, Frame{Start: 0x1014, Length: 12})}}, []uint64{0x1000, 0x1014}},
		{"code that no table knows", File{Sections: []Section{Exec(0x1000, append(blank(16), "\xb8\x27\x00\x00\x00\x0f\x05\xc3"...)),
			EHFrame(0x4000, false, Frame{Start: 0x1000, Length: 16})}}, []uint64{0x1000, 0x1010}},
		{"constants beside code", File{Sections: []Section{Exec(0x1000, append(blank(16), "\x01\x02\x03\x00\x00\x00\x06\x06"...)),
			EHFrame(0x4000, false, Frame{Start: 0x1000, Length: 16})}}, []uint64{0x1000}},
		{"nothing outside of code", File{Entry: 0x9000, Sections: []Section{Exec(0x1000, blank(8))}}, []uint64{0x1000}},
	} {
		if got := starts(read(t, c.file)); !slices.Equal(got, c.want) {
			t.Errorf("%s: functions at %#x; want %#x", c.name, got, c.want)
		}
	}
}

func TestPart(t *testing.T) {
	c := read(t, File{Sections: []Section{Exec(0x1000, make([]byte, 32))}, Symbols: []Symbol{{Name: "f", Addr: 0x1010}}})
	for addr, want := range map[uint64]string{0x1000: "0x1000", 0x100f: "0x1000", 0x1010: "f", 0x101f: "f"} {
		p := c.Part(addr)
		if p == nil || p.Name() != want || !p.Has(addr) || p.Place().Code != c || p.Starts(addr) != (addr&15 == 0) {
			t.Errorf("%#x lies in %v; want %s", addr, p, want)
		}
	}
	if c.Part(0xfff) != nil || c.Part(0x1020) != nil {
		t.Error("there is a function where no code is")
	}
	if i, ok := c.Decode(0x1000); !ok || i.Addr != 0x1000 {
		t.Errorf("the first instruction is %+v", i)
	}
	if _, ok := c.Decode(0x1020); ok {
		t.Error("there is an instruction behind the end")
	}
}

// say is what leads out of a part.
func say(p *Part) string {
	var b strings.Builder
	for _, e := range p.Edges {
		how := "jump"
		if e.Call {
			how = "call"
		}
		fmt.Fprintf(&b, "%s %#x from %#x; ", how, e.To|e.Slot, e.From)
	}
	for what, list := range map[string][]uint64{"syscall": p.Syscalls, "foreign": p.Foreign} {
		for _, a := range list {
			fmt.Fprintf(&b, "%s %#x; ", what, a)
		}
	}
	for _, w := range p.Writes {
		fmt.Fprintf(&b, "write %d at %#x from %#x; ", w.Width, w.To, w.From)
	}
	if len(p.Refs) > 0 {
		fmt.Fprintf(&b, "refs %#x; ", p.Refs)
	}
	if len(p.Addrs) > 0 {
		fmt.Fprintf(&b, "addrs %#x; ", p.Addrs)
	}
	if p.Indirect {
		b.WriteString("indirect; ")
	}
	return strings.TrimSuffix(b.String(), "; ")
}

// What leads out of a function, and what it mentions.
func TestRead(t *testing.T) {
	const data = 0x3000
	for _, c := range []struct {
		name   string
		pieces []Piece
		want   string
	}{
		{"a system call", []Piece{Number(39), Syscall, Ret}, "syscall 0x1005"},
		{"a foreign one", []Piece{Raw("\xcd\x80"), Ret}, "foreign 0x1000"},
		{"a call and a jump", []Piece{Call(0x1010), Jump(0x1010)}, "call 0x1010 from 0x1000; jump 0x1010 from 0x1005"},
		{"through pointers", []Piece{CallSlot(data), JumpSlot(data)}, "call 0x3000 from 0x1000; jump 0x3000 from 0x1006"},
		{"through registers", []Piece{Raw("\xff\xd0\xff\xe0")}, "indirect"},
		{"a jump inside", []Piece{Raw("\xeb\x00"), Ret}, ""},
		{"a write", []Piece{Rel("\x89\x05", data), Ret}, "write 4 at 0x3000 from 0x1000; refs [0x3000]"},
		{"a read", []Piece{Rel("\x8b\x05", data), Ret}, "refs [0x3000]"},
		{"an address", []Piece{LeaFirst(data), LeaSecond(data), Ret}, "refs [0x3000]; addrs [0x3000 0x3000]"},
		{"it runs on over the end", []Piece{Raw("\x31\xc0"), Raw(strings.Repeat("\x90", 14))}, "jump 0x1010 from 0x100f"},
		{"a call before padding never returns", []Piece{Call(0x1010), Raw(strings.Repeat("\x90", 11))}, "call 0x1010 from 0x1000"},
		{"something runs on behind a call that is jumped over", []Piece{Raw("\x74\x05"), Call(0x1010), Raw(strings.Repeat("\x90", 9))}, "call 0x1010 from 0x1002; jump 0x1010 from 0x100f"},
	} {
		f := program(append(c.pieces, Align(16), Raw("\xc3"))...)
		f.Type, f.Entry = elf.ET_DYN, 0x1000
		f.Sections = append(f.Sections, Data(data, Words(5)))
		f.Symbols = []Symbol{{Name: "next", Addr: 0x1010}}
		if got := say(read(t, f).Part(0x1000)); got != c.want {
			t.Errorf("%s: %s; want %s", c.name, got, c.want)
		}
	}
}

// Behind the end that unwind tables tell, only what is jumped to is code; a call at the end never returns.
func TestSureEnds(t *testing.T) {
	f := program(Raw("\x74\x0c"), Ret, Syscall, Raw("\x06\x06\x06\x06\x06\x06\x06\x06\x06"), Syscall, Ret)
	f.Sections = append(f.Sections, EHFrame(0x4000, false, Frame{Start: 0x1000, Length: 3}))
	f.Symbols = []Symbol{{Name: "f", Addr: 0x1000}}
	c := read(t, f)
	if got := c.Part(0x1000); len(got.Syscalls) != 1 || got.Syscalls[0] != 0x100e {
		t.Errorf("system calls at %#x, in %#x", got.Syscalls, starts(c))
	}
	f = program(Call(0x1005), Ret)
	f.Sections = append(f.Sections, EHFrame(0x4000, false, Frame{Start: 0x1000, Length: 5}, Frame{Start: 0x1005, Length: 1}))
	if got, want := say(read(t, f).Part(0x1000)), "call 0x1005 from 0x1000"; got != want {
		t.Errorf("a call at the end: %s; want %s", got, want)
	}
}

// An address may be made by two instructions, or as a distance from the table of pointers.
func TestAddresses(t *testing.T) {
	f := File{Machine: elf.EM_AARCH64, Sections: []Section{Exec(0x1000, Asm(0x1000, Arm(0xd0000000), Arm(0x91004000), // adrp x0, 0x3000; add x0, x0, #16
		Arm(0xd0000001), Arm(0xf9400422), Arm(0xf9000822), // adrp x1, 0x3000; ldr x2, [x1, #8]; str x2, [x1, #16]
		Arm(0xaa0003e1), Arm(0xf9400422), // mov x1, x0; ldr x2, [x1, #8]
		ArmRet)), Data(0x3000, Words(0, 0, 0))}}
	if got, want := say(read(t, f).Part(0x1000)), "write 8 at 0x3010 from 0x1010; refs [0x3008 0x3010]; addrs [0x3010]"; got != want {
		t.Errorf("ARM: %s; want %s", got, want)
	}
	f = program(Raw("\x48\xb8\x08\x00\x00\x00\x00\x00\x00\x00"), Ret)
	f.Type, f.Entry = elf.ET_DYN, 0x1000
	f.Sections = append(f.Sections, Section{Name: ".got", Addr: 0x3000, Flags: elf.SHF_WRITE, Data: Words(0, 0)})
	if got, want := say(read(t, f).Part(0x1000)), "refs [0x3008]; addrs [0x3008]"; got != want {
		t.Errorf("the large code model: %s; want %s", got, want)
	}
}

// Jump tables: pointers, distances from the table, and distances from a label.
func TestTables(t *testing.T) {
	const table = 0x3000
	code := []Piece{LeaFirst(table), Raw("\xff\xe0"), Ret, Ret, Ret, Ret, Align(32), Raw("\xc3")} // 0x1009 to 0x100c
	for _, c := range []struct {
		name   string
		pieces []Piece
		table  []byte
		want   []uint64
	}{
		{"pointers", code, Words(0x100a, 0x1009, 0x9000, 0x100b), []uint64{0x1009, 0x100a}},
		{"distances from the table", code, Ints(0x100a-table, 0x1009-table, 0x1020-table, 9), []uint64{0x1009, 0x100a, 0x1020}},
		{"distances from a label", []Piece{LeaFirst(table), LeaSecond(0x1010), Raw("\xff\xe0"), Ret, Ret, Align(32), Raw("\xc3")}, Ints(1, 0, 0x10, 0x1000), []uint64{0x1010, 0x1011}},
		{"where the next one begins", append([]Piece{LeaFirst(table + 8)}, code...), Words(0x1010, 0x1011), []uint64{0x1010, 0x1011}},
		{"numbers", code, Words(1, 2, 3), []uint64{}},
		{"pointers to other functions only", code, Words(0x1020, 0x1020), []uint64{}},
	} {
		f := program(c.pieces...)
		f.Type, f.Entry = elf.ET_DYN, 0x1000
		f.Sections = append(f.Sections, ReadOnly(table, c.table))
		f.Symbols = []Symbol{{Name: "next", Addr: 0x1020}}
		p := read(t, f).Part(0x1000)
		if got := p.Tables(); !slices.Equal(got, c.want) || got == nil {
			t.Errorf("%s: %#x; want %#x", c.name, got, c.want)
		}
		if again := p.Tables(); !slices.Equal(again, c.want) {
			t.Errorf("%s, asked again: %#x", c.name, again)
		}
	}
	// What the loader fills in counts instead of what the file has.
	f := program(code...)
	f.Type, f.Entry = elf.ET_DYN, 0x1000
	f.Sections = append(f.Sections, Data(table, Words(0)))
	f.Sections = append(f.Sections, EHFrame(0x4000, false, Frame{Start: 0x1000, Length: 0x20})) // else a pointer is to a function
	f.Relocs = []Reloc{{At: table, Type: uint32(elf.R_X86_64_RELATIVE), Addend: 0x100b}}
	if got := read(t, f).Part(0x1000).Tables(); !slices.Equal(got, []uint64{0x100b}) {
		t.Errorf("a table that is relocated: %#x", got)
	}
	// However long a table is, so many entries are read.
	words := make([]uint64, maxTable+2)
	for k := range words {
		words[k] = 0x1009
	}
	words[maxTable] = 0x100a
	f = program(code...)
	f.Type, f.Entry = elf.ET_DYN, 0x1000
	f.Sections = append(f.Sections, ReadOnly(table, Words(words...)))
	if got := read(t, f).Part(0x1000).Tables(); !slices.Equal(got, []uint64{0x1009}) {
		t.Errorf("a long table: %#x", got)
	}
}

// Too many labels and tables to try each with each: any block may be where they lead, and it does not take long.
func TestManyLabels(t *testing.T) {
	const tables, each = 0x100000, 64
	var pieces []Piece
	for k := range uint64(2000) {
		pieces = append(pieces, LeaFirst(0x1000+7*k), LeaSecond(tables+each*k))
	}
	pieces = append(pieces, Raw("\xff\xe0"), Ret, Ret)
	f := program(pieces...)
	f.Type, f.Entry = elf.ET_DYN, 0x1000
	text := f.Sections[0].Data
	f.Sections = append(f.Sections, ReadOnly(tables, make([]byte, each*2000)), EHFrame(0x400000, false, Frame{Start: 0x1000, Length: uint64(len(text))}))
	p := read(t, f).Part(0x1000)
	if last := 0x1000 + uint64(len(text)) - 1; !slices.Contains(p.Tables(), last) {
		t.Errorf("%d places, and the last block is not among them", len(p.Tables()))
	}
}

func TestBlocks(t *testing.T) {
	p := read(t, program(Raw("\x74\x03"), Raw("\xeb\x02"), Ret, Ret, Ret, Ret)).Part(0x1000)
	if got, want := p.Blocks(), []uint64{0x1004, 0x1005, 0x1006, 0x1007}; !slices.Equal(got, want) || !slices.Equal(p.Blocks(), want) {
		t.Errorf("blocks at %#x; want %#x", got, want)
	}
}

// Tables of distances from themselves, as LLVM makes them.
func TestRelative(t *testing.T) {
	const table = 0x3000
	f := program(LeaFirst(table), Ret)
	for _, c := range []struct {
		name  string
		table []byte
		at    uint64
		want  []uint64
	}{
		{"to data", Ints(4, 8, 1<<30), table, []uint64{table + 4, table + 8}},
		{"to a function that is framed", Ints(8, 0x1000-table, 0x1001-table), table, []uint64{table + 8, 0x1000}},
		{"one alone", Ints(8, 1<<30), table, nil},
		{"not aligned", Ints(8, 12, 16), table + 2, nil},
		{"not constant", Ints(8, 12, 16), 0x5000, nil},
		{"not there", Ints(8, 12, 16), 0x9000, nil},
	} {
		file := f
		file.Type, file.Entry = elf.ET_DYN, 0x1000
		file.Sections = append(slices.Clone(f.Sections), ReadOnly(table, c.table), Data(0x5000, Ints(4, 4, 4)), EHFrame(0x6000, false, Frame{Start: 0x1000, Length: 8}))
		if got := read(t, file).Relative(c.at); !slices.Equal(got, c.want) {
			t.Errorf("%s: %#x; want %#x", c.name, got, c.want)
		}
	}
}

// Where objects of data begin and end.
func TestObjects(t *testing.T) {
	f := program(LeaFirst(0x3040), LeaFirst(0x3048), Ret) // the first is aligned as objects are
	f.Type, f.Entry = elf.ET_DYN, 0x1000
	f.Sections = append(f.Sections, Data(0x3000, make([]byte, 0x100)), Section{Name: ".got", Addr: 0x5000, Flags: elf.SHF_WRITE, Data: Words(0, 0)})
	f.Symbols = []Symbol{{Name: "array", Addr: 0x3060, Type: elf.STT_OBJECT, Size: 0x60}, {Name: "inside", Addr: 0x3070, Type: elf.STT_OBJECT, Size: 8}}
	f.Relocs = []Reloc{{At: 0x3000, Type: uint32(elf.R_X86_64_RELATIVE), Addend: 0x30e0}, {At: 0x3008, Type: uint32(elf.R_X86_64_GLOB_DAT), Addend: 0x1000}}
	c := read(t, f)
	for _, o := range []struct{ at, begin, end uint64 }{{0x3008, 0x3000, 0x3040}, {0x304f, 0x3040, 0x3060}, {0x3060, 0x3060, 0x30e0}, {0x3078, 0x3060, 0x30e0}, {0x30e0, 0x30e0, 0x5000},
		{0x5008, 0x5000, ^uint64(0)}, {0x10, 0x10, 0x3000}} {
		if begin, end := c.Object(o.at); begin != o.begin || end != o.end {
			t.Errorf("%#x lies in an object from %#x to %#x; want %#x to %#x", o.at, begin, end, o.begin, o.end)
		}
	}
	if !c.IsSlot(0x5008) || !c.IsSlot(0x3008) || c.IsSlot(0x3000) {
		t.Error("single pointers are elsewhere")
	}
}

func TestTexts(t *testing.T) {
	f := program(LeaFirst(0x3000), LeaFirst(0x3020), Ret)
	text := "one\x00\x01two three\x00\xffverylongname\x00"
	f.Sections = append(f.Sections, ReadOnly(0x3000, []byte(text+strings.Repeat("\x00", 0x20-len(text))+"four\x00")))
	c := read(t, f)
	for _, x := range []struct {
		at      uint64
		longest int
		want    []string
	}{{0x3000, 100, []string{"one", "two three", "verylongname"}}, {0x3000, 9, []string{"one", "two three"}}, {0x3020, 9, []string{"four"}}, {0x1000, 9, nil}, {0x9000, 9, nil}} {
		var got []string
		c.Texts(x.at, x.longest, func(s string) { got = append(got, s) })
		if !slices.Equal(got, x.want) {
			t.Errorf("texts at %#x of at most %d bytes: %q; want %q", x.at, x.longest, got, x.want)
		}
	}
}

// Go's functions do not run on into each other, and tables that its linker put among code are read.
func TestGo(t *testing.T) {
	table, module := GoTables(0x4000, 0x5000, 0x1000, 0x1020, GoFunc{Start: 0x1000, Name: "main.main"}, GoFunc{Start: 0x1010, Name: "main.f"})
	f := program(Raw(strings.Repeat("\x90", 11)), Call(0x1010), Ret, Align(32))
	f.Sections = append(f.Sections, table, module)
	c := read(t, f)
	if got, want := say(c.Part(0x1000)), "call 0x1010 from 0x100b"; got != want {
		t.Errorf("a call at the end: %s; want %s", got, want)
	}
	if got, want := starts(c), []uint64{0x1000, 0x1010}; !slices.Equal(got, want) {
		t.Errorf("functions at %#x; want %#x", got, want)
	}
}

// The end of Go's code may be anything in a file that is broken.
func TestGoBeyondTheEnd(t *testing.T) {
	table, module := GoTables(0x4000, 0x5000, 0x1000, 1<<63+0x1000, GoFunc{Start: 0x1000, Name: "main.main"})
	f := program(Ret, Align(32))
	f.Sections = append(f.Sections, table, module)
	if got := starts(read(t, f)); !slices.Equal(got, []uint64{0x1000}) {
		t.Errorf("functions at %#x", got)
	}
}

func TestCancelled(t *testing.T) {
	m, err := image.Read("file", program(Ret).Bytes())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Read(ctx, m); err != context.Canceled {
		t.Errorf("a cancelled reading ends with %v", err)
	}
}
