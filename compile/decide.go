package compile

import (
	"math/bits"

	"monban/verdict"
)

// maxSpans is how many ranges of a call's number or an architecture are worth treating one by one.
const maxSpans = 1 << 15

// decide is code for a verdict, where A holds cur.
func (p *pool) decide(v verdict.Verdict, cur verdict.Word) ref {
	if a, ok := v.Constant(); ok {
		return p.ret(a)
	}
	w, _ := v.First()
	memo := p.memo
	if w <= verdict.Nr {
		memo = p.numbered
	}
	key := want{v.Node(), cur}
	if r, ok := memo[key]; ok {
		return r
	}
	var r ref
	if cur == w {
		r = p.tests(v, w)
	} else {
		r = p.load(w, p.decide(v, w))
		if high := isArgument(w) && w%2 == 0; high {
			if low, ok := p.lowFirst(v, w); ok {
				r = p.shorter(v, r, low)
			}
		}
	}
	memo[key] = r
	return r
}

// tests is code for a verdict whose first word is in A: the shortest of what the ways to do it make.
func (p *pool) tests(v verdict.Verdict, w verdict.Word) ref {
	if w == verdict.Arch {
		return p.archs(v)
	}
	if w == verdict.Nr {
		return p.numbers(v)
	}
	byBits := p.bits(v, w)
	if _, ok := cubeOf(v, w); ok {
		return byBits // one test, or two: there is nothing shorter
	}
	if masked, ok := p.masked(v, w); ok {
		byBits = p.smallest(byBits, masked)
	}
	if peeled, ok := p.peeled(v, w); ok {
		byBits = p.smallest(byBits, peeled)
	}
	// Each range costs at least half a test: more of them than that cannot beat the bits.
	if spans, ok := p.spans(v, w, 0, 0xffffffff, 2*p.size(byBits)+2); ok {
		byRange := p.ranges(spans)
		return p.smallest(byRange, byBits)
	}
	return byBits
}

// A span is a range of values with the code that decides them.
type span struct {
	lo, hi uint32
	then   ref
	weight float64 // how often its calls really run the filter
}

// spans lists the ranges of w between lo and hi; ok is false where there are more than limit.
func (p *pool) spans(v verdict.Verdict, w verdict.Word, lo, hi uint32, limit int) (spans []span, ok bool) {
	if limit == maxSpans {
		if _, few := v.SpansUpTo(w, maxSpans); !few {
			return nil, false // and no code is made for the first of them
		}
	}
	for s := range v.Spans(w) {
		if s.Hi < lo {
			continue
		}
		if s.Lo > hi {
			break
		}
		if len(spans) == limit {
			return nil, false
		}
		if w == verdict.Arch {
			p.arch = s.Lo
		}
		spans = append(spans, span{max(s.Lo, lo), min(s.Hi, hi), p.decide(s.Then, w), 0})
	}
	if isArgument(w) {
		p.weighValues(spans)
	}
	return spans, true
}

// bits is code that tests w by its bits: a whole cube at a time where one decides, otherwise bit by bit.
func (p *pool) bits(v verdict.Verdict, w verdict.Word) ref {
	if first, ok := v.First(); !ok || first != w {
		return p.decide(v, w)
	}
	key := want{v.Node(), w | 128} // apart from decide's own memory
	if r, ok := p.memo[key]; ok {
		return r
	}
	var r ref
	if c, ok := cubeOf(v, w); ok {
		r = p.cube(c, w)
	} else {
		_, bit, zero, one := v.Top()
		r = p.jump(jset, bit, p.bits(one, w), p.bits(zero, w))
	}
	p.memo[key] = r
	return r
}

// A cube is a verdict that asks one thing of a word: is value & mask == want?
type cube struct {
	mask, want uint32
	yes, no    verdict.Verdict
}

