package compile

import (
	"encoding/binary"
	"fmt"
	"slices"

	"monban/bpf"
	"monban/verdict"
)

// maxJump is how far a conditional jump reaches, in instructions.
const maxJump = 255

// layout writes code down, from the last instruction to the first, so that every target is already placed when it is
// jumped to.
type layout struct {
	pool  *pool
	order binary.ByteOrder
	out   []bpf.Instruction // backwards
	at    map[ref]int       // where in out the nearest copy of a ref is
	loads map[ref][]ref     // the loads and ands that are followed by a ref
}

// place puts r's program together.
func (p *pool) place(r ref, order binary.ByteOrder) (bpf.Program, error) {
	l := &layout{pool: p, order: order, at: map[ref]int{}, loads: map[ref][]ref{}}
	l.follow(r, map[ref]bool{})
	l.emit(r)
	// The first instruction must be r itself: anything put after it (a shared load) would run instead.
	if l.at[r] != len(l.out)-1 {
		l.jumpTo(r)
	}
	if len(l.out) > bpf.MaxInstructions {
		return nil, fmt.Errorf("%w: it needs %d instructions, and the kernel takes %d at most", ErrTooLong, len(l.out), bpf.MaxInstructions)
	}
	slices.Reverse(l.out)
	return l.out, nil
}

// follow notes which loads lead to which code.
func (l *layout) follow(r ref, seen map[ref]bool) {
	if r == none || seen[r] {
		return
	}
	seen[r] = true
	l.pool.space.Charge(lookup)
	c := l.pool.codes[r]
	if c.op == load || c.op == and {
		l.loads[c.yes] = append(l.loads[c.yes], r)
	}
	l.follow(c.yes, seen)
	l.follow(c.no, seen)
}

func (l *layout) emit(r ref) {
	if _, done := l.at[r]; done {
		return
	}
	c := l.pool.codes[r]
	switch c.op {
	case ret:
		l.put(r, bpf.Instruction{Code: bpf.RET | bpf.K, K: c.k})
		return
	case load, and:
		l.emit(c.yes)
		if _, done := l.at[r]; done {
			return // its successor took it along
		}
		if l.at[c.yes] != len(l.out)-1 {
			l.jumpTo(c.yes)
		}
		l.single(r)
		return
	}
	l.emit(c.yes)
	l.emit(c.no)
	l.near(c.yes)
	l.near(c.no)
	l.near(c.yes) // making room for one may push the other out of reach
	jumps := map[op]uint16{jeq: bpf.JEQ, jge: bpf.JGE, jset: bpf.JSET}
	l.put(r, bpf.Instruction{
		Code: bpf.JMP | jumps[c.op] | bpf.K, K: c.k,
		Jt: uint8(l.distance(c.yes)), Jf: uint8(l.distance(c.no)),
	})
	// A load that leads here is best put right before, where it needs no jump.
	if before := l.loads[r]; len(before) > 0 {
		if _, done := l.at[before[0]]; !done {
			l.single(before[0])
		}
	}
}

// single puts a load or an and, whose successor comes next.
func (l *layout) single(r ref) {
	c := l.pool.codes[r]
	in := bpf.Instruction{Code: bpf.ALU | bpf.AND | bpf.K, K: c.k}
	if c.op == load {
		in = bpf.Instruction{Code: bpf.LD | bpf.W | bpf.ABS, K: offset(verdict.Word(c.k), l.order)}
	}
	l.put(r, in)
}

// fault is nil but in a test, which spoils what was just put: the proof must find it.
var fault func(l *layout, r ref)

func (l *layout) put(r ref, in bpf.Instruction) {
	l.pool.space.Charge(lookup)
	l.at[r] = len(l.out)
	l.out = append(l.out, in)
	if fault != nil {
		fault(l, r)
	}
}

// distance is the number of instructions that a jump put next skips to reach r.
func (l *layout) distance(r ref) int { return len(l.out) - 1 - l.at[r] }

// near sees to it that a jump put next reaches r.
func (l *layout) near(r ref) {
	if l.distance(r) > maxJump-2 {
		l.jumpTo(r)
	}
}

// jumpTo puts a copy of r: the same ret, or an unconditional jump to it.
func (l *layout) jumpTo(r ref) {
	if c := l.pool.codes[r]; c.op == ret {
		l.put(r, bpf.Instruction{Code: bpf.RET | bpf.K, K: c.k})
		return
	}
	l.put(r, bpf.Instruction{Code: bpf.JMP | bpf.JA, K: uint32(l.distance(r))})
}

// offset is where a word lies in struct seccomp_data.
func offset(w verdict.Word, order binary.ByteOrder) uint32 {
	half := func(base uint32, high bool) uint32 {
		if high == (order == binary.ByteOrder(binary.LittleEndian)) {
			return base + 4
		}
		return base
	}
	switch {
	case w == verdict.Nr:
		return bpf.OffsetNr
	case w == verdict.Arch:
		return bpf.OffsetArch
	case w >= verdict.IPHi:
		return half(bpf.OffsetIP, w == verdict.IPHi)
	}
	i := uint32(w-2) / 2
	return half(bpf.OffsetArgs+8*i, w == verdict.ArgHi(int(i)))
}
