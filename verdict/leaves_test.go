package verdict_test

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/verdict"
)

// Leaves are what Spans come to, however many there are.
func TestLeaves(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	compared := 0
	for range 300 {
		p := randomProgram(r)
		s := verdict.NewSpace(100_000)
		err := s.Do(func() error {
			v, err := s.Of(p, binary.LittleEndian)
			if err != nil {
				return err
			}
			leaves := v.Leaves(verdict.Arch)
			sum := uint64(0)
			for _, l := range leaves {
				sum += l.Count
				if v.Restrict(verdict.Arch, l.Least) != l.Then {
					t.Fatalf("%v: %#x does not lead to its leaf", p, l.Least)
				}
			}
			if sum != 1<<32 {
				t.Fatalf("%v: the leaves have %d values", p, sum)
			}
			spans, few := v.SpansUpTo(verdict.Arch, 4096)
			if !few {
				return nil
			}
			compared++
			count, least := map[verdict.Verdict]uint64{}, map[verdict.Verdict]uint32{}
			for _, span := range spans {
				if _, known := count[span.Then]; !known {
					least[span.Then] = span.Lo
				}
				count[span.Then] += uint64(span.Hi) - uint64(span.Lo) + 1
			}
			if len(count) != len(leaves) {
				t.Fatalf("%v: %d leaves, want %d", p, len(leaves), len(count))
			}
			for _, l := range leaves {
				if l.Count != count[l.Then] || l.Least != least[l.Then] {
					t.Fatalf("%v: %+v, want %d values from %#x on", p, l, count[l.Then], least[l.Then])
				}
			}
			return nil
		})
		if err != nil {
			continue // too complex for so small a space
		}
	}
	if compared < 100 {
		t.Errorf("%d were compared: the test proves little", compared)
	}
}

// An attempt that needs too much leaves the rest of the budget to others; what it needs is not part of an answer.
func TestAttempt(t *testing.T) {
	s := verdict.NewSpace(20_000)
	parity := func() verdict.Node {
		n := verdict.False
		for i := range 32 {
			n = s.If(s.Compare(verdict.Field{Lo: verdict.Nr, Bits: 32, Mask: 1 << i}, verdict.NE, false, 0), s.Not(n), n)
		}
		return n
	}
	err := s.Do(func() error {
		if err := s.Attempt(func() error {
			return s.Do(func() error { // not the outermost: it must not return
				for range s.Verdict(parity()).Spans(verdict.Nr) {
				}
				return nil
			})
		}); err == nil {
			t.Error("2^31 spans were gone through")
		}
		if d, ok := s.Verdict(parity()).Witness(func(a bpf.Action) bool { return a == 1 }); !ok || d.Nr == 0 {
			t.Errorf("afterwards: %+v, %v", d, ok)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// Calls of architectures that nobody has may meet several things.
func TestElsewhere(t *testing.T) {
	s := verdict.NewSpace(10_000)
	is := func(token uint32) verdict.Node {
		return s.Compare(verdict.Single(verdict.Arch), verdict.EQ, false, uint64(token))
	}
	v := s.Verdict(s.If(is(abi.X86_64.Token()), s.Action(bpf.Allow), s.If(is(0x77), s.Action(bpf.Log), s.Action(bpf.Trap))))
	leaves := v.Elsewhere()
	if len(leaves) != 2 || leaves[1].Least != 0x77 || leaves[1].Count != 1 {
		t.Errorf("%+v", leaves)
	}
}
