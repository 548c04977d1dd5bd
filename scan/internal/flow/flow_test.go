package flow

import (
	"context"
	"debug/elf"
	"fmt"
	"slices"
	"strings"
	"testing"

	"monban/scan/internal/code"
	"monban/scan/internal/decode"
	. "monban/scan/internal/elftest"
	"monban/scan/internal/graph"
	"monban/scan/internal/image"
)

// show is a value in words.
func show(v Value) string {
	var out []string
	switch {
	case v.Top:
		return "anything"
	case v.Stack:
		return fmt.Sprintf("stack%+d", v.Off)
	case v.None():
		return "none"
	}
	for _, c := range v.Consts {
		out = append(out, fmt.Sprint(c))
	}
	for _, p := range v.Params {
		s := fmt.Sprintf("r%d", p.Reg)
		switch {
		case p.Global != 0:
			s = fmt.Sprintf("var %#x", p.Global)
		case p.Reg == decode.NoReg:
			s = fmt.Sprintf("arg+%d", p.Slot)
		}
		if p.Deref {
			s = fmt.Sprintf("[%s%+d]", s, p.Off)
		}
		out = append(out, s)
	}
	return strings.Join(out, "|")
}

func graphOf(t *testing.T, f File) *graph.Graph {
	t.Helper()
	m, err := image.Read("file", f.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	m.Roots = append(m.Roots, m.File.Entry)
	c, err := code.Read(context.Background(), m)
	if err != nil {
		t.Fatal(err)
	}
	g := graph.New([]*code.Code{c}, 1, nil)
	if _, err := g.Follow(context.Background()); err != nil {
		t.Fatal(err)
	}
	return g
}

// run runs through the function at the entry.
func run(t *testing.T, f File, loose bool) *Unit {
	t.Helper()
	g := graphOf(t, f)
	return Run(g, code.Place{Code: g.Codes[0], Addr: g.Codes[0].File.Entry}, loose)
}

// numbers are those at the system calls of a unit, in the order of their addresses.
func numbers(u *Unit) string {
	var at []uint64
	for a := range u.Numbers {
		at = append(at, a)
	}
	slices.Sort(at)
	var out []string
	for _, a := range at {
		out = append(out, show(u.Numbers[a]))
	}
	return strings.Join(out, ", ")
}

// x86 is a program whose code is at 0x1000, with constants at 0x3000 and variables at 0x4000.
func x86(pieces ...Piece) File {
	return File{Type: elf.ET_DYN, Entry: 0x1000, Sections: []Section{Exec(0x1000, Asm(0x1000, pieces...)), ReadOnly(0x3000, Words(39, 102)), Data(0x4000, Words(1, 2, 3))}}
}

// What is known of the number at a system call, by each way in which it may come there.
func TestX86Numbers(t *testing.T) {
	for _, c := range []struct {
		name   string
		pieces []Piece
		want   string
	}{
		{"a constant", []Piece{Number(39), Syscall, Ret}, "39"},
		{"the caller's", []Piece{Syscall, Ret}, "r0"},
		{"copied", []Piece{Raw("\x89\xf8"), Syscall, Ret}, "r7"},
		{"zero", []Piece{Raw("\x31\xc0"), Syscall, Ret}, "0"},
		{"added", []Piece{Number(38), Raw("\x48\x83\xc0\x01"), Syscall, Ret}, "39"},
		{"added to what is not known", []Piece{Raw("\x48\x83\xc0\x01"), Syscall, Ret}, "anything"},
		{"the low byte", []Piece{Raw("\x31\xc0\xb0\x27"), Syscall, Ret}, "39"},
		{"the low byte of several", []Piece{Raw("\x31\xc0\x85\xff\x74\x05"), Number(0x100), Raw("\xb0\x27"), Syscall, Ret}, "39|295"},
		{"the low byte of what is not known", []Piece{Raw("\xb0\x27"), Syscall, Ret}, "anything"},
		{"the low byte of an address in the frame", []Piece{Raw("\x48\x8d\x44\x24\x08\xb0\x27"), Syscall, Ret}, "anything"},
		{"chosen", []Piece{Number(39), Raw("\xb9\x66\x00\x00\x00\x0f\x44\xc1"), Syscall, Ret}, "39|102"},
		{"either", []Piece{Number(39), Raw("\x85\xff\x74\x05"), Number(102), Syscall, Ret}, "39|102"},
		{"zero behind a branch", []Piece{Raw("\x89\xf8\x85\xc0\x74\x01\xc3"), Syscall, Ret}, "0"},
		{"zero before it", []Piece{Raw("\x89\xf8\x85\xc0\x75\x02"), Syscall, Ret}, "0"},
		{"a test that something else stands behind", []Piece{Raw("\x89\xf8\x85\xc0\x89\xc1\x75\x02"), Syscall, Ret}, "r7"},
		{"pushed and popped", []Piece{Raw("\x6a\x27\x58"), Syscall, Ret}, "39"},
		{"in the frame", []Piece{Raw("\xc7\x44\x24\xf8\x27\x00\x00\x00\x8b\x44\x24\xf8"), Syscall, Ret}, "39"},
		{"in the frame, overwritten in part", []Piece{Raw("\x48\xc7\x44\x24\xf8\x27\x00\x00\x00\xc6\x44\x24\xfa\x01\x8b\x44\x24\xf8"), Syscall, Ret}, "anything"},
		{"in the frame, while a function has its address", []Piece{Raw("\x48\x83\xec\x18\xc7\x44\x24\x08\x27\x00\x00\x00\x48\x8d\x7c\x24\x08"), Call(0x1030), Raw("\x8b\x44\x24\x08"), Syscall, Ret,
			Align(16), Ret}, "anything"},
		{"in the frame, while a function is called", []Piece{Raw("\x48\x83\xec\x18\xc7\x44\x24\x08\x27\x00\x00\x00"), Call(0x1020), Raw("\x8b\x44\x24\x08"), Syscall, Ret, Align(16), Ret}, "39"},
		{"in the frame, which is written to somewhere", []Piece{Raw("\xc7\x44\x24\xf8\x27\x00\x00\x00\x89\x0c\x9c\x8b\x44\x24\xf8"), Syscall, Ret}, "anything"},
		{"in the frame, with an instruction between that is not known", []Piece{Raw("\xc7\x44\x24\xf8\x27\x00\x00\x00\x0f\x01\xca\x8b\x44\x24\xf8"), Syscall, Ret}, "anything"},
		{"a frame that is left", []Piece{Raw("\x55\x48\x89\xe5\x50\xc9"), Number(39), Syscall, Ret}, "39"},
		{"from the caller's frame", []Piece{Raw("\x8b\x44\x24\x08"), Syscall, Ret}, "arg+8"},
		{"by a pointer", []Piece{Raw("\x8b\x47\x04"), Syscall, Ret}, "[r7+4]"},
		{"by a pointer that is written through", []Piece{Raw("\xc7\x07\x01\x00\x00\x00\x8b\x47\x04"), Syscall, Ret}, "anything"},
		{"by a pointer to a pointer", []Piece{Raw("\x48\x8b\x3f\x8b\x07"), Syscall, Ret}, "anything"},
		{"a constant in memory", []Piece{Rel("\x8b\x05", 0x3000), Syscall, Ret}, "39"},
		{"one of an array", []Piece{LeaNumber(0x3000), Raw("\x8b\x40\x08"), Syscall, Ret}, "102"},
		{"a variable", []Piece{Rel("\x8b\x05", 0x4008), Syscall, Ret}, "var 0x4008"},
		{"what is nowhere", []Piece{Rel("\x8b\x05", 0x9000), Syscall, Ret}, "anything"},
		{"an address in the frame", []Piece{Raw("\x48\x8d\x44\x24\xf8"), Syscall, Ret}, "stack-8"},
		{"what a call leaves", []Piece{Number(39), Call(0x1010), Syscall, Ret, Align(16), Ret}, "anything"},
		{"what a call keeps", []Piece{Raw("\xbb\x27\x00\x00\x00"), Call(0x1010), Raw("\x89\xd8"), Syscall, Ret, Align(16), Ret}, "39"},
		{"behind a call that never returns", []Piece{Number(39), Call(0x1010), Syscall, Ret, Align(16), Raw("\x0f\x0b")}, ""},
		{"what a system call leaves", []Piece{Number(39), Syscall, Syscall, Ret}, "39, anything"},
		{"behind rt_sigreturn", []Piece{Number(15), Syscall, Syscall, Ret}, "15"},
		{"behind the end", []Piece{Ret, Syscall, Ret}, ""},
		{"in a loop", []Piece{Number(39), Syscall, Number(102), Raw("\xeb\xf7")}, "39|102"},
		{"counted in a loop", []Piece{Number(39), Raw("\x48\x83\xc0\x01\x85\xff\x74\xf8"), Syscall, Ret}, "anything"},
		{"by a jump table", []Piece{LeaFirst(0x3010), Raw("\xff\xe0"), Number(39), Raw("\xeb\x05"), Number(102), Syscall, Ret}, "39|102"},
		{"by a label", []Piece{LeaFirst(0x100e), Number(39), Raw("\xff\xe1"), Syscall, Ret}, "39"},
		{"by a jump from a frame", []Piece{Raw("\x48\x83\xec\x08"), Number(39), Raw("\xff\xe1"), Number(102), Syscall, Ret}, "102"},
		{"by a jump of a tail call", []Piece{Number(39), Raw("\xff\xe1"), Number(102), Syscall, Ret}, ""},
		{"a string is stored", []Piece{Number(39), Raw("\xf3\xaa"), Syscall, Ret}, "39"},
		{"it stores what it has in a register", []Piece{Raw("\x57\x58"), Syscall, Ret}, "r7"},
		{"int 0x80", []Piece{Number(39), Raw("\xcd\x80"), Syscall, Ret}, "anything"},
	} {
		f := x86(c.pieces...)
		f.Sections[1].Data = append(f.Sections[1].Data, Ints(0x1009-0x3010, 0x1010-0x3010)...)
		f.Sections = append(f.Sections, EHFrame(0x6000, false, Frame{Start: 0x1000, Length: uint64(len(f.Sections[0].Data))}))
		if got := numbers(run(t, f, false)); got != c.want {
			t.Errorf("%s: %s; want %s", c.name, got, c.want)
		}
	}
}

func TestARMNumbers(t *testing.T) {
	const (
		movX0  = 0xaa0003e8 // mov x8, x0
		number = 0xd28004e8 // mov x8, #39
	)
	for _, c := range []struct {
		name   string
		pieces []Piece
		want   string
	}{
		{"a constant", []Piece{Arm(number), ArmSyscall, ArmRet}, "39"},
		{"the caller's", []Piece{Arm(movX0), ArmSyscall, ArmRet}, "r0"},
		{"a pair in the frame", []Piece{Arm(number), Arm(0xd10083ff), Arm(0xa9017fe8), Arm(0xf9400be8), ArmSyscall, ArmRet}, "39"},            // sub sp, sp, #32; stp x8, xzr, [sp, #16]; ldr x8, [sp, #16]
		{"the zero of a pair", []Piece{Arm(number), Arm(0xd10083ff), Arm(0xa9017fe8), Arm(0xf9400fe8), ArmSyscall, ArmRet}, "0"},              // ldr x8, [sp, #24]
		{"pushed in pairs", []Piece{Arm(number), Arm(0xa9be23e8), Arm(0xf94003e8), ArmSyscall, ArmRet}, "anything"},                           // stp x8, x8, [sp, #-32]!; ldr x8, [sp]
		{"zero where it branches", []Piece{Arm(movX0), Arm(0xb4000048), ArmRet, ArmSyscall, ArmRet}, "0"},                                     // cbz x8, +8
		{"by a table of distances", []Piece{Arm(0x10000041), Arm(0xd61f0020), Arm(number), ArmSyscall, ArmRet, ArmSyscall, ArmRet}, "39, r8"}, // adr x1, +8; br x1
		{"behind a jump to anywhere", []Piece{Arm(number), Arm(0xd61f0020), ArmSyscall, ArmRet}, ""},
		{"a register that is stored with a register for an offset", []Piece{Arm(number), Arm(0xf8226be8), ArmSyscall, ArmRet}, "39"},
	} {
		f := File{Machine: elf.EM_AARCH64, Type: elf.ET_DYN, Entry: 0x1000, Sections: []Section{Exec(0x1000, Asm(0x1000, c.pieces...))}}
		if got := numbers(run(t, f, false)); got != c.want {
			t.Errorf("%s: %s; want %s", c.name, got, c.want)
		}
	}
}

// What is written to variables, and what goes on into other functions.
func TestStoresAndEdges(t *testing.T) {
	f := x86(Raw("\xc7\x05\xf6\x2f\x00\x00\x27\x00\x00\x00"), LeaNumber(0x4008), Raw("\xc7\x00\x05\x00\x00\x00"), Raw("\x89\x38"), Jump(0x1030), Align(16), Raw("\xc3"), Align(16), Raw("\xc3"))
	f.Symbols = []Symbol{{Name: "f", Addr: 0x1030}, {Name: "main", Addr: 0x1000}}
	f.Exports = []Symbol{{Name: "f", Addr: 0x1030}}
	g := graphOf(t, f)
	g.Heads[code.Place{Code: g.Codes[0], Addr: 0x1030}] = true
	u := Run(g, code.Place{Code: g.Codes[0], Addr: 0x1000}, false)
	for at, want := range map[uint64]string{0x1000: "39", 0x1011: "5", 0x1017: "r7"} {
		if got := show(u.Stores[at]); got != want {
			t.Errorf("at %#x, %s is stored; want %s", at, got, want)
		}
	}
	if s := u.At[0x1019]; s == nil || show(s.Regs[7]) != "r7" || len(u.At) != 1 {
		t.Errorf("it goes on with %v of %d", s, len(u.At))
	}
	// Into the next one.
	f = x86(Number(39), Raw("\x90"), Raw("\x90\x90"), Syscall, Ret)
	f.Symbols = []Symbol{{Name: "main", Addr: 0x1000}, {Name: "next", Addr: 0x1006}}
	g = graphOf(t, f)
	g.Heads[code.Place{Code: g.Codes[0], Addr: 0x1006}] = true
	if u = Run(g, code.Place{Code: g.Codes[0], Addr: 0x1000}, false); u.At[0x1005] == nil || len(u.Numbers) != 0 {
		t.Errorf("it runs on with %v", u.At)
	}
}

// A loose run enters what nothing seems to lead to; an exception enters with nothing known.
func TestLoose(t *testing.T) {
	f := x86(Number(39), Ret, Syscall, Ret)
	if got := numbers(run(t, f, false)); got != "" {
		t.Errorf("a strict run: %s", got)
	}
	if got := numbers(run(t, f, true)); got != "anything" {
		t.Errorf("a loose run: %s", got)
	}
	f.Sections = append(f.Sections, ReadOnly(0x5000, LandingPads(6)), EHFrame(0x6000, false, Frame{Start: 0x1000, Length: 9, LSDA: 0x5000}))
	if got := numbers(run(t, f, false)); got != "anything" {
		t.Errorf("a landing pad: %s", got)
	}
}

// Where the steps are not enough, nothing is known: not the numbers, not what is stored, not what goes on.
func TestTooManySteps(t *testing.T) {
	const start = 0x100000
	f := x86()
	f.Entry = start
	f.Sections[0] = Exec(start, Asm(start, Number(39), Syscall, Rel("\x89\x3d", 0x4000), Call(start+0x15+maxSteps), Raw(strings.Repeat("\x90", maxSteps)), Syscall, Ret, Ret))
	u := run(t, f, false)
	if got := numbers(u); got != "anything, anything" {
		t.Errorf("numbers: %s", got)
	}
	if len(u.Stores) != 1 || !u.Stores[0x100007].Top {
		t.Errorf("stored: %v", u.Stores)
	}
	if s := u.At[0x10000d]; s == nil || !s.Regs[0].Top || !s.Regs[4].Top {
		t.Errorf("known before a call: %v", s)
	}
}

// What a value points to.
func TestDeref(t *testing.T) {
	f := x86(Ret)
	m := graphOf(t, f).Codes[0]
	s := newState()
	s.put(-8, 8, Constant(5))
	param := Value{Params: []Param{{Reg: 3}}}
	for _, c := range []struct {
		v    Value
		off  int64
		want string
	}{{Value{Stack: true, Off: -16}, 8, "5"}, {param, 4, "[r3+4]"}, {Constant(0x3000), 8, "102"}, {Constant(0x3000).Join(Constant(0x3008)), 0, "39|102"}, {Constant(0x4000), 0, "anything"},
		{Top(), 0, "anything"}, {Value{}, 0, "anything"}, {Value{Params: []Param{{Reg: 3, Deref: true}}}, 0, "anything"}, {param.Join(Constant(1)), 0, "anything"}} {
		if got := show(s.Deref(m, c.v, c.off)); got != c.want {
			t.Errorf("%s points to %s; want %s", show(c.v), got, c.want)
		}
	}
}
