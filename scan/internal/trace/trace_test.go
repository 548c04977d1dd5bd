package trace

import (
	"context"
	"debug/elf"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"monban/abi"
	"monban/scan/internal/code"
	. "monban/scan/internal/elftest"
	"monban/scan/internal/graph"
	"monban/scan/internal/image"
)

// reach finds what a program reaches, and its files.
func reach(t *testing.T, files ...File) *Calls {
	t.Helper()
	codes := make([]*code.Code, len(files))
	var interp *code.Code
	for k, f := range files {
		m, err := image.Read(fmt.Sprintf("file%d", k), f.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if k == 0 || f.Soname == "ld-linux-x86-64.so.2" {
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
	calls, err := Reach(context.Background(), graph.New(codes, len(codes), interp))
	if err != nil {
		t.Fatal(err)
	}
	return calls
}

// say is what was found: the calls by name, then why others are not known.
func say(c *Calls, arch abi.Arch) string {
	var out []string
	for _, nr := range slices.Sorted(maps.Keys(c.Numbers)) {
		name, _ := arch.Name(nr)
		out = append(out, name)
	}
	for _, at := range slices.SortedFunc(maps.Keys(c.Unknown), compareSpots) {
		out = append(out, fmt.Sprintf("%#x: %s", at.Addr, c.Unknown[at]))
	}
	return strings.Join(out, ", ")
}

// x86 is a program with code at 0x1000, constants at 0x3000 and variables at 0x4000. Its functions, 32 bytes apart, are
// framed.
func x86(functions ...[]Piece) File {
	var text []byte
	var frames []Frame
	for _, pieces := range functions {
		at := 0x1000 + uint64(len(text))
		body := Asm(at, pieces...)
		frames = append(frames, Frame{Start: at, Length: uint64(len(body))})
		text = append(text, body...)
		text = append(text, Asm(at+uint64(len(body)), Align(32))...)
	}
	return File{Type: elf.ET_DYN, Entry: 0x1000, Sections: []Section{Exec(0x1000, text), ReadOnly(0x3000, Words(39, 102, 0)), Data(0x4000, Words(39, 102, 0x3000, 0)), EHFrame(0x8000, false, frames...)}}
}

// Every way on which a number comes to a system call.
func TestTraced(t *testing.T) {
	const (
		eax  = "\x89\xf8" // mov %edi,%eax
		rdi  = "\x57\x5f" // push %rdi; pop %rdi
		load = "\x8b\x07" // mov (%rdi),%eax
	)
	wrapper := []Piece{Raw(eax), Syscall, Ret}
	for _, c := range []struct {
		name      string
		functions [][]Piece
		want      string
	}{
		{"a constant", [][]Piece{{Number(39), Syscall, Ret}}, "getpid"},
		{"nobody gives it", [][]Piece{wrapper}, "0x1000: it takes the number from its caller, and may be called through a pointer"},
		{"a caller's", [][]Piece{{First(39), Call(0x1020), First(102), Call(0x1020), Ret}, wrapper}, "getpid, getuid"},
		{"a caller's caller's", [][]Piece{{First(39), Call(0x1020), Ret}, {Raw(rdi), Call(0x1040), Ret}, wrapper}, "getpid"},
		{"of one who jumps", [][]Piece{{First(39), Jump(0x1020)}, wrapper}, "getpid"},
		{"a caller's, which is computed", [][]Piece{{Raw("\xf7\xd7"), Call(0x1020), Ret}, wrapper}, "0x1002: the number is computed, or comes from memory"},
		{"a caller's, on the stack", [][]Piece{{Raw("\x6a\x27"), Call(0x1020), Ret}, {Raw("\x8b\x44\x24\x08"), Syscall, Ret}}, "getpid"},
		{"a caller's, in its frame, by pointer", [][]Piece{{Raw("\x6a\x27\x48\x89\xe7"), Call(0x1020), Ret}, {Raw(load), Syscall, Ret}}, "getpid"},
		{"a caller's, in constants", [][]Piece{{LeaFirst(0x3008), Call(0x1020), Ret}, {Raw(load), Syscall, Ret}}, "getuid"},
		{"a caller's caller's, by pointer", [][]Piece{{LeaFirst(0x3000), Call(0x1020), Ret}, {Raw("\x90"), Call(0x1040), Ret}, {Raw(load), Syscall, Ret}}, "getpid"},
		{"a caller's, in variables", [][]Piece{{LeaFirst(0x4000), Call(0x1020), Ret}, {Raw(load), Syscall, Ret}}, "0x1007: the number is computed, or comes from memory"},
		{"a caller's, of another size in constants", [][]Piece{{LeaFirst(0x3014), Call(0x1020), Ret}, {Raw(load), Syscall, Ret}}, "0x1007: the number is computed, or comes from memory"},
		{"by pointer", [][]Piece{{LeaSecond(0x1020), First(39), Call(0x1020), Ret}, wrapper}, "getpid, 0x1020: it takes the number from its caller, and may be called through a pointer"},
		{"a variable that nobody changes", [][]Piece{{Rel("\x8b\x05", 0x4008), Syscall, Ret}}, "getuid"},
		{"a variable that somebody changes", [][]Piece{{Rel("\x8b\x05", 0x4008), Syscall, Call(0x1020), Ret}, {Number(110), Rel("\x89\x05", 0x4008), Ret}}, "getuid, getppid"},
		{"a variable that is not reached", [][]Piece{{Rel("\x8b\x05", 0x4008), Syscall, Ret}, {Number(110), Rel("\x89\x05", 0x4008), Ret}}, "getuid"},
		{"a variable that is changed in part", [][]Piece{{Rel("\x8b\x05", 0x4008), Syscall, Call(0x1020), Ret}, {Number(110), Rel("\x89\x05", 0x400a), Ret}},
			"getuid, 0x1025: the number is computed, or comes from memory"},
		{"a variable that callers change", [][]Piece{{First(110), Call(0x1020), Ret}, {Rel("\x89\x3d", 0x4008), Rel("\x8b\x05", 0x4008), Syscall, Ret}}, "getuid, getppid"},
		{"a variable whose address is taken", [][]Piece{{LeaFirst(0x4000), Rel("\x8b\x05", 0x4008), Syscall, Ret}}, "getuid, 0x1000: the number comes from a variable at 0x4008"},
		{"a variable that points to constants", [][]Piece{{Rel("\x48\x8b\x3d", 0x4010), Raw(load), Syscall, Ret}}, "getpid"},
		{"a variable that points nowhere", [][]Piece{{Rel("\x48\x8b\x3d", 0x4018), Raw(load), Syscall, Ret}}, ""},
		{"a variable behind the data", [][]Piece{{Rel("\x8b\x05", 0x4400), Syscall, Ret}}, "0x1006: the number is computed, or comes from memory"},
		{"a variable at the end of the data", [][]Piece{{Rel("\x8b\x05", 0x401c), Syscall, Ret}}, "0x1000: the number is computed, or comes from memory"},
		{"int 0x80", [][]Piece{{Number(39), Raw("\xcd\x80"), Ret}}, "0x1005: a call of the 32-bit architecture (int 0x80): its number is not traced"},
		{"behind what never returns", [][]Piece{{Raw("\x0f\x0b"), Number(39), Syscall, Ret}}, "getpid"},
		{"behind rt_sigreturn", [][]Piece{{Number(15), Syscall, Syscall, Ret}}, "rt_sigreturn, 0x1007: nothing that leads to it was found"},
		{"passed on behind rt_sigreturn", [][]Piece{{Number(15), Syscall, Call(0x1020), Ret}, wrapper}, "rt_sigreturn, 0x1007: it passes a number on, and nothing that leads to it was found"},
		{"written behind rt_sigreturn", [][]Piece{{Rel("\x8b\x05", 0x4008), Syscall, Number(15), Syscall, Rel("\x89\x05", 0x4008), Ret}},
			"rt_sigreturn, getuid, 0x100f: it writes the number to a variable at 0x4008, and nothing that leads to it was found"},
		{"in a loop that nothing leads to", [][]Piece{{Ret, Number(39), Syscall, Raw("\xeb\xf7")}}, "getpid"},
		{"passed on behind what never returns", [][]Piece{{Call(0x1020), Raw("\x0f\x0b\x90"), Call(0x1020), Ret}, wrapper},
			"0x1000: it takes the number from its caller, and may be called through a pointer, 0x1008: the number is computed, or comes from memory"},
	} {
		if got := say(reach(t, x86(c.functions...)), abi.X86_64); got != c.want {
			t.Errorf("%s: %s; want %s", c.name, got, c.want)
		}
	}
}

func TestARM(t *testing.T) {
	f := File{Machine: elf.EM_AARCH64, Type: elf.ET_DYN, Entry: 0x1000, Sections: []Section{Exec(0x1000, Asm(0x1000, Arm(0xd2801580), ArmCall(0x1010), ArmNumber(174), ArmRet, Arm(0xaa0003e8), ArmSyscall, ArmRet))}}
	if got := say(reach(t, f), abi.AArch64); got != "getpid" {
		t.Errorf("reached %s", got)
	}
}

// The first place of several is where a call is said to be made.
func TestFirstPlace(t *testing.T) {
	c := reach(t, x86([]Piece{Call(0x1040), Call(0x1020), Ret}, []Piece{Number(39), Syscall, Ret}, []Piece{Number(39), Syscall, Ret}))
	if at := c.Numbers[39]; at.Addr != 0x1025 || at.Part.Name() != "0x1020" {
		t.Errorf("getpid is made at %#x in %s", at.Addr, at.Part.Name())
	}
}

// A call that glibc's loader does not make for a program.
func TestLoader(t *testing.T) {
	loader := x86([]Piece{Number(59), Syscall, Number(39), Syscall, Ret})
	loader.Soname = "ld-linux-x86-64.so.2"
	if got := say(reach(t, x86([]Piece{Ret}), loader), abi.X86_64); got != "getpid" {
		t.Errorf("the loader makes %s", got)
	}
	if got := say(reach(t, loader), abi.X86_64); got != "getpid" {
		t.Errorf("the loader by itself makes %s", got)
	}
	loader.Soname = "libother.so"
	if got := say(reach(t, loader), abi.X86_64); got != "getpid, execve" {
		t.Errorf("something else makes %s", got)
	}
}

// Functions that a program looks up by name.
func TestLookUp(t *testing.T) {
	libc := x86([]Piece{Ret}, []Piece{Number(39), Syscall, Ret}, []Piece{Number(102), Syscall, Ret})
	libc.Entry, libc.Soname = 0, "libc.so.6"
	libc.Exports = []Symbol{{Name: "dlsym", Addr: 0x1000}, {Name: "first", Addr: 0x1020}, {Name: "second", Addr: 0x1040}}
	for _, c := range []struct {
		name    string
		pieces  [][]Piece
		want    string
		lookups int
	}{
		{"a name that stands there", [][]Piece{{LeaSecond(0x3000), CallSlot(0x5000), Ret}}, "getpid", 0},
		{"a name that a caller gives", [][]Piece{{LeaSecond(0x3000), Call(0x1020), Ret}, {JumpSlot(0x5000)}}, "getpid", 0},
		{"a name that is not known: all that it mentions", [][]Piece{{LeaFirst(0x3006), Raw("\xf7\xd6"), CallSlot(0x5000), Ret}}, "getuid", 1},
		{"a name that is put together", [][]Piece{{LeaFirst(0x3006), Raw("\x48\x8d\x74\x24\xf0"), CallSlot(0x5000), Ret}}, "", 1},
	} {
		f := x86(c.pieces...)
		f.Sections[1].Data = []byte("first\x00second\x00")
		f.Sections = append(f.Sections, Section{Name: ".got", Addr: 0x5000, Flags: elf.SHF_WRITE, Data: Words(0)})
		f.Exports = []Symbol{{Name: "dlsym"}}
		f.Relocs = []Reloc{{At: 0x5000, Type: uint32(elf.R_X86_64_JMP_SLOT), Symbol: "dlsym"}}
		got := reach(t, f, libc)
		if say(got, abi.X86_64) != c.want || len(got.Lookups) != c.lookups {
			t.Errorf("%s: %s, %d files look up what is not known; want %s, %d", c.name, say(got, abi.X86_64), len(got.Lookups), c.want, c.lookups)
		}
	}
}

// What Go's runtime gives to every thread is asked of whoever gives it to the runtime, in the first register.
func TestGo(t *testing.T) {
	f := x86([]Piece{Number(39), Call(0x1040), Call(0x1020), Ret}, []Piece{Raw("\xf7\xd0"), Syscall, Ret}, []Piece{Ret})
	f.Type = elf.ET_EXEC
	table, module := GoTables(0x6000, 0x7000, 0x1000, 0x1060, GoFunc{Start: 0x1000, Name: "main.main"}, GoFunc{Start: 0x1020, Name: "runtime.runPerThreadSyscall"},
		GoFunc{Start: 0x1040, Name: "syscall.runtime_doAllThreadsSyscall"})
	f.Sections = append(f.Sections[:3], table, module)
	if got := say(reach(t, f), abi.X86_64); got != "getpid" {
		t.Errorf("reached %s", got)
	}
}

// However many functions jump to one, so many are looked at.
func TestManyJumps(t *testing.T) {
	functions := [][]Piece{{LeaFirst(0x400000), Call(0x1020), Ret}, {Number(39), Raw("\x90\x90"), Syscall, Ret}}
	var pointers []uint64
	for k := range uint64(maxJumps + 1) {
		functions = append(functions, []Piece{Jump(0x1020)})
		pointers = append(pointers, 0x1040+32*k)
	}
	f := x86(functions...)
	f.Type = elf.ET_EXEC
	f.Sections = []Section{f.Sections[0], Data(0x400000, Words(pointers...))}
	if got, want := say(reach(t, f), abi.X86_64), fmt.Sprintf("getpid, 0x1020: more than %d functions jump to it", maxJumps); got != want {
		t.Errorf("reached %s; want %s", got, want)
	}
}

func TestCancelled(t *testing.T) {
	m, err := image.Read("file", x86([]Piece{Ret}).Bytes())
	if err != nil {
		t.Fatal(err)
	}
	m.Roots = append(m.Roots, m.File.Entry)
	c, err := code.Read(context.Background(), m)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Reach(ctx, graph.New([]*code.Code{c}, 1, nil)); err != context.Canceled {
		t.Errorf("a cancelled trace ends with %v", err)
	}
}

// However many variables numbers come from, so many are looked at.
func TestManyVariables(t *testing.T) {
	var pieces []Piece
	for k := range uint64(maxVariables + 1) {
		pieces = append(pieces, Rel("\x8b\x05", 0x400000+8*k), Syscall)
	}
	f := x86(append(pieces, Ret))
	f.Sections[2] = Data(0x400000, Words(make([]uint64, maxVariables+2)...))
	f.Sections[3].Addr, f.Sections[1].Addr = 0x800000, 0x700000
	f.Sections = f.Sections[:3]
	want := fmt.Sprintf("read, 0x1000: numbers come from more than %d variables", maxVariables)
	if got := say(reach(t, f), abi.X86_64); got != want {
		t.Errorf("reached %s; want %s", got, want)
	}
}
