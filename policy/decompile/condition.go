package decompile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"monban/abi"
	"monban/policy"
	"monban/verdict"
)

// condition writes a condition on one call's arguments as an expression.
func (d *decompiler) condition(a abi.Arch, call string, s *verdict.Space, n verdict.Node) (policy.Expr, error) {
	switch n {
	case verdict.True:
		return policy.And{}, nil
	case verdict.False:
		return policy.Or{}, nil
	}
	v := s.Verdict(n)
	w, _ := v.First()
	hi := w &^ 1 // words come in pairs, high before low
	var or policy.Or
	always := verdict.False
	parts, ok := s.Parts(v, hi+1, maxRanges)
	if !ok {
		return nil, tooMany(call)
	}
	for _, p := range parts {
		if p.Then.Node() == verdict.True {
			always = p.Cond
		}
	}
	if always != verdict.False {
		e, err := d.register(a, call, s, always, hi)
		if err != nil {
			return nil, err
		}
		or = append(or, e)
	}
	for _, p := range parts {
		if p.Then.Node() == verdict.True || p.Then.Node() == verdict.False {
			continue
		}
		rest, err := d.condition(a, call, s, p.Then.Node())
		if err != nil {
			return nil, err
		}
		e, err := d.part(a, call, s, parts, p, hi)
		if err != nil {
			return nil, err
		}
		if always, ok := e.(policy.And); ok && len(always) == 0 {
			or = append(or, rest)
			continue
		}
		or = append(or, policy.And{e, rest})
	}
	if len(or) == 1 {
		return or[0], nil
	}
	return or, nil
}

func single(ranges [][2]uint64) bool { return len(ranges) == 1 && ranges[0][0] == ranges[0][1] }

// part writes when a part of a condition applies. Where another part asks for no more than this one does, it need not be excluded: what
// is shorter is written.
func (d *decompiler) part(a abi.Arch, call string, s *verdict.Space, parts []verdict.Part, p verdict.Part, hi verdict.Word) (policy.Expr, error) {
	const few = 32 // each part is compared with each
	wide := p.Cond
	for _, q := range parts {
		if q.Then.Node() == verdict.True || len(parts) <= few && s.And(p.Then.Node(), s.Not(q.Then.Node())) == verdict.False {
			wide = s.Or(wide, q.Cond)
		}
	}
	if wide == verdict.True {
		return policy.And{}, nil
	}
	e, err := d.register(a, call, s, p.Cond, hi)
	if err != nil || wide == p.Cond {
		return e, err
	}
	if other, err := d.register(a, call, s, wide, hi); err == nil && len(other.String()) < len(e.String()) {
		return other, nil
	}
	return e, nil
}

// A shape is how a register's value is looked at: which operand, how wide, and with which constants' names.
type shape struct {
	x      policy.Operand
	bits   int
	signed bool
	name   func(uint64) policy.Const
	mask   func(uint64) (c policy.Const, number bool) // a mask in flags' names, or a number; number says that its 0 may have a name
}

