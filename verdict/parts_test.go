package verdict_test

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"monban/bpf"
	"monban/verdict"
)

// The conditions of parts exclude each other, cover everything, and lead to what is said.
func TestParts(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 32))
	compared := 0
	for range 300 {
		p := randomProgram(r)
		s := verdict.NewSpace(100_000)
		err := s.Do(func() error {
			v, err := s.Of(p, binary.LittleEndian)
			if err != nil {
				return err
			}
			for _, w := range []verdict.Word{verdict.Arch, verdict.Nr, verdict.ArgHi(0), verdict.ArgLo(0), verdict.ArgLo(3), verdict.IPLo} {
				parts, ok := s.Parts(v, w, 200)
				if !ok {
					continue
				}
				covered, back := verdict.False, verdict.False
				seen := map[verdict.Verdict]bool{}
				for _, part := range parts {
					if s.And(covered, part.Cond) != verdict.False || part.Cond == verdict.False || seen[part.Then] {
						t.Fatalf("%v: after word %d, parts overlap", p, w)
					}
					seen[part.Then] = true
					covered = s.Or(covered, part.Cond)
					back = s.If(part.Cond, part.Then.Node(), back)
				}
				if covered != verdict.True || back != v.Node() {
					t.Fatalf("%v: the parts after word %d are not the program", p, w)
				}
				if few, ok := s.Parts(v, w, len(parts)-1); ok {
					t.Fatalf("%v: %d parts of %d", p, len(few), len(parts))
				}
				compared++
			}
			return nil
		})
		if err != nil {
			continue // too complex
		}
	}
	if compared < 300 {
		t.Errorf("only %d compared", compared)
	}
}

// Thousands of parts take work for the diagram, not for the diagram once for each.
func TestManyParts(t *testing.T) {
	const n = 3000
	s := verdict.NewSpace(verdict.DefaultBudget)
	err := s.Do(func() error {
		var cases []verdict.Case
		for i := range uint32(n) {
			cases = append(cases, verdict.Case{Lo: 1000 * i, Hi: 1000 * i, Then: s.Action(bpf.Errno | bpf.Action(1+i))})
		}
		v := s.Verdict(s.Patch(verdict.ArgLo(0), cases, s.Action(bpf.Allow)))
		parts, ok := s.Parts(v, verdict.ArgLo(0), n+1)
		if !ok || len(parts) != n+1 {
			t.Errorf("%d parts", len(parts))
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
