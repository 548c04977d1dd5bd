package verdict

import (
	"encoding/binary"

	"monban/bpf"
)

// Of is the exact meaning of one filter. It works on anything that the kernel admits; the error is the program's own
// (*bpf.CheckError) or ErrTooComplex.
func (s *Space) Of(p bpf.Program, order binary.ByteOrder) (v Verdict, err error) {
	err = s.Do(func() error {
		n, err := s.lift(p, order, func(a bpf.Action) uint32 { return uint32(a.Canonical()) })
		v = Verdict{s, n}
		return err
	})
	return v, err
}

// Of is the exact meaning of one filter in a space of its own with the default budget.
func Of(p bpf.Program, order binary.ByteOrder) (Verdict, error) {
	return NewSpace(DefaultBudget).Of(p, order)
}

// lift walks the program from its first instruction, once for each state of the registers that can be told apart and
// still matters there. Jumps only go forward, so that ends. Registers hold 32 conditions each: what a bit is, for every
// input.
func (s *Space) lift(p bpf.Program, order binary.ByteOrder, end func(bpf.Action) uint32) (Node, error) {
	if err := p.Check(); err != nil {
		return False, err
	}
	s.reserve(nodesPerInstruction * len(p))
	l := &lifter{
		Space: s, p: p, end: end, big: order == binary.ByteOrder(binary.BigEndian),
		live:  liveness(p),
		memo:  make(map[state]Node, 2*len(p)),
		conds: make(map[test]Node, len(p)),
		ids:   map[vector]register{},
		joint: map[register]Node{},
	}
	zero := l.constant(0)
	return l.run(state{a: zero, x: zero}), nil
}

// nodesPerInstruction is about what real filters take.
const nodesPerInstruction = 8

type (
	// A vector is the contents of a register, the least significant bit first.
	vector [32]Node
	// A register is the number of an interned vector; 0 is one that nobody will look at.
	register uint32
	memory   uint32 // the number of an interned scratch memory; 0 has nothing that matters

	state struct {
		pc   int
		a, x register
		m    memory
	}
	test struct {
		a, x register // x is 0 where the operand is k
		op   uint16
		k    uint32
	}
)

type lifter struct {
	*Space
	p    bpf.Program
	end  func(bpf.Action) uint32
	big  bool
	live []uint32

	memo    map[state]Node
	conds   map[test]Node
	vectors []vector
	plains  []plain      // what plainOf found in vectors
	arrive  [][]interval // in a sweep: the values that reach each instruction
	ids     map[vector]register
	consts  map[uint32]register
	loads   [bpf.DataSize / 4]register
	joint   map[register]Node

	memories  [][bpf.MemWords]register
	memoryIDs map[[bpf.MemWords]register]memory
}

// run is the meaning of the program from a state on.
func (l *lifter) run(st state) Node {
	st = l.forget(st)
	if n, ok := l.memo[st]; ok {
		return n
	}
	if len(l.memo) >= l.budget/8 {
		l.exceed("nodes' worth of register states")
	}
	l.charge(operate)
	n := l.exec(st)
	l.memo[st] = n
	return n
}

func (l *lifter) exec(st state) Node {
	in := l.p[st.pc]
	next := st
	next.pc++
	switch in.Code & 7 {
	case bpf.LD, bpf.LDX:
		v := l.load(st, in)
		if in.Code&7 == bpf.LD {
			next.a = v
		} else {
			next.x = v
		}
	case bpf.ST:
		next.m = l.store(st.m, in.K, st.a)
	case bpf.STX:
		next.m = l.store(st.m, in.K, st.x)
	case bpf.MISC:
		if in.Code&0xf8 == bpf.TAX {
			next.x = st.a
		} else {
			next.a = st.x
		}
	case bpf.ALU:
		return l.alu(st, in)
	case bpf.JMP:
		if in.Code&0xf0 == bpf.JA {
			next.pc += int(in.K)
			break
		}
		if n, ok := l.sweep(st); ok {
			return n
		}
		cond := l.condition(st, in)
		yes, no := next, next
		yes.pc += int(in.Jt)
		no.pc += int(in.Jf)
		switch cond {
		case True:
			return l.run(yes)
		case False:
			return l.run(no)
		}
		then := l.run(yes)
		return l.If(cond, then, l.run(no))
	case bpf.RET:
		if in.Code&0x18 == bpf.K {
			return l.value(l.end(bpf.Action(in.K)))
		}
		return l.values(st.a)
	}
	return l.run(next)
}

func (l *lifter) load(st state, in bpf.Instruction) register {
	switch in.Code & 0xe0 {
	case bpf.IMM:
		return l.constant(in.K)
	case bpf.MEM:
		return l.memories[st.m][in.K]
	case bpf.LEN:
		return l.constant(bpf.DataSize)
	}
	if r := l.loads[in.K/4]; r != 0 {
		return r
	}
	w := wordAt(in.K, l.big)
	var v vector
	for i := range v {
		v[i] = l.variable(w, i)
	}
	r := l.intern(v)
	l.loads[in.K/4] = r
	return r
}

