package verdict_test

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"monban/bpf"
	"monban/verdict"
)

func TestCompare(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for range 3000 {
		f := verdict.Register(r.IntN(6))
		f.Bits = []int{16, 32, 64}[r.IntN(3)]
		f.Mask = ^uint64(0) >> (64 - f.Bits)
		if r.IntN(3) == 0 {
			f.Mask &= uint64(number(r))<<32 | uint64(number(r))
		}
		if r.IntN(3) == 0 {
			f.Xor = uint64(number(r)) & (^uint64(0) >> (64 - f.Bits))
		}
		signed := r.IntN(2) == 0
		op := verdict.Op(r.IntN(6))
		c := (uint64(number(r))<<32 | uint64(number(r))) & (^uint64(0) >> (64 - f.Bits))
		s := verdict.NewSpace(10_000)
		v := s.Verdict(s.Compare(f, op, signed, c))
		for range 20 {
			d := randomData(r)
			if r.IntN(3) == 0 {
				d.Args[(f.Lo-3)/2] = c + uint64(r.IntN(3)) - 1
			}
			x := d.Args[(f.Lo-3)/2]&f.Mask ^ f.Xor
			if got, want := v.At(&d) == 1, relation(op, x, c, f.Bits, signed); got != want {
				t.Fatalf("%#x %v %#x (signed %v, %d bits): %v", x, op, c, signed, f.Bits, got)
			}
		}
	}
}

func TestIn(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	for range 300 {
		f := verdict.Register(r.IntN(6))
		f.Bits = []int{16, 32, 64}[r.IntN(3)]
		top := ^uint64(0) >> (64 - f.Bits)
		f.Mask = top
		if r.IntN(3) == 0 {
			f.Mask &= uint64(number(r))<<32 | uint64(number(r))
			f.Xor = uint64(r.IntN(8))
		}
		var set [][2]uint64
		for at := uint64(r.IntN(5)); len(set) < 6 && at <= top; at += 2 + uint64(r.IntN(40)) {
			set = append(set, [2]uint64{at, min(top, at+uint64(r.IntN(5)))})
			at = set[len(set)-1][1]
			if at == top {
				break
			}
		}
		s := verdict.NewSpace(10_000)
		v := s.Verdict(s.In(f, set))
		for range 60 {
			d := randomData(r)
			i := (f.Lo - 3) / 2
			if r.IntN(2) == 0 {
				d.Args[i] = uint64(r.IntN(100))
			}
			x := d.Args[i]&f.Mask ^ f.Xor
			want := slices.ContainsFunc(set, func(e [2]uint64) bool { return e[0] <= x && x <= e[1] })
			if got := v.At(&d) == 1; got != want {
				t.Fatalf("%#x in %#x: %v", x, set, got)
			}
		}
	}
}

func relation(op verdict.Op, x, y uint64, bits int, signed bool) bool {
	less, equal := x < y, x == y
	if signed {
		shift := 64 - bits
		less = int64(x<<shift) < int64(y<<shift)
	}
	return []bool{equal, !equal, less, less || equal, !less && !equal, !less}[op]
}

func TestSpansAndPatch(t *testing.T) {
	s := verdict.NewSpace(10_000)
	allow, deny, kill := s.Action(bpf.Allow), s.Action(bpf.Errno|1), s.Action(bpf.KillProcess)
	v := s.Verdict(s.Patch(verdict.Nr, []verdict.Case{{0, 4, allow}, {5, 5, kill}, {6, 9, allow}, {0xfffffff0, 0xffffffff, allow}}, deny))
	want := []struct {
		lo, hi uint32
		do     bpf.Action
	}{{0, 4, bpf.Allow}, {5, 5, bpf.KillProcess}, {6, 9, bpf.Allow}, {10, 0xffffffef, bpf.Errno | 1}, {0xfffffff0, 0xffffffff, bpf.Allow}}
	i := 0
	for span := range v.Spans(verdict.Nr) {
		do, ok := span.Then.Constant()
		if i == len(want) || !ok || span.Lo != want[i].lo || span.Hi != want[i].hi || do != want[i].do {
			t.Fatalf("span %d: %d..%d %v", i, span.Lo, span.Hi, do)
		}
		i++
	}
	if i != len(want) {
		t.Errorf("%d spans, want %d", i, len(want))
	}
	if again := s.Patch(verdict.Nr, []verdict.Case{{5, 5, allow}, {3, 3, allow}}[:1], v.Node()); s.Verdict(again) == v {
		t.Error("a patch that changes nothing")
	}
}

