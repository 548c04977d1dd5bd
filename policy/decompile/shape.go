package decompile

import (
	"slices"
	"strconv"
	"strings"

	"monban/abi"
	"monban/policy"
	"monban/verdict"
)

// A shape is how a register's value is looked at: which operand, how wide, and with which constants' names.
type shape struct {
	x      policy.Operand
	bits   int
	signed bool
	name   func(uint64) policy.Const
	mask   func(uint64) (c policy.Const, number bool) // a mask in flags' names, or a number; number says that its 0 may have a name
}

// shape finds the narrowest operand that sees all that the condition looks at.
func (d *decompiler) shape(a abi.Arch, call string, v verdict.Verdict, hi verdict.Word) (shape, bool) {
	number := func(x uint64) policy.Const { return policy.Num(x) }
	if hi == verdict.IPHi {
		return shape{policy.Operand{Name: "ip"}, 64, false, number, plainMask}, true
	}
	i := int(hi-verdict.ArgHi(0)) / 2
	sh := shape{policy.Operand{Arg: i}, a.Bits(), false, number, plainMask}
	args, _ := a.Args(call)
	for _, arg := range args {
		if arg.Index == i && arg.High < 0 {
			sh.bits, sh.signed = arg.Bits, arg.Signed
			if _, taken := policy.Position(arg.Name); !taken {
				sh.x.Name = arg.Name
			}
		}
	}
	upper, lower := v.Support(hi), v.Support(hi+1)
	if upper != 0 && a.Bits() == 32 {
		return shape{}, false
	}
	switch {
	case sh.bits == 64:
		sh.x.Wide = false
		if upper == 0 {
			sh.x.Mask, sh.bits, sh.signed = policy.Num(0xffffffff), 32, false
		}
	case upper != 0 || sh.bits == 16 && lower>>16 != 0:
		sh.x.Wide, sh.bits, sh.signed = true, 64, false
		if upper == 0 {
			sh.x.Mask, sh.bits = policy.Num(0xffffffff), 32
		}
	}
	if call != "" {
		mask := ^uint64(0) >> (64 - sh.bits)
		sh.name = func(x uint64) policy.Const { return spelled(a, a.ConstantName(call, i, x), x, mask) }
		sh.mask = func(x uint64) (policy.Const, bool) {
			names, number := a.MaskName(call, i, x)
			if c := spelled(a, names, x, mask); c != policy.Const(policy.Num(x)) {
				return c, number
			}
			rest := ^x & mask
			names, _ = a.MaskName(call, i, rest)
			if c := spelled(a, names, rest, mask); c != policy.Const(policy.Num(rest)) {
				return policy.Unary{Op: '~', X: c}, false
			}
			return policy.Num(x), true
		}
	}
	return sh, true
}

// spelled is the value x, of those bits, in names joined by |, where they mean exactly this.
func spelled(a abi.Arch, names string, x, mask uint64) policy.Const {
	var c policy.Const
	var sum uint64
	for part := range strings.SplitSeq(names, "|") {
		term := policy.Const(policy.Sym{Name: part})
		v, ok := a.Constant(part)
		if n, err := strconv.ParseUint(part, 0, 64); err == nil {
			v, ok, term = n, true, policy.Num(n)
		} else if !policy.IsConstant(part) {
			ok = false
		}
		if !ok {
			return policy.Num(x)
		}
		sum |= v
		c = orConst(c, term)
	}
	if sum&mask != x {
		return policy.Num(x)
	}
	return c
}

// plainMask is a mask as a number.
func plainMask(x uint64) (policy.Const, bool) { return policy.Num(x), true }

// inFlags says that a mask is one of named flags.
func (sh *shape) inFlags(mask uint64) bool {
	c, _ := sh.mask(mask)
	return c != policy.Const(policy.Num(mask))
}

func orConst(a, b policy.Const) policy.Const {
	if a == nil {
		return b
	}
	return policy.Binary{Op: '|', X: a, Y: b}
}

