package verdict_test

import (
	"encoding/binary"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/verdict"
)

// A part of a gate is what it says of one architecture's calls, and the cut is where abi.Of makes it.
func TestOn(t *testing.T) {
	s := verdict.NewSpace(1 << 16)
	// Any two numbers, and any two tokens, are answered otherwise here, in their low bits.
	v, err := s.Of(bpf.Program{
		{Code: bpf.LD | bpf.W | bpf.ABS, K: bpf.OffsetNr},
		{Code: bpf.JMP | bpf.JSET | bpf.K, K: 0x80000000, Jt: 3},
		{Code: bpf.JMP | bpf.JSET | bpf.K, K: 0x40000000, Jt: 1},
		{Code: bpf.RET | bpf.K, K: uint32(bpf.Allow)},
		{Code: bpf.RET | bpf.K, K: uint32(bpf.Log)},
		{Code: bpf.JMP | bpf.JSET | bpf.K, K: 0x40000000, Jt: 1},
		{Code: bpf.RET | bpf.K, K: uint32(bpf.Trap)},
		{Code: bpf.RET | bpf.K, K: uint32(bpf.Errno | 7)},
	}, binary.LittleEndian)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range abi.Archs() {
		own, is := v.On(a, bpf.Notify), s.Verdict(s.If(s.Calls(a), s.Action(bpf.Allow), s.Action(bpf.Log)))
		for _, nr := range []uint32{0, 0x3fffffff, 0x40000000, 0x7fffffff, 0x80000000, 0xbfffffff, 0xc0000000, 0xffffffff} {
			for _, other := range append(abi.Archs(), a) {
				d := bpf.Data{Arch: other.Token(), Nr: nr}
				whose, _ := abi.Of(d.Arch, d.Nr)
				if got := is.At(&d) == bpf.Allow; got != (whose == a) {
					t.Errorf("Calls(%v) holds for %#x of %v: %v", a, nr, whose, got)
				}
			}
			d := bpf.Data{Arch: a.Token(), Nr: nr}
			want := v.At(&d)
			if whose, _ := abi.Of(d.Arch, d.Nr); whose != a {
				want = bpf.Notify
			}
			if got := own.At(&d); got != want {
				t.Errorf("On(%v) gives %#x %v, want %v", a, nr, got, want)
			}
			if do, ok := v.Call(a, nr).Constant(); !ok || do != v.At(&d) {
				t.Errorf("Call(%v, %#x) is %v", a, nr, do)
			}
		}
	}
	if do, _ := is(s, abi.NoToken).Elsewhere()[0].Then.Constant(); do != bpf.Trap {
		t.Errorf("elsewhere %v", do)
	}
}

// is traps calls with a token, and allows others.
func is(s *verdict.Space, token uint32) verdict.Verdict {
	return s.Verdict(s.If(s.Compare(verdict.Single(verdict.Arch), verdict.EQ, false, uint64(token)), s.Action(bpf.Trap), s.Action(bpf.Allow)))
}
