package verdict

import "monban/bpf"

// operand is the second operand of an ALU instruction or a jump.
func (l *lifter) operand(st state, in bpf.Instruction) vector {
	if in.Code&bpf.X != 0 {
		return l.vectors[st.x]
	}
	return l.vectors[l.constant(in.K)]
}

// condition is the condition under which a conditional jump holds.
func (l *lifter) condition(st state, in bpf.Instruction) Node {
	t := test{a: st.a, op: in.Code, k: in.K}
	if in.Code&bpf.X != 0 {
		t.x, t.k = st.x, 0
	}
	if n, ok := l.conds[t]; ok {
		return n
	}
	a, b := l.vectors[st.a], l.operand(st, in)
	var n Node
	switch in.Code & 0xf0 {
	case bpf.JEQ:
		n = True
		for i := range a {
			n = l.If(l.xnor(a[i], b[i]), n, False)
		}
	case bpf.JGT:
		n = l.less(b, a, False)
	case bpf.JGE:
		n = l.less(b, a, True)
	case bpf.JSET:
		n = False
		for i := range a {
			n = l.If(l.And(a[i], b[i]), True, n)
		}
	}
	l.conds[t] = n
	return n
}

// less is a < b, or same where they are equal. Constants of either side fold away bit by bit.
func (l *lifter) less(a, b vector, same Node) Node {
	r := same
	for i := range a {
		switch {
		case a[i] == b[i]:
		case b[i].isTerminal():
			if b[i] == True {
				r = l.If(a[i], r, True)
			} else {
				r = l.If(a[i], False, r)
			}
		case a[i].isTerminal():
			if a[i] == True {
				r = l.If(b[i], r, False)
			} else {
				r = l.If(b[i], True, r)
			}
		default:
			r = l.If(l.xnor(a[i], b[i]), r, b[i])
		}
	}
	return r
}

func (l *lifter) xnor(a, b Node) Node {
	switch {
	case b == True:
		return a
	case a == True:
		return b
	}
	return l.If(a, b, l.Not(b))
}

func (l *lifter) xor(a, b Node) Node {
	if b == False {
		return a
	}
	return l.If(a, l.Not(b), b)
}

// alu runs one arithmetic instruction, as the kernel does after converting it to eBPF (net/core/filter.c): 32-bit,
// shift counts taken modulo 32, and a division by an X of zero ends the filter with 0.
func (l *lifter) alu(st state, in bpf.Instruction) Node {
	next := st
	next.pc++
	a, b := l.vectors[st.a], l.operand(st, in)
	if x, y, ok := l.numbers(a, b); ok && (in.Code&0xf0 != bpf.DIV || y != 0) {
		next.a = l.constant(compute(in.Code, x, y))
		return l.run(next)
	}
	l.charge(work[in.Code&0xf0])
	var r vector
	switch in.Code & 0xf0 {
	case bpf.ADD:
		r = l.add(a, b, False)
	case bpf.SUB:
		r = l.add(a, l.invert(b), True)
	case bpf.NEG:
		r = l.add(l.vectors[l.constant(0)], l.invert(a), True)
	case bpf.MUL:
		r = l.multiply(a, b)
	case bpf.OR:
		for i := range r {
			r[i] = l.Or(a[i], b[i])
		}
	case bpf.AND:
		for i := range r {
			r[i] = l.And(a[i], b[i])
		}
	case bpf.XOR:
		for i := range r {
			r[i] = l.xor(a[i], b[i])
		}
	case bpf.LSH, bpf.RSH:
		r = l.shift(a, b, in.Code&0xf0 == bpf.LSH)
	case bpf.DIV:
		next.a = l.intern(l.divide(a, b))
		zero := True
		for _, bit := range b {
			zero = l.And(l.Not(bit), zero)
		}
		if zero == True {
			return l.value(l.end(0))
		}
		return l.If(zero, l.value(l.end(0)), l.run(next))
	}
	next.a = l.intern(r)
	return l.run(next)
}

// work is what an operation costs beside what its bits make: most of them are nothing or all of what comes in.
var work = map[uint16]int{bpf.ADD: 16, bpf.SUB: 24, bpf.NEG: 24, bpf.MUL: 256, bpf.OR: 8, bpf.AND: 8, bpf.XOR: 8, bpf.LSH: 32, bpf.RSH: 32, bpf.DIV: 1024}

// numbers are the values of two vectors that are the same for every input.
func (l *lifter) numbers(a, b vector) (x, y uint32, ok bool) {
	for i := range a {
		if !a[i].isTerminal() || !b[i].isTerminal() {
			return 0, 0, false
		}
		x |= l.valueAt(a[i]) << i
		y |= l.valueAt(b[i]) << i
	}
	return x, y, true
}

// compute is the operation on numbers. A division has no divisor of zero.
func compute(code uint16, x, y uint32) uint32 {
	switch code & 0xf0 {
	case bpf.ADD:
		return x + y
	case bpf.SUB:
		return x - y
	case bpf.NEG:
		return -x
	case bpf.MUL:
		return x * y
	case bpf.OR:
		return x | y
	case bpf.AND:
		return x & y
	case bpf.XOR:
		return x ^ y
	case bpf.LSH:
		return x << (y & 31)
	case bpf.RSH:
		return x >> (y & 31)
	}
	return x / y
}

func (l *lifter) invert(a vector) vector {
	for i := range a {
		a[i] = l.Not(a[i])
	}
	return a
}

func (l *lifter) add(a, b vector, carry Node) vector {
	var r vector
	for i := range r {
		x := l.xor(a[i], b[i])
		r[i] = l.xor(x, carry)
		carry = l.If(x, carry, a[i])
	}
	return r
}

func (l *lifter) multiply(a, b vector) vector {
	if l.isConstant(a) {
		a, b = b, a
	}
	r := l.vectors[l.constant(0)]
	for i := range b {
		if b[i] == False {
			continue
		}
		var addend vector
		for j := range addend {
			addend[j] = False
			if j >= i {
				addend[j] = l.And(b[i], a[j-i])
			}
		}
		r = l.add(r, addend, False)
	}
	return r
}

func (l *lifter) isConstant(v vector) bool {
	for _, b := range v {
		if !b.isTerminal() {
			return false
		}
	}
	return true
}

func (l *lifter) shift(a, count vector, left bool) vector {
	for stage := range 5 {
		c := count[stage]
		if c == False {
			continue
		}
		by := 1 << stage
		var r vector
		for i := range r {
			from := i + by
			if left {
				from = i - by
			}
			moved := False
			if from >= 0 && from < 32 {
				moved = a[from]
			}
			r[i] = l.If(c, moved, a[i])
		}
		a = r
	}
	return a
}

// divide is the quotient by long division, bit by bit; what it is where b is zero does not matter.
func (l *lifter) divide(a, b vector) vector {
	rest := l.vectors[l.constant(0)]
	var q vector
	for i := 31; i >= 0; i-- {
		overflow := rest[31]
		copy(rest[1:], rest[:31])
		rest[0] = a[i]
		// The rest is below b, so twice the rest plus one is below 2^33: overflow stands for its topmost bit.
		fits := l.Or(overflow, l.Not(l.less(rest, b, False)))
		q[i] = fits
		less := l.add(rest, l.invert(b), True)
		for j := range rest {
			rest[j] = l.If(fits, less[j], rest[j])
		}
	}
	return q
}
