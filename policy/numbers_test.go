package policy_test

import (
	"fmt"
	"slices"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/policy/decompile"
	"monban/policy/lang"
	"monban/verdict"
)

// Numbers at the seams of x86_64 and x32, which share a token.
var seams = []uint32{0, 1, 0x3fffffff, 0x40000000, 0x40000001, 0x7fffffff, 0x80000000, 0xbfffffff, 0xc0000000, 0xffffffff}

// A number is decided by the part of the gate that is its own, or by badarch: by Decide, by the verdict, and by what is
// decompiled.
func TestWhoseNumber(t *testing.T) {
	for _, archs := range [][]abi.Arch{{abi.X86_64}, {abi.X32}, {abi.X86_64, abi.X32}, {abi.X32, abi.X86, abi.X86_64}} {
		text := "default errno(1)\nunknown errno(2)\nbadarch errno(3)\n"
		for i, a := range archs {
			text += fmt.Sprintf("on %s: errno(%d) any(nr >= 0)\n", a, 10+i)
		}
		p, err := lang.Load("t.gate", []byte(text), lang.Options{Archs: archs})
		if err != nil {
			t.Fatal(err)
		}
		s := verdict.NewSpace(verdict.DefaultBudget)
		v, err := p.Verdict(s)
		if err != nil {
			t.Fatal(err)
		}
		back, notes, err := decompile.Policy("back", v, abi.X86_64, nil)
		if err != nil || len(notes) > 0 {
			t.Fatal(err, notes)
		}
		for _, nr := range seams {
			d := bpf.Data{Arch: abi.X86_64.Token(), Nr: nr}
			own, _ := abi.Of(d.Arch, d.Nr)
			want := bpf.Errno | 3
			if i := slices.Index(archs, own); i >= 0 {
				want = bpf.Errno | bpf.Action(10+i)
			}
			decided, err := p.Decide(&d)
			if err != nil || decided.Action != want {
				t.Errorf("%v: Decide gives %#x %v (%v), want %v", archs, nr, decided.Action, err, want)
			}
			if got := v.At(&d); got != want {
				t.Errorf("%v: the verdict gives %#x %v, want %v", archs, nr, got, want)
			}
			if decided, err := back.Decide(&d); err != nil || decided.Action != want {
				t.Errorf("%v: decompiled, it gives %#x %v (%v), want %v:\n%s", archs, nr, decided.Action, err, want, lang.Print(back))
			}
			if a, ok := p.ArchOf(&d); ok != slices.Contains(archs, own) || ok && a != own {
				t.Errorf("%v: %#x is %v's (%v), want %v", archs, nr, a, ok, own)
			}
		}
	}
}

// A number that is asked about is the call of whoever has it, whichever of the two was named.
func TestParseNumber(t *testing.T) {
	for _, nr := range seams {
		want, _ := abi.Of(abi.X86_64.Token(), nr)
		name, _ := want.Name(nr)
		for _, a := range []abi.Arch{abi.X86_64, abi.X32} {
			c, err := lang.ParseCall(a, fmt.Sprintf("%#x(1)", nr))
			if err != nil || c.Arch != want || c.Data.Nr != nr || c.Name != name {
				t.Errorf("%#x on %v: %v's %s, %+v (%v); want %v's %s", nr, a, c.Arch, c.Name, c.Data, err, want, name)
			}
		}
	}
}
