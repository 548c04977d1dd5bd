package bpf

import "math/bits"

// flow is what is known of the call where an instruction runs. It is a superset of the truth: what it excludes cannot
// be.
type flow struct {
	reached bool
	a       value
	calls   []calls
}

// calls is a set of system calls under one architecture, or under any (known false).
type calls struct {
	known bool
	arch  uint32
	nr    spans
}

// A value is what the accumulator holds: the word of seccomp_data at an offset, masked; or something else (word false).
type value struct {
	word   bool
	offset uint32
	mask   uint32
}

// maxArches bounds the architectures that are kept apart at one instruction.
const maxArches = 8

// flows computes what is known before each instruction. Jumps go only forward, so one pass in order sees every way in
// before the instruction itself.
func flows(p Program) []flow {
	in := make([]flow, len(p))
	if len(p) == 0 {
		return in
	}
	in[0] = flow{reached: true, calls: []calls{{nr: everything}}}
	to := func(target uint64, f flow) {
		if target < uint64(len(in)) && len(f.calls) > 0 {
			in[target].join(f)
		}
	}
	for pc, ins := range p {
		f := in[pc]
		if !f.reached {
			continue
		}
		next := uint64(pc) + 1
		switch ins.op().form {
		case formRetK, formRetA:
		case formGoto:
			to(next+uint64(ins.K), f)
		case formCondX:
			to(next+uint64(ins.Jt), f)
			to(next+uint64(ins.Jf), f)
		case formCondK:
			yes, no := f.split(ins)
			to(next+uint64(ins.Jt), yes)
			to(next+uint64(ins.Jf), no)
		default:
			f.a = f.a.after(ins)
			to(next, f)
		}
	}
	return in
}

// after is the accumulator once an instruction that is neither jump nor ret has run.
func (v value) after(ins Instruction) value {
	switch ins.Code {
	case LD | W | ABS:
		return value{true, ins.K, maxUint32}
	case ALU | AND | K:
		v.mask &= ins.K
		return v
	case LDX | IMM, LDX | MEM, LDX | W | LEN, ST, STX, MISC | TAX:
		return v
	}
	return value{}
}

// join adds another way in. It never changes slices in place: flows share them.
func (f *flow) join(g flow) {
	if !f.reached {
		*f = g
		return
	}
	if f.a != g.a {
		f.a = value{}
	}
	merged := append([]calls(nil), f.calls...)
next:
	for _, c := range g.calls {
		for i := range merged {
			if m := &merged[i]; m.known == c.known && m.arch == c.arch {
				m.nr = m.nr.union(c.nr).bounded()
				continue next
			}
		}
		merged = append(merged, c)
	}
	if len(merged) > maxArches {
		merged = []calls{{nr: everything}}
	}
	f.calls = merged
}

// split is what is known after a conditional jump with a constant, where it holds and where it doesn't.
func (f flow) split(ins Instruction) (yes, no flow) {
	yes, no = f, f
	switch {
	case f.a == (value{true, OffsetArch, maxUint32}) && ins.Code == JMP|JEQ|K:
		yes.calls, no.calls = nil, nil
		for _, c := range f.calls {
			switch {
			case !c.known:
				no.calls = append(no.calls, c)
				c.known, c.arch = true, ins.K
				yes.calls = append(yes.calls, c)
			case c.arch == ins.K:
				yes.calls = append(yes.calls, c)
			default:
				no.calls = append(no.calls, c)
			}
		}
	case f.a.word && f.a.offset == OffsetNr:
		holds, ok := where(ins, ^f.a.mask)
		if !ok {
			break
		}
		yes.calls, no.calls = restrict(f.calls, holds), restrict(f.calls, holds.complement())
	}
	return yes, no
}

func restrict(cs []calls, to spans) []calls {
	var out []calls
	for _, c := range cs {
		if c.nr = c.nr.intersect(to).bounded(); len(c.nr) > 0 {
			out = append(out, c)
		}
	}
	return out
}

// where returns the numbers for which a test holds when the bits in hidden are cleared first; ok is false where it does
// not work that out. Of masks it knows those that clear one bit, as filters do to treat x32 numbers like x86_64's.
func where(ins Instruction, hidden uint32) (holds spans, ok bool) {
	if bits.OnesCount32(hidden) > 1 {
		return nil, false
	}
	k := ins.K
	switch ins.Code {
	case JMP | JEQ | K:
		if k&hidden != 0 {
			return nil, true
		}
		return spans{{k, k}}.union(spans{{k | hidden, k | hidden}}), true
	case JMP | JGT | K:
		if k == maxUint32 {
			return nil, true
		}
		return atLeast(k+1, hidden)
	case JMP | JGE | K:
		return atLeast(k, hidden)
	case JMP | JSET | K:
		if k &= ^hidden; k == 0 {
			return nil, true
		}
		if bits.OnesCount32(k) == 1 && k >= topBits {
			return blocks(k), true
		}
	}
	return nil, false
}

// topBits is the lowest bit whose blocks are worth listing: x32's.
const topBits = 1 << 30

// blocks lists the numbers that have a bit set, which is one of the two highest.
func blocks(bit uint32) spans {
	if bit == 1<<31 {
		return spans{{bit, maxUint32}}
	}
	return spans{{bit, 2*bit - 1}, {3 * bit, maxUint32}}
}

// atLeast lists the numbers that are at least k once the hidden bit is cleared.
func atLeast(k, hidden uint32) (spans, bool) {
	if hidden == 0 {
		return spans{{k, maxUint32}}, true
	}
	if hidden < topBits {
		return nil, false
	}
	set := blocks(hidden)
	out := spans{{k, maxUint32}}.intersect(set.complement())
	if uint64(k)+uint64(hidden) <= uint64(maxUint32) {
		out = out.union(spans{{k + hidden, maxUint32}}.intersect(set))
	}
	return out, true
}