// cubeOf recognises a cube: a chain of bits that all lead to the same place when they are wrong.
func cubeOf(v verdict.Verdict, w verdict.Word) (cube, bool) {
	_, bit, zero, one := v.Top()
	for _, c := range []cube{{bit, 0, zero, one}, {bit, bit, one, zero}} {
		for {
			first, ok := c.yes.First()
			if !ok || first != w {
				break
			}
			_, bit, zero, one := c.yes.Top()
			switch c.no {
			case one:
				c.yes = zero
			case zero:
				c.yes, c.want = one, c.want|bit
			default:
				c.yes = v // give up: sentinel below
			}
			if c.yes == v {
				break
			}
			c.mask |= bit
		}
		if first, ok := c.no.First(); c.yes != v && !(ok && first == w) {
			return c, true
		}
	}
	return cube{}, false
}

func (p *pool) cube(c cube, w verdict.Word) ref {
	yes, no := p.decide(c.yes, w), p.decide(c.no, w)
	switch {
	case c.want == 0:
		return p.jump(jset, c.mask, no, yes)
	case bits.OnesCount32(c.mask) == 1:
		return p.jump(jset, c.mask, yes, no)
	case c.mask == 0xffffffff:
		return p.jump(jeq, c.want, yes, no)
	}
	// A no longer holds w after the AND.
	return p.and(c.mask, p.jump(jeq, c.want, p.decide(c.yes, noWord), p.decide(c.no, noWord)))
}

// maxMasked is how many values under a mask are worth treating one by one.
const maxMasked = 64

// masked is code that masks out what w's tests look at and then goes by ranges of what is left.
func (p *pool) masked(v verdict.Verdict, w verdict.Word) (ref, bool) {
	mask := v.Support(w)
	if mask == 0xffffffff {
		return 0, false
	}
	var spans []span
	// Walk the values under the mask in ascending order: those between two of them do not occur.
	for value := uint32(0); ; value = (value - mask) & mask {
		if len(spans) > maxMasked || bits.OnesCount32(mask) > 10 {
			return 0, false
		}
		then := p.decide(v.Restrict(w, value), noWord)
		if n := len(spans); n > 0 && spans[n-1].then == then {
			spans[n-1].hi = value
		} else {
			if n > 0 {
				spans[n-1].hi = value - 1
			}
			spans = append(spans, span{value, value, then, 0})
		}
		if value == mask {
			break
		}
	}
	spans[len(spans)-1].hi = 0xffffffff
	return p.and(mask, p.ranges(spans)), true
}

// peeled is code that asks for one odd value first, where what is left is a plain question: x & mask == 0 || x == -1.
func (p *pool) peeled(v verdict.Verdict, w verdict.Word) (ref, bool) {
	s := v.Space()
	parts, ok := s.Parts(v, w, 2)
	if !ok || len(parts) != 2 {
		return 0, false
	}
	for i, part := range parts {
		cubes, ok := s.Cubes(part.Cond, w&^1, 2)
		if !ok {
			continue
		}
		for _, c := range cubes {
			mask, value := uint32(c.Mask), uint32(c.Want)
			if w&1 == 0 {
				mask, value = uint32(c.Mask>>32), uint32(c.Want>>32)
			}
			if mask != 0xffffffff {
				continue
			}
			rest := s.Verdict(s.Patch(w, []verdict.Case{{Lo: value, Hi: value, Then: parts[1-i].Then.Node()}}, v.Node()))
			if first, ok := rest.First(); !ok || first != w {
				continue
			}
			if c, ok := cubeOf(rest, w); ok {
				return p.except(c, value, p.decide(part.Then, w), w), true
			}
		}
	}
	return 0, false
}

// except is code for a cube in which one value leads to odd. Most calls have it settled by the cube's test: that comes
// first where A still holds the word after it.
func (p *pool) except(c cube, value uint32, odd ref, w verdict.Word) ref {
	yes, no := p.decide(c.yes, w), p.decide(c.no, w)
	if c.want != 0 && bits.OnesCount32(c.mask) != 1 {
		return p.jump(jeq, value, odd, p.cube(c, w))
	}
	if c.want != 0 {
		yes, no = no, yes // now yes is where the bits are 0
	}
	if value&c.mask == 0 {
		return p.jump(jset, c.mask, no, p.jump(jeq, value, odd, yes))
	}
	return p.jump(jset, c.mask, p.jump(jeq, value, odd, no), yes)
}