// valueRanges lists the values of a register, its low bits wide, that a condition holds for.
func valueRanges(v verdict.Verdict, hi verdict.Word, bits, limit int) (out [][2]uint64, ok bool) {
	add := func(lo, hi uint64) bool {
		if n := len(out); n > 0 && out[n-1][1]+1 == lo {
			out[n-1][1] = hi
			return true
		}
		out = append(out, [2]uint64{lo, hi})
		return len(out) <= limit
	}
	// Of two spans side by side one holds.
	most := 2*limit + 2
	low := func(v verdict.Verdict, base uint64, top uint32) bool {
		spans, few := v.SpansUpTo(hi+1, most)
		if !few {
			return false
		}
		for _, s := range spans {
			if yes, _ := s.Then.Constant(); yes == 1 && s.Lo <= top && !add(base|uint64(s.Lo), base|uint64(min(s.Hi, top))) {
				return false
			}
		}
		return true
	}
	if bits < 64 {
		return out, low(v, 0, uint32(1<<bits-1))
	}
	spans, few := v.SpansUpTo(hi, most)
	if !few {
		return nil, false
	}
	for _, s := range spans {
		yes, constant := s.Then.Constant()
		switch {
		case constant && yes == 0:
		case constant:
			if !add(uint64(s.Lo)<<32, uint64(s.Hi)<<32|0xffffffff) {
				return nil, false
			}
		case s.Lo != s.Hi || !low(s.Then, uint64(s.Lo)<<32, 0xffffffff):
			return nil, false // the low half decides under many high halves: ranges without end
		}
	}
	return out, true
}

// signedRanges reorders ranges as signed numbers: the negative ones first.
func signedRanges(ranges [][2]uint64, bits int) [][2]uint64 {
	sign := uint64(1) << (bits - 1)
	var negative, positive [][2]uint64
	for _, r := range ranges {
		if r[0] < sign {
			positive = append(positive, [2]uint64{r[0], min(r[1], sign-1)})
		}
		if r[1] >= sign {
			negative = append(negative, [2]uint64{max(r[0], sign), r[1]})
		}
	}
	out := negative
	for _, r := range positive {
		// -1 and 0 are neighbours.
		if n := len(out); n > 0 && (out[n-1][1]+1)&(sign<<1-1) == r[0] {
			out[n-1][1] = r[1]
			continue
		}
		out = append(out, r)
	}
	return out
}

// value is a number of the shape as a constant: by name, or signed where the operand is.
func (sh *shape) value(x uint64) policy.Const {
	if c := sh.name(x); c != policy.Const(policy.Num(x)) {
		return c
	}
	if sh.signed && sh.bits < 64 && x>>(sh.bits-1) == 1 {
		return policy.Num(x | ^uint64(0)<<sh.bits)
	}
	return policy.Num(x)
}

func (sh *shape) ranges(ranges [][2]uint64) policy.Expr {
	lowest, highest := uint64(0), ^uint64(0)>>(64-sh.bits)
	if sh.signed {
		lowest, highest = 1<<(sh.bits-1), highest>>1
	}
	compare := func(op policy.Op, x uint64) policy.Expr { return policy.Compare{X: sh.x, Op: op, Y: sh.value(x)} }
	if len(ranges) == 2 && ranges[0][0] == lowest && ranges[1][1] == highest && (ranges[0][1]+2)&(^uint64(0)>>(64-sh.bits)) == ranges[1][0] {
		return compare(policy.NE, ranges[1][0]-1)
	}
	if len(ranges) == 1 {
		switch r := ranges[0]; {
		case r[0] == r[1]:
			return compare(policy.EQ, r[0])
		case r[0] == lowest:
			return compare(policy.LE, r[1])
		case r[1] == highest:
			return compare(policy.GE, r[0])
		}
	}
	in := policy.In{X: sh.x}
	for _, r := range ranges {
		if names := sh.names(r); names != nil {
			in.Set = append(in.Set, names...)
			continue
		}
		e := policy.Range{Lo: sh.value(r[0])}
		if r[0] != r[1] {
			e.Hi = sh.value(r[1])
		}
		in.Set = append(in.Set, e)
	}
	return in
}

// names lists a short range value by value, where all of its values have names.
func (sh *shape) names(r [2]uint64) []policy.Range {
	const short = 16
	if r[1]-r[0] >= short {
		return nil
	}
	var out []policy.Range
	for x := r[0]; ; x++ {
		c := sh.value(x)
		if _, ok := c.(policy.Num); ok {
			return nil
		}
		if out = append(out, policy.Range{Lo: c}); x == r[1] {
			return out
		}
	}
}

func (sh *shape) cubes(cubes []verdict.Cube) policy.Expr {
	var or policy.Or
	full := ^uint64(0) >> (64 - sh.bits)
	for _, c := range slices.Clone(cubes) {
		x, want := sh.x, sh.value(c.Want)
		if c.Mask != full || x.Mask != nil {
			number := false
			if x.Mask, number = sh.mask(c.Mask); c.Want == 0 && !number {
				want = policy.Num(0) // none of these flags: not PROT_NONE
			}
		}
		or = append(or, policy.Compare{X: x, Op: policy.EQ, Y: want})
	}
	if len(or) == 1 {
		return or[0]
	}
	return or
}
