package verdict

import "monban/bpf"

// A Word is one 32-bit word of struct seccomp_data, in the order in which verdicts test them.
type Word uint8

// The words before the arguments'; see ArgHi, ArgLo, IPHi and IPLo for the others.
const (
	Arch Word = 0
	Nr   Word = 1

	IPHi Word = 14
	IPLo Word = 15

	words = 16
)

// ArgHi is the high word of argument i.
func ArgHi(i int) Word { return Word(2 + 2*i) }

// ArgLo is the low word of argument i.
func ArgLo(i int) Word { return Word(3 + 2*i) }

// Of is the word's value in d.
func (w Word) Of(d *bpf.Data) uint32 {
	switch {
	case w == Arch:
		return d.Arch
	case w == Nr:
		return d.Nr
	case w == IPHi:
		return uint32(d.IP >> 32)
	case w == IPLo:
		return uint32(d.IP)
	case w%2 == 0:
		return uint32(d.Args[w/2-1] >> 32)
	default:
		return uint32(d.Args[w/2-1])
	}
}

// set puts the word's value into d.
func (w Word) set(d *bpf.Data, v uint32) {
	half := func(p *uint64, high bool) {
		if high {
			*p = *p&0xffffffff | uint64(v)<<32
		} else {
			*p = *p&^0xffffffff | uint64(v)
		}
	}
	switch {
	case w == Arch:
		d.Arch = v
	case w == Nr:
		d.Nr = v
	case w >= IPHi:
		half(&d.IP, w == IPHi)
	default:
		half(&d.Args[w/2-1], w%2 == 0)
	}
}

// variable is the condition that bit i (0 is the least significant) of w is 1.
func (s *Space) variable(w Word, i int) Node { return s.mk(uint32(w)*32+31-uint32(i), False, True) }

// An Op is a relation between a field and a constant.
type Op uint8

const (
	EQ Op = iota
	NE
	LT
	LE
	GT
	GE
)

// A Field is a number of up to 64 bits made of one or two words: (value & Mask) ^ Xor, Bits wide. Where Bits is at most
// 32, Hi is not looked at.
type Field struct {
	Hi, Lo    Word
	Bits      int // 16, 32 or 64
	Mask, Xor uint64
}

// Register is the whole of argument i, 64 bits.
func Register(i int) Field { return Field{Hi: ArgHi(i), Lo: ArgLo(i), Bits: 64, Mask: ^uint64(0)} }

// Single is one word.
func Single(w Word) Field { return Field{Lo: w, Bits: 32, Mask: 0xffffffff} }

func (s *Space) bit(f Field, i int) Node {
	var b Node
	switch {
	case f.Mask>>i&1 == 0:
		b = False
	case i >= 32:
		b = s.variable(f.Hi, i-32)
	default:
		b = s.variable(f.Lo, i)
	}
	if f.Xor>>i&1 == 1 {
		b = s.Not(b)
	}
	return b
}

// Compare is the condition that f stands in relation op to c, both as two's complement numbers of f.Bits bits where
// signed.
func (s *Space) Compare(f Field, op Op, signed bool, c uint64) Node {
	if signed {
		// Flipping the sign bit of both turns signed order into unsigned order.
		sign := uint64(1) << (f.Bits - 1)
		f.Xor, c = f.Xor^sign, c^sign
	}
	switch op {
	case NE:
		return s.Not(s.equal(f, c))
	case LT:
		return s.below(f, c, False)
	case LE:
		return s.below(f, c, True)
	case GT:
		return s.Not(s.below(f, c, True))
	case GE:
		return s.Not(s.below(f, c, False))
	}
	return s.equal(f, c)
}

// In is the condition that f lies in one of the ranges, both ends included, which must be in ascending order and
// disjoint as unsigned numbers of f.Bits bits.
func (s *Space) In(f Field, ranges [][2]uint64) Node { return s.in(f, f.Bits, 0, ranges) }

// in decides the lowest n bits of f, where the bits above are those of base.
func (s *Space) in(f Field, n int, base uint64, ranges [][2]uint64) Node {
	last := base + (uint64(1)<<n - 1)
	s.charge(1 + len(ranges)/perStep)
	for len(ranges) > 0 && ranges[0][1] < base {
		ranges = ranges[1:]
	}
	for len(ranges) > 0 && ranges[len(ranges)-1][0] > last {
		ranges = ranges[:len(ranges)-1]
	}
	switch {
	case len(ranges) == 0:
		return False
	case ranges[0][0] <= base && last <= ranges[0][1]:
		return True
	}
	switch bit := s.bit(f, n-1); bit {
	case False:
		return s.in(f, n-1, base, ranges)
	case True:
		return s.in(f, n-1, base|1<<(n-1), ranges)
	default:
		zero := s.in(f, n-1, base, ranges)
		return s.If(bit, s.in(f, n-1, base|1<<(n-1), ranges), zero)
	}
}

func (s *Space) equal(f Field, c uint64) Node {
	r := True
	for i := range f.Bits {
		if c>>i&1 == 1 {
			r = s.If(s.bit(f, i), r, False)
		} else {
			r = s.If(s.bit(f, i), False, r)
		}
	}
	return r
}

// below is f < c, or f <= c where same, the answer for equal numbers, is True.
func (s *Space) below(f Field, c uint64, same Node) Node {
	r := same
	for i := range f.Bits {
		if c>>i&1 == 1 {
			r = s.If(s.bit(f, i), r, True)
		} else {
			r = s.If(s.bit(f, i), False, r)
		}
	}
	return r
}

// A Case is a function for one range of a word's values, both ends included.
type Case struct {
	Lo, Hi uint32
	Then   Node
}

// Patch is base with the given ranges of w replaced. The cases must be in ascending order and disjoint; neither they
// nor base may depend on a word before w, nor the cases on w itself.
func (s *Space) Patch(w Word, cases []Case, base Node) Node {
	return s.patch(uint32(w)*32, 0xffffffff, 0, 0xffffffff, cases, base)
}

// patch goes by the bits in mask only: the cases are ranges of the word under it, and base does not depend on the
// others.
func (s *Space) patch(level, mask, lo, hi uint32, cases []Case, base Node) Node {
	s.charge(1 + len(cases)/perStep)
	for len(cases) > 0 && cases[0].Hi < lo {
		cases = cases[1:]
	}
	for len(cases) > 0 && cases[len(cases)-1].Lo > hi {
		cases = cases[:len(cases)-1]
	}
	switch {
	case len(cases) == 0:
		return base
	case cases[0].Lo <= lo && hi <= cases[0].Hi:
		return cases[0].Then
	}
	mid := lo + (hi-lo)/2
	if mask>>(31-level%32)&1 == 0 {
		return s.patch(level+1, mask, lo, mid, cases, base)
	}
	b0, b1 := s.cofactors(base, level)
	return s.mk(level, s.patch(level+1, mask, lo, mid, cases, b0), s.patch(level+1, mask, mid+1, hi, cases, b1))
}
