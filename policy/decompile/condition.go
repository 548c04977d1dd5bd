package decompile

import (
	"fmt"

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

// part writes when a part of a condition applies. Where another part asks for no more than this one does, it need not
// be excluded: what is shorter is written.
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

// aboveOnly says that a condition never holds where a register's upper half is 0, and does not look at it otherwise;
// low is what it then asks of the low half.
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

// halves writes a condition on a whole register half by half: for each thing that can be left of it after the high
// word, when that is, and what the low word must then be.
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