// wordAt is the word at an offset of struct seccomp_data; 64-bit members hold their low half first on little-endian
// machines.
func wordAt(offset uint32, big bool) Word {
	switch {
	case offset == bpf.OffsetNr:
		return Nr
	case offset == bpf.OffsetArch:
		return Arch
	}
	high := offset%8 == 4 != big
	if offset < bpf.OffsetArgs {
		if high {
			return IPHi
		}
		return IPLo
	}
	i := int(offset-bpf.OffsetArgs) / 8
	if high {
		return ArgHi(i)
	}
	return ArgLo(i)
}

func (l *lifter) intern(v vector) register {
	if r, ok := l.ids[v]; ok {
		return r
	}
	if len(l.vectors) == 0 {
		l.vectors = make([]vector, 1, 32) // number 0 is nobody's
	}
	if len(l.vectors) >= l.budget/32+64 { // a vector is some twenty nodes large
		l.exceed("nodes' worth of registers")
	}
	r := register(len(l.vectors))
	l.vectors = append(l.vectors, v)
	l.ids[v] = r
	return r
}

func (l *lifter) constant(k uint32) register {
	if r, ok := l.consts[k]; ok {
		return r
	}
	var v vector
	for i := range v {
		v[i] = False | Node(k>>i&1)
	}
	if l.consts == nil {
		l.consts = map[uint32]register{}
	}
	l.consts[k] = l.intern(v)
	return l.consts[k]
}

func (l *lifter) store(m memory, slot uint32, r register) memory {
	var mem [bpf.MemWords]register
	if len(l.memories) > 0 {
		mem = l.memories[m]
	}
	mem[slot] = r
	return l.internMemory(mem)
}

func (l *lifter) internMemory(mem [bpf.MemWords]register) memory {
	if l.memoryIDs == nil {
		l.memoryIDs = map[[bpf.MemWords]register]memory{{}: 0}
		l.memories = [][bpf.MemWords]register{{}}
	}
	m, ok := l.memoryIDs[mem]
	if !ok {
		m = memory(len(l.memories))
		l.memories = append(l.memories, mem)
		l.memoryIDs[mem] = m
	}
	return m
}

// Bits of liveness: the scratch words, then the registers.
const (
	liveA uint32 = 1 << (bpf.MemWords + iota)
	liveX
)

// liveness says for each instruction which registers and scratch words may still be read from there on.
func liveness(p bpf.Program) []uint32 {
	live := make([]uint32, len(p)+1)
	for pc := len(p) - 1; pc >= 0; pc-- {
		in := p[pc]
		out := live[pc+1]
		var reads, writes uint32
		operand := func() {
			if in.Code&bpf.X != 0 {
				reads |= liveX
			}
		}
		switch in.Code & 7 {
		case bpf.LD, bpf.LDX:
			writes = liveA
			if in.Code&7 == bpf.LDX {
				writes = liveX
			}
			if in.Code&0xe0 == bpf.MEM {
				reads = 1 << in.K
			}
		case bpf.ST:
			reads, writes = liveA, 1<<in.K
		case bpf.STX:
			reads, writes = liveX, 1<<in.K
		case bpf.MISC:
			reads, writes = liveA, liveX
			if in.Code&0xf8 == bpf.TXA {
				reads, writes = liveX, liveA
			}
		case bpf.ALU:
			reads = liveA
			operand()
		case bpf.JMP:
			if in.Code&0xf0 == bpf.JA {
				out = live[pc+1+int(in.K)]
				break
			}
			reads = liveA
			operand()
			out = live[pc+1+int(in.Jt)] | live[pc+1+int(in.Jf)]
		case bpf.RET:
			out = 0
			if in.Code&0x18 == bpf.A {
				reads = liveA
			}
		}
		live[pc] = out&^writes | reads
	}
	return live
}

// forget drops what nobody will read, so that states which differ only there are one.
func (l *lifter) forget(st state) state {
	live := l.live[st.pc]
	if live&liveA == 0 {
		st.a = 0
	}
	if live&liveX == 0 {
		st.x = 0
	}
	if st.m != 0 {
		mem := l.memories[st.m]
		for i := range mem {
			if live>>i&1 == 0 {
				mem[i] = 0
			}
		}
		st.m = l.internMemory(mem)
	}
	return st
}

// values is the function whose value is the register's: the ends of all its bits together.
func (l *lifter) values(r register) Node {
	if n, ok := l.joint[r]; ok {
		return n
	}
	l.charge(operate)
	v := l.vectors[r]
	level := uint32(endLevel)
	for _, b := range v {
		level = min(level, l.level(b))
	}
	var n Node
	if level == endLevel {
		var k uint32
		for i, b := range v {
			k |= l.valueAt(b) << i
		}
		n = l.value(l.end(bpf.Action(k)))
	} else {
		var lo, hi vector
		for i, b := range v {
			lo[i], hi[i] = l.cofactors(b, level)
		}
		zero := l.values(l.intern(lo))
		n = l.mk(level, zero, l.values(l.intern(hi)))
	}
	l.joint[r] = n
	return n
}