// register writes a condition on one register: by ranges or by masks, whichever is shorter.
func (d *decompiler) register(a abi.Arch, call string, s *verdict.Space, n verdict.Node, hi verdict.Word) (policy.Expr, error) {
	v := s.Verdict(n)
	sh, ok := d.shape(a, call, v, hi)
	if !ok {
		return nil, fmt.Errorf("%w: on %s, %s is judged by bits that its registers do not have", ErrNotPolicy, a, call)
	}
	if low, ok := aboveOnly(v, hi); ok && a.Bits() == 64 && hi != verdict.IPHi {
		// What differs where a program leaves something in the upper half: the low half's condition, and that.
		below, err := d.condition(a, call, s, low.Node())
		if err != nil {
			return nil, err
		}
		wide := sh.x
		wide.Wide, wide.Mask = true, nil
		above := policy.Compare{X: wide, Op: policy.GT, Y: policy.Num(0xffffffff)}
		if below, ok := below.(policy.And); ok && len(below) == 0 {
			return above, nil
		}
		return policy.And{below, above}, nil
	}
	const plenty = 1024
	ranges, byRange := valueRanges(v, hi, sh.bits, maxRanges)
	if byRange && sh.signed {
		ranges = signedRanges(ranges, sh.bits)
	}
	if byRange && !single(ranges) {
		// Flags are read as flags: "none but these" rather than a list of their sums.
		cubes, ok := s.Cubes(n, hi, 1)
		if ok && sh.inFlags(cubes[0].Mask) {
			return sh.cubes(cubes), nil
		}
	}
	if byRange && len(ranges) <= 2 {
		rest, ok := valueRanges(s.Verdict(s.Not(n)), hi, sh.bits, 1)
		if ok && sh.signed {
			rest = signedRanges(rest, sh.bits)
		}
		if ok && len(rest) < len(ranges) && rest[0][0] != rest[0][1] {
			return policy.Not{X: sh.ranges(rest)}, nil
		}
		return sh.ranges(ranges), nil
	}
	cubes, byMask := s.Cubes(n, hi, plenty)
	others, byOther := s.Cubes(s.Not(n), hi, plenty)
	s.Charge(perWord * (len(ranges) + len(cubes) + len(others)))
	switch {
	case byMask && (!byOther || len(cubes) <= 2*len(others)) && (!byRange || 3*len(cubes) < len(ranges)):
		return sh.cubes(cubes), nil
	case byOther && (!byRange || 3*len(others) < len(ranges)):
		if len(others) == 1 {
			c := sh.cubes(others).(policy.Compare)
			c.Op = policy.NE
			return c, nil
		}
		return policy.Not{X: sh.cubes(others)}, nil
	case byRange:
		return sh.ranges(ranges), nil
	}
	return d.halves(a, call, s, v, hi)
}

// perWord is what a number costs that is written down, perhaps by a name, of the space's budget.
const perWord = 48

// aboveOnly says that a condition never holds where a register's upper half is 0, and does not look at it otherwise; low is what it
// then asks of the low half.
func aboveOnly(v verdict.Verdict, hi verdict.Word) (low verdict.Verdict, ok bool) {
	n := 0
	for span := range v.Spans(hi) {
		if n++; n > 2 {
			return low, false
		} else if n == 1 {
			if no, constant := span.Then.Constant(); span.Lo != 0 || span.Hi != 0 || !constant || no != 0 {
				return low, false
			}
			continue
		}
		low = span.Then
	}
	return low, n == 2
}

// halves writes a condition on a whole register half by half: for each thing that can be left of it after the high word, when
// that is, and what the low word must then be.
func (d *decompiler) halves(a abi.Arch, call string, s *verdict.Space, v verdict.Verdict, hi verdict.Word) (policy.Expr, error) {
	var or policy.Or
	parts, ok := s.Parts(v, hi, maxRanges)
	if !ok {
		return nil, tooMany(call)
	}
	for _, p := range parts {
		if p.Then.Node() == verdict.False {
			continue
		}
		high, err := d.half(call, s, p.Cond, hi, hi)
		if err != nil {
			return nil, err
		}
		low, err := d.half(call, s, p.Then.Node(), hi, hi+1)
		if err != nil {
			return nil, err
		}
		or = append(or, policy.And{high, low})
	}
	return or, nil
}

func tooMany(call string) error {
	return fmt.Errorf("%w: a condition of %s has more than %d alternatives", ErrNotPolicy, call, maxRanges)
}

// half writes a condition on one word of a register.
func (d *decompiler) half(call string, s *verdict.Space, n verdict.Node, hi, w verdict.Word) (policy.Expr, error) {
	if n == verdict.True {
		return policy.And{}, nil
	}
	shift := 0
	if w == hi {
		shift = 32
	}
	sh := shape{x: policy.Operand{Arg: int(hi-verdict.ArgHi(0)) / 2, Wide: true, Mask: policy.Num(0xffffffff << shift)}, bits: 64}
	if hi == verdict.IPHi {
		sh.x.Name = "ip"
	}
	sh.name = func(x uint64) policy.Const { return policy.Num(x) }
	sh.mask = plainMask
	if spans, few := s.Verdict(n).SpansUpTo(w, 2*maxRanges); few {
		var ranges [][2]uint64
		for _, span := range spans {
			if yes, _ := span.Then.Constant(); yes == 1 {
				ranges = append(ranges, [2]uint64{uint64(span.Lo) << shift, uint64(span.Hi) << shift})
			}
		}
		return sh.ranges(ranges), nil
	}
	cubes, ok := s.Cubes(n, hi, maxRanges)
	if !ok {
		return nil, tooMany(call)
	}
	return sh.cubes(cubes), nil
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