func TestDifferences(t *testing.T) {
	s := verdict.NewSpace(10_000)
	eq := func(i int, c uint64) verdict.Node { return s.Compare(verdict.Register(i), verdict.EQ, false, c) }
	allow, deny, kill := s.Action(bpf.Allow), s.Action(bpf.Errno|1), s.Action(bpf.KillProcess)
	a := s.Verdict(s.If(eq(0, 7), allow, deny))
	b := s.Verdict(s.If(eq(0, 7), kill, s.If(eq(1, 1<<40), allow, deny)))
	diffs := verdict.Differences(a, b)
	if len(diffs) != 2 {
		t.Fatalf("%d differences: %+v", len(diffs), diffs)
	}
	for _, d := range diffs {
		if a.At(&d.Data) != d.A || b.At(&d.Data) != d.B || d.A == d.B {
			t.Errorf("not a witness: %+v", d)
		}
	}
	if d := verdict.Differences(a, a); d != nil {
		t.Errorf("a differs from itself: %+v", d)
	}
}

// A verdict is canonical: however a condition is put together, equal functions are the same node.
func TestCanonical(t *testing.T) {
	s := verdict.NewSpace(10_000)
	x := verdict.Register(2)
	ge := s.Compare(x, verdict.GE, false, 10)
	le := s.Compare(x, verdict.LE, false, 12)
	or := verdict.False
	for c := range uint64(3) {
		or = s.Or(or, s.Compare(x, verdict.EQ, false, 10+c))
	}
	if s.And(ge, le) != or {
		t.Error("10 <= x <= 12 is not x in {10, 11, 12}")
	}
	p := bpf.Program{
		{Code: bpf.LD | bpf.ABS, K: bpf.OffsetNr},
		{Code: bpf.JMP | bpf.JGE, K: 10, Jf: 2},
		{Code: bpf.JMP | bpf.JGT, K: 20, Jt: 1},
		{Code: bpf.RET, K: uint32(bpf.Allow) | 99}, // the data of allow means nothing
		{Code: bpf.RET, K: 0xdead0000},             // an unknown action kills the process
	}
	v, err := s.Of(p, binary.LittleEndian)
	if err != nil {
		t.Fatal(err)
	}
	want := s.Patch(verdict.Nr, []verdict.Case{{10, 20, s.Action(bpf.Allow)}}, s.Action(bpf.KillProcess))
	if v != s.Verdict(want) {
		t.Error("a program and its policy are two verdicts")
	}
}

func TestPartsAndCubes(t *testing.T) {
	s := verdict.NewSpace(10_000)
	flags := verdict.Register(0)
	flags.Mask = 0x7e020000
	cond := s.Compare(flags, verdict.EQ, false, 0)
	cubes, ok := s.Cubes(cond, verdict.ArgHi(0), 4)
	if !ok || len(cubes) != 1 || cubes[0] != (verdict.Cube{Mask: 0x7e020000}) {
		t.Errorf("cubes %+v %v", cubes, ok)
	}
	second := s.Compare(verdict.Register(1), verdict.EQ, false, 5)
	v := s.Verdict(s.If(cond, second, verdict.False))
	parts, ok := s.Parts(v, verdict.ArgLo(0), 2)
	if !ok || len(parts) != 2 {
		t.Fatalf("%d parts", len(parts))
	}
	for _, p := range parts {
		if p.Then.Node() == second && p.Cond != cond {
			t.Error("the condition of a part is not what led to it")
		}
	}
}
