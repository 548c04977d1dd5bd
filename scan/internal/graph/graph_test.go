package graph

import (
	"context"
	"debug/elf"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"monban/scan/internal/code"
	"monban/scan/internal/decode"
	. "monban/scan/internal/elftest"
	"monban/scan/internal/image"
)

// load reads files in the order in which symbols are looked up. The first one's entry is what the loader calls.
func load(t *testing.T, shared int, files ...File) *Graph {
	t.Helper()
	codes := make([]*code.Code, len(files))
	var interp *code.Code
	for k, f := range files {
		m, err := image.Read(fmt.Sprintf("file%d", k), f.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if k == 0 {
			m.Roots = append(m.Roots, m.File.Entry)
		}
		c, err := code.Read(context.Background(), m)
		if err != nil {
			t.Fatal(err)
		}
		if codes[k] = c; f.Soname == "ld-linux-x86-64.so.2" {
			interp = c
		}
	}
	return New(codes, shared, interp)
}

func follow(t *testing.T, g *Graph) {
	t.Helper()
	if _, err := g.Follow(context.Background()); err != nil {
		t.Fatal(err)
	}
	if more, err := g.Follow(context.Background()); more || err != nil {
		t.Errorf("followed again: %v, %v", more, err)
	}
}

// reached are the functions that are, by name, and how.
func reached(g *Graph) map[string]string {
	out := map[string]string{}
	for p, o := range g.Reached {
		out[p.Code.Name+" "+p.Name()] = o.How
	}
	return out
}

// library has functions of 16 bytes from 0x1000 on, one for each name, which are exported; their code is ret unless
// said.
func library(soname string, functions ...string) File {
	f := File{Type: elf.ET_DYN, Soname: soname, Sections: []Section{Exec(0x1000, []byte(strings.Repeat("\xc3", 16*len(functions))))}}
	for k, name := range functions {
		f.Exports = append(f.Exports, Symbol{Name: name, Addr: 0x1000 + 16*uint64(k)})
	}
	return f
}

// put gives a function of a library its code.
func (c changed) put(addr uint64, pieces ...Piece) changed {
	copy(c.Sections[0].Data[addr-0x1000:], Asm(addr, pieces...))
	return c
}

type changed struct{ File }

// Every way from one function to another.
func TestReached(t *testing.T) {
	f := changed{library("", "main", "called", "jumped", "pointed", "byslot", "table", "offset", "pad", "unused")}.
		put(0x1000, Call(0x1010), Jump(0x1020)).put(0x1010, LeaFirst(0x3000), LeaSecond(0x4000), Ret).put(0x1020, CallSlot(0x8000), LeaFirst(0x5000), Raw("\xff\xe0"))
	f.Entry = 0x1000
	f.Sections = append(f.Sections, Data(0x3000, Words(0)), Data(0x8000, Words(0)), ReadOnly(0x4000, Ints(0x1060-0x4000, 0x1060-0x4000)), ReadOnly(0x5000, Ints(0x1050-0x5000, 0x1028-0x5000)),
		ReadOnly(0x6000, LandingPads(0x60)), EHFrame(0x7000, false, Frame{Start: 0x1010, Length: 16, LSDA: 0x6000}, Frame{Start: 0x1060, Length: 16}))
	f.Relocs = []Reloc{{At: 0x3000, Type: uint32(elf.R_X86_64_RELATIVE), Addend: 0x1030}, {At: 0x8000, Type: uint32(elf.R_X86_64_JMP_SLOT), Symbol: "byslot"}}
	g := load(t, 1, f.File)
	follow(t, g)
	want := map[string]string{"file0 main": "the loader calls it", "file0 called": "calls", "file0 jumped": "jumps", "file0 pointed": "by pointer", "file0 byslot": "calls",
		"file0 table": "jumps by table", "file0 offset": "by offset", "file0 pad": "is unwound to"}
	if got := reached(g); !maps.Equal(got, want) {
		t.Errorf("reached %v; want %v", got, want)
	}
	at := func(addr uint64) code.Place { return code.Place{Code: g.Codes[0], Addr: addr} }
	if !g.Heads[at(0x1010)] || g.Heads[at(0x1020)] || !g.Taken[at(0x1030)] || g.Taken[at(0x1010)] || !g.Valued[at(0x1030)] || g.Valued[at(0x1060)] {
		t.Error("what is called, and what is pointed to, is mixed up")
	}
	if from := g.Arrivals[at(0x1020)]; len(from) != 1 || from[0].Part.Name() != "main" || from[0].Edge.From != 0x1005 {
		t.Errorf("who jumps: %v", from)
	}
	if g.Order[0].Name() != "main" || g.Reached[g.Codes[0].Part(0x1030)].From.Name() != "called" {
		t.Error("the way there is another one")
	}
}

// Which definition of a symbol counts.
func TestSymbols(t *testing.T) {
	const slot = 0x3000
	main := func(symbol, version string) File {
		f := changed{library("", "main")}.put(0x1000, JumpSlot(slot)).File
		f.Entry = 0x1000
		f.Sections = append(f.Sections, Data(slot, Words(0)))
		f.Exports = append(f.Exports, Symbol{Name: symbol, Version: version})
		f.Relocs = []Reloc{{At: slot, Type: uint32(elf.R_X86_64_JMP_SLOT), Symbol: symbol}}
		return f
	}
	versions := library("b", "f", "g")
	versions.Exports[0].Version = "V1"
	versions.Exports[1] = Symbol{Name: "f", Addr: 0x1010, Version: "V2"}
	for _, c := range []struct {
		name   string
		shared int
		files  []File
		want   []string
	}{
		{"the first one's", 3, []File{main("f", ""), library("a", "f"), library("b", "f")}, []string{"file1 f"}},
		{"all modules', where nothing else has it", 1, []File{main("f", ""), library("a", "f"), library("b", "f")}, []string{"file1 f", "file2 f"}},
		{"nobody's", 2, []File{main("f", ""), library("a", "g")}, nil},
	} {
		g := load(t, c.shared, c.files...)
		follow(t, g)
		got := slices.Sorted(maps.Keys(reached(g)))
		if want := append([]string{"file0 main"}, c.want...); !slices.Equal(got, want) {
			t.Errorf("%s: reached %q; want %q", c.name, got, want)
		}
	}
	g := load(t, 2, library("a", "x"), versions)
	for version, want := range map[string]int{"V1": 1, "V2": 1, "V3": 2, "": 2} {
		if got := g.targets(g.Codes[0], image.Pointer{Symbol: "f", Version: version}); len(got) != want {
			t.Errorf("version %q: %d definitions; want %d", version, len(got), want)
		}
	}
	if got := g.targets(g.Codes[0], image.Pointer{Symbol: "none", Addr: 0x1000}); len(got) != 1 || got[0].Addr != 0x1000 {
		t.Errorf("what is only here: %v", got)
	}
}

// A table that the program has a copy of is the library's.
func TestCopied(t *testing.T) {
	f := changed{library("", "main")}.put(0x1000, LeaFirst(0x3000), Ret).File
	f.Entry = 0x1000
	f.Sections = append(f.Sections, Data(0x3000, Words(0, 0)))
	f.Exports = append(f.Exports, Symbol{Name: "table", Addr: 0x3000, Type: elf.STT_OBJECT, Size: 8})
	f.Relocs = []Reloc{{At: 0x3000, Type: uint32(elf.R_X86_64_COPY), Symbol: "table"}}
	l := library("a", "inside")
	l.Sections = append(l.Sections, Data(0x3000, Words(0)))
	l.Exports = append(l.Exports, Symbol{Name: "table", Addr: 0x3000, Type: elf.STT_OBJECT, Size: 8})
	l.Relocs = []Reloc{{At: 0x3000, Type: uint32(elf.R_X86_64_RELATIVE), Addend: 0x1000}}
	g := load(t, 2, f, l)
	follow(t, g)
	if got := reached(g); got["file1 inside"] != "by pointer" {
		t.Errorf("reached %v", got)
	}
}

// Numbers that look like addresses, in programs that are not relocated and in Go's code, are not calls.
func TestNumbersThatLookLikeAddresses(t *testing.T) {
	f := File{Sections: []Section{Exec(0x1000, Asm(0x1000, Number(0x1014), Ret, Align(16), Raw(strings.Repeat("\x90", 15)), Ret))}, Symbols: []Symbol{{Name: "main", Addr: 0x1000}, {Name: "f", Addr: 0x1010}}}
	g := load(t, 1, f)
	follow(t, g)
	if got := reached(g); len(got) != 1 {
		t.Errorf("reached %v", got)
	}
	f.Sections[0].Data = Asm(0x1000, Number(0x1010), Ret, Align(16), Raw(strings.Repeat("\x90", 15)), Ret)
	g = load(t, 1, f)
	follow(t, g)
	if got := reached(g); got["file0 f"] != "by pointer" && len(got) != 2 {
		t.Errorf("the address of a function: reached %v", got)
	}
}

// dlopen, dlsym, and names that stand in an image.
func TestByName(t *testing.T) {
	f := changed{library("", "main", "other", "unnamed")}.put(0x1000, LeaFirst(0x3000), Jump(0x1010)).put(0x1010, LeaSecond(0x6000), JumpSlot(0x4000)).File
	f.Entry = 0x1000
	f.Sections = append(f.Sections, ReadOnly(0x3000, []byte("first\x00second\x00")), Data(0x4000, Words(0, 0)), ReadOnly(0x5000, []byte("third\x00")),
		Data(0x6000, Words(0)), Section{Name: ".more", Addr: 0x6100, Flags: elf.SHF_WRITE, Data: Words(0)}, ReadOnly(0x7000, []byte("fourth\x00")), ReadOnly(0x7100, []byte("fifth\x00")))
	f.Exports = append(f.Exports, Symbol{Name: "dlsym"}, Symbol{Name: "dlopen"})
	f.Relocs = []Reloc{{At: 0x4000, Type: uint32(elf.R_X86_64_JMP_SLOT), Symbol: "dlopen"}, {At: 0x6000, Type: uint32(elf.R_X86_64_RELATIVE), Addend: 0x7000},
		{At: 0x6100, Type: uint32(elf.R_X86_64_RELATIVE), Addend: 0x7100}}
	libc := library("libc.so.6", "dlsym", "dlopen", "first", "second", "third", "fourth", "fifth")
	g := load(t, 2, f, libc)
	follow(t, g)
	if !g.Loads[g.Codes[0]] || g.Loads[g.Codes[1]] {
		t.Errorf("who calls dlopen: %v", g.Loads)
	}
	g.targets(g.Codes[0], image.Pointer{Symbol: "dlsym"})
	g.targets(g.Codes[1], image.Pointer{Symbol: "dlvsym"})
	if len(g.Dlsyms) != 1 || !g.Dlsyms[code.Place{Code: g.Codes[1], Addr: 0x1000}] {
		t.Errorf("dlsym is %v", g.Dlsyms)
	}
	if got := reached(g); len(got) != 3 {
		t.Errorf("reached before names are known: %v", got)
	}
	g.ByName(g.Codes[0])
	g.ByName(g.Codes[0])
	follow(t, g)
	got := reached(g)
	for name, want := range map[string]bool{"first": true, "second": true, "third": false, "fourth": true, "fifth": false} {
		if how := got["file1 "+name]; (how == "looked up by its name, which stands in file0") != want {
			t.Errorf("%s is reached: %q; want %v", name, how, want)
		}
	}
	g.LookUp("third", Origin{How: "said so"})
	follow(t, g)
	if got := reached(g)["file1 third"]; got != "said so" {
		t.Errorf("third is reached: %q", got)
	}
}

// A library that has dlsym as data is not asked what its function gets.
func TestDlsymIsData(t *testing.T) {
	l := library("a", "x")
	l.Sections = append(l.Sections, Data(0x3000, Words(1)))
	l.Exports = append(l.Exports, Symbol{Name: "dlsym", Addr: 0x3000, Type: elf.STT_OBJECT})
	g := load(t, 2, library("", "main"), l)
	if g.targets(g.Codes[0], image.Pointer{Symbol: "dlsym"}); len(g.Dlsyms) != 0 {
		t.Errorf("functions: %v", g.Dlsyms)
	}
}

// What glibc does only if it was asked to, and what its loader calls.
func TestFacts(t *testing.T) {
	libc := func() changed {
		c := changed{library("libc.so.6", "main", "sched_setscheduler", "posix_spawnattr_setflags", "malloc", "open")}
		c.Exports = append(c.Exports[1:], Symbol{Name: "open", Addr: 0x1040})
		c.Symbols = []Symbol{{Name: "main", Addr: 0x1000}}
		return c
	}
	for _, c := range []struct {
		name   string
		pieces []Piece
		want   bool
	}{
		{"nobody asks", []Piece{Call(0x1010), Ret}, false},
		{"it is asked, before", []Piece{Call(0x1020), Call(0x1010), Ret}, true},
		{"it is asked, after", []Piece{Call(0x1010), Call(0x1020), Ret}, true},
		{"by pointer", []Piece{LeaFirst(0x1010), Ret}, false},
	} {
		f := libc().put(0x1000, c.pieces...).File
		f.Entry = 0x1000
		g := load(t, 1, f)
		follow(t, g)
		if got := reached(g); (got["file0 sched_setscheduler"] != "") != c.want || got["file0 malloc"] != "the loader calls it" || got["file0 open"] != "" {
			t.Errorf("%s: reached %v", c.name, got)
		}
	}
	f := libc().put(0x1040, Call(0x1010), Ret).File
	f.Entry = 0x1040
	g := load(t, 1, f)
	follow(t, g)
	if got := reached(g); got["file0 sched_setscheduler"] != "calls" {
		t.Errorf("what others call, too, is not held back: reached %v", got)
	}
	g = load(t, 2, library("", "main"), library("ld-linux-x86-64.so.2", "start"))
	loader, main := g.Codes[1].Part(0x1000), g.Codes[0].Part(0x1000)
	for _, c := range []struct {
		p    *code.Part
		nr   uint32
		want bool
	}{{loader, 59, true}, {loader, 38, true}, {loader, 0, false}, {main, 59, false}} {
		if got := g.LoadersOwn(c.p, c.nr); got != c.want {
			t.Errorf("call %d in %s is the loader's own: %v", c.nr, c.p.Code.Name, got)
		}
	}
}

// Calls behind which nothing goes on.
func TestNeverReturns(t *testing.T) {
	f := changed{library("", "main", "abort", "wrapper", "loops", "maybe", "catches", "long", "itself")}.
		put(0x1010, Raw("\x0f\x0b")).put(0x1020, Call(0x1010), Raw("\xcc\xcc")).put(0x1030, Raw("\xeb\xfe")).put(0x1040, Raw("\x74\x01\xc3"), Jump(0x1010)).
		put(0x1050, Call(0x1010), Ret).put(0x1060, Raw("\xff\xe0")).put(0x1070, Call(0x1070), Ret)
	f.Entry = 0x1000
	f.Sections = append(f.Sections, Data(0x3000, Words(0, 0)), ReadOnly(0x5000, LandingPads(5)), EHFrame(0x6000, false, Frame{Start: 0x1050, Length: 6, LSDA: 0x5000}))
	f.Relocs = []Reloc{{At: 0x3000, Type: uint32(elf.R_X86_64_JMP_SLOT), Symbol: "abort"}, {At: 0x3008, Type: uint32(elf.R_X86_64_JMP_SLOT), Symbol: "maybe"}}
	g := load(t, 1, f.File)
	for target, want := range map[uint64]bool{0x1000: false, 0x1010: true, 0x1020: true, 0x1030: true, 0x1040: false, 0x1050: false, 0x1060: false, 0x1070: false, 0x9000: false} {
		if got := g.NeverReturns(g.Codes[0], &decode.Inst{Kind: decode.Call, Target: target}); got != want {
			t.Errorf("%s never returns: %v; want %v", g.Codes[0].Function(target), got, want)
		}
	}
	for slot, want := range map[uint64]bool{0x3000: true, 0x3008: false, 0x3010: false, 0: false} {
		if got := g.NeverReturns(g.Codes[0], &decode.Inst{Kind: decode.Call, Slot: slot}); got != want {
			t.Errorf("what %#x points to never returns: %v; want %v", slot, got, want)
		}
	}
	// Of a function that is too long, and of one behind too many others, nothing is claimed.
	chain := []Piece{}
	for k := range uint64(maxDepth + 3) {
		chain = append(chain, Call(0x1000+16*(k+1)), Ret, Align(16))
	}
	long := File{Type: elf.ET_DYN, Entry: 0x1000, Sections: []Section{Exec(0x1000, Asm(0x1000, append(chain, Raw("\x0f\x0b"))...)),
		Exec(0x8000, append([]byte(strings.Repeat("\x90", maxLook+1)), "\x0f\x0b"...))}}
	g = load(t, 1, long)
	for _, target := range []uint64{0x1000, 0x8000} {
		if g.NeverReturns(g.Codes[0], &decode.Inst{Target: target}) {
			t.Errorf("%#x never returns", target)
		}
	}
}

// Functions that return once more.
func TestReturnsTwice(t *testing.T) {
	const saves = "\x48\x89\x1f\x48\x89\x6f\x08\x4c\x89\x67\x10\x4c\x89\x6f\x18\xc3" // mov %rbx,(%rdi), and so on
	f := changed{library("", "main", "vfork", "unknown", "jumper", "saver", "popper", "caller", "stub")}.
		put(0x1030, Jump(0x1010)).put(0x1040, Raw(saves)).put(0x1050, Raw("\xf3\x0f\x1e\xfa\x5f\xc3")).put(0x1060, Raw("\x90"), Call(0x1010)).put(0x1070, JumpSlot(0x3000))
	f.Entry = 0x1000
	f.Sections = append(f.Sections, Data(0x3000, Words(0)), Exec(0x8000, []byte(strings.Repeat("\x90", 30))))
	f.Relocs = []Reloc{{At: 0x3000, Type: uint32(elf.R_X86_64_JMP_SLOT), Symbol: "vfork"}}
	g := load(t, 1, f.File)
	for target, want := range map[uint64]bool{0x1000: false, 0x1010: true, 0x1020: false, 0x1030: true, 0x1040: true, 0x1050: true, 0x1060: false, 0x1070: true, 0x8000: false, 0x9000: false} {
		if got := g.ReturnsTwice(g.Codes[0], &decode.Inst{Target: target}); got != want {
			t.Errorf("%s returns twice: %v; want %v", g.Codes[0].Function(target), got, want)
		}
	}
	if !g.ReturnsTwice(g.Codes[0], &decode.Inst{Slot: 0x3000}) || g.ReturnsTwice(g.Codes[0], &decode.Inst{Slot: 0x3008}) || g.ReturnsTwice(g.Codes[0], &decode.Inst{}) {
		t.Error("what pointers lead to is mixed up")
	}
	arm := File{Machine: elf.EM_AARCH64, Type: elf.ET_DYN, Entry: 0x1000, Sections: []Section{Exec(0x1000, Asm(0x1000, Arm(0xa9005013), Arm(0xa9015815), ArmRet))}} // stp x19, x20, [x0]; stp x21, x22, [x0, #16]
	g = load(t, 1, arm)
	if !g.ReturnsTwice(g.Codes[0], &decode.Inst{Target: 0x1000}) {
		t.Error("on ARM, registers in pairs are not seen")
	}
}

func TestTexts(t *testing.T) {
	f := changed{library("", "main", "unused")}.put(0x1000, LeaFirst(0x3000), LeaSecond(0x3006), Ret).put(0x1010, LeaFirst(0x300c), Ret).File
	f.Entry = 0x1000
	f.Sections = append(f.Sections, ReadOnly(0x3000, []byte("/bin1\x00/bin2\x00/bin3\x00")))
	g := load(t, 1, f)
	follow(t, g)
	var got []string
	for s := range g.Texts {
		got = append(got, s)
	}
	if !slices.Equal(got, []string{"/bin1", "/bin2"}) {
		t.Errorf("texts %q", got)
	}
	for range g.Texts {
		break
	}
}

func TestCancelled(t *testing.T) {
	g := load(t, 1, library("", "main"))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	g.reach(g.Codes[0].Part(0x1000), Origin{})
	if _, err := g.Follow(ctx); err != context.Canceled {
		t.Errorf("a cancelled graph ends with %v", err)
	}
}
