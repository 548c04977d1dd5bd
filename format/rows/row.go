package rows

import (
	"fmt"
	"strings"

	"monban/abi"
	"monban/bpf"
	"monban/verdict"
)

// An Op is how a test compares. All comparisons are unsigned.
type Op uint8

// The comparisons of a register with Test.Value; MaskedEQ is register & Mask == Value.
const (
	EQ Op = iota
	NE
	LT
	LE
	GT
	GE
	MaskedEQ
)

func (op Op) String() string { return [...]string{"==", "!=", "<", "<=", ">", ">=", "&=="}[op] }

// A Test compares one whole register: 64 bits, or 32 where the architecture's have no more.
type Test struct {
	Arg   int // 0 to 5
	Op    Op
	Mask  uint64 // of MaskedEQ only; Value has no bits outside of it
	Value uint64
}

func (t Test) String() string {
	if t.Op == MaskedEQ {
		return fmt.Sprintf("arg%d & %#x == %#x", t.Arg, t.Mask, t.Value)
	}
	return fmt.Sprintf("arg%d %s %#x", t.Arg, t.Op, t.Value)
}

// A Row gives an action to what passes all of its tests: at most one an argument, in the order of the arguments.
type Row struct {
	Action bpf.Action
	Tests  []Test // empty: always
}

func (r Row) String() string {
	var tests []string
	for _, t := range r.Tests {
		tests = append(tests, t.String())
	}
	return fmt.Sprintf("%s(%s)", r.Action, strings.Join(tests, " && "))
}

// node is the condition of a test on registers of a width.
func (t Test) node(s *verdict.Space, bits int) verdict.Node {
	f := verdict.Register(t.Arg)
	if f.Bits = bits; bits == 32 {
		f.Mask = 1<<32 - 1
	}
	if t.Op == MaskedEQ {
		f.Mask &= t.Mask
		return s.Compare(f, verdict.EQ, false, t.Value&f.Mask)
	}
	// The operators have the order of the verdict's.
	return s.Compare(f, verdict.Op(t.Op), false, t.Value)
}

// all is the conjunction of tests.
func all(s *verdict.Space, bits int, tests []Test) verdict.Node {
	n := verdict.True
	for _, t := range tests {
		n = s.And(n, t.node(s, bits))
	}
	return n
}

// Meaning is what rows say on an architecture, with an action for what no row is about. Not all formats' programs take
// constants of more bits than the architecture's registers have alike: where that would matter it is an error. It may
// be verdict.ErrTooComplex.
func Meaning(s *verdict.Space, a abi.Arch, list []Row, otherwise bpf.Action) (verdict.Verdict, error) {
	return verdict.Exact(s, func() (verdict.Verdict, error) {
		v, ok := meaning(s, a.Bits(), list, otherwise)
		if !ok {
			return v, errWide
		}
		return v, nil
	})
}

func meaning(s *verdict.Space, bits int, list []Row, otherwise bpf.Action) (v verdict.Verdict, ok bool) {
	n := s.Action(otherwise)
	for _, r := range list {
		for _, t := range r.Tests {
			if bits == 32 && t.Value>>32 != 0 {
				return v, false
			}
		}
		n = s.If(all(s, bits, r.Tests), s.Action(r.Action), n)
	}
	return s.Verdict(n), true
}
