package bpf

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// Whatever runs, runs within what flows says of it.
func TestFlowsCoverEveryRun(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	tests := []uint16{LD | W | ABS, ALU | AND | K, JMP | JEQ | K, JMP | JGE | K, JMP | JGT | K, JMP | JSET | K, JMP | JA, MISC | TAX}
	narrowed := 0
	for range 4000 {
		p := randomProgram(r, pick(r, [][]uint16{allCodes, tests, tests}), 30)
		for i := range p {
			if p[i].Code == LD|W|ABS {
				p[i].K &= 4 // nr or arch
			}
			if p[i].Code == ALU|AND|K && r.IntN(2) == 0 {
				p[i].K = pick(r, []uint32{0xbfffffff, 0x7fffffff, 0xfffffffe})
			}
		}
		in := flows(p)
		for range 30 {
			d := randomData(r)
			if r.IntN(2) == 0 {
				k := p[r.IntN(len(p))].K
				d.Nr = pick(r, []uint32{k, k + 1, k - 1, k | 0x40000000, k | 0x80000000, d.Nr})
			}
			p.Trace(&d, binary.LittleEndian, func(pc int) {
				for _, c := range in[pc].calls {
					if (!c.known || c.arch == d.Arch) && c.nr.contains(d.Nr) {
						if len(c.nr) > 1 || c.nr[0] != everything[0] {
							narrowed++
						}
						return
					}
				}
				t.Fatalf("instruction %d runs for nr %#x, arch %#x, outside of %v\n%v", pc, d.Nr, d.Arch, in[pc], p)
			})
		}
	}
	if narrowed < 10000 {
		t.Errorf("only %d instructions ran where something is known: too few to tell", narrowed)
	}
}

func TestSpans(t *testing.T) {
	// Sets over numbers at the borders are compared with maps.
	points := []uint32{0, 1, 2, 3, 0x3ffffffe, 0x3fffffff, 0x40000000, 0x40000001, 0x7fffffff, 0x80000000, 0xc0000000, 0xfffffffe, maxUint32}
	r := rand.New(rand.NewPCG(9, 10))
	random := func() spans {
		var s spans
		for range r.IntN(4) {
			a, b := pick(r, points), pick(r, points)
			s = s.union(spans{{min(a, b), max(a, b)}})
		}
		return s
	}
	for range 20000 {
		s, u := random(), random()
		union, both, not := s.union(u), s.intersect(u), s.complement()
		for _, v := range points {
			if union.contains(v) != (s.contains(v) || u.contains(v)) || both.contains(v) != (s.contains(v) && u.contains(v)) ||
				not.contains(v) == s.contains(v) {
				t.Fatalf("%v and %v at %#x: union %v, intersection %v, complement of the first %v", s, u, v, union, both, not)
			}
		}
		for _, set := range []spans{union, both, not} {
			for i := 1; i < len(set); i++ {
				if uint64(set[i].lo) <= uint64(set[i-1].hi)+1 {
					t.Fatalf("%v is not in order", set)
				}
			}
		}
	}
	var many spans
	for v := range uint32(100) {
		many = many.union(spans{{v * v, v * v}})
	}
	few := many.bounded()
	if len(few) != maxSpans {
		t.Errorf("%d intervals, want %d", len(few), maxSpans)
	}
	for v := range uint32(100) {
		if !few.contains(v * v) {
			t.Errorf("%d is lost", v*v)
		}
	}
	if list, ok := (spans{{1, 2}, {7, 7}, {maxUint32, maxUint32}}).members(4); !ok || len(list) != 4 || list[3] != maxUint32 {
		t.Errorf("members: %v, %v", list, ok)
	}
	if list, ok := (spans{{1, 2}, {7, 9}}).members(4); ok {
		t.Errorf("members of five: %v", list)
	}
}

// where agrees with the test itself wherever it gives an answer.
func TestWhere(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	answered := 0
	for range 20000 {
		ins := Instruction{Code: pick(r, []uint16{JMP | JEQ | K, JMP | JGE | K, JMP | JGT | K, JMP | JSET | K}), K: randomK(r), Jf: 1}
		hidden := pick(r, []uint32{0, 1, 4, 1 << 30, 1 << 31})
		holds, ok := where(ins, hidden)
		if !ok {
			continue
		}
		answered++
		p := Program{{Code: LD | W | ABS}, {Code: ALU | AND | K, K: ^hidden}, ins, {Code: RET | K, K: 1}, {Code: RET | K, K: 0}}
		for range 10 {
			nr := pick(r, []uint32{randomK(r), ins.K, ins.K - 1, ins.K + 1, ins.K ^ hidden, ins.K + hidden, ins.K - 1 ^ hidden})
			if got := p.Run(&Data{Nr: nr}, binary.LittleEndian) == 1; got != holds.contains(nr) {
				t.Fatalf("%v with %#x hidden holds for %#x: %v, where says %v", ins, hidden, nr, got, holds)
			}
		}
	}
	if answered < 8000 {
		t.Errorf("only %d answers", answered)
	}
}
