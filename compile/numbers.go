package compile

import (
	"slices"

	"monban/abi"
	"monban/verdict"
)

// x32Bit sets the calls of x32 apart from those of x86_64, which share an architecture token.
const x32Bit uint32 = abi.X32Bit

// maxNamed is how many ranges the calls that exist can have; more come of masks, which bits may say shorter.
const maxNamed = 2048

// numbers is code that decides by the call's number, in A.
func (p *pool) numbers(v verdict.Verdict) ref {
	spans, ok := p.spans(v, verdict.Nr, 0, 0xffffffff, maxSpans)
	if !ok {
		return p.bits(v, verdict.Nr)
	}
	p.weigh(spans)
	r, ok := p.folded(spans)
	switch {
	case !ok:
		r = p.cut(spans)
	case len(spans) <= fewSpans:
		r = p.smallest(r, p.cut(spans))
	}
	if len(spans) > maxNamed {
		r = p.smallest(r, p.bits(v, verdict.Nr))
	}
	return r
}

// cut builds the tree over spans, apart from p.shared, a number from which on several architectures agree: what is
// above it then is the same code for all of them.
func (p *pool) cut(spans []span) ref {
	at := slices.IndexFunc(spans, func(s span) bool { return s.hi >= p.shared })
	if p.shared == 0 || at < 0 || spans[at].lo == 0 && spans[at].hi == 0xffffffff {
		return p.ranges(spans)
	}
	low := slices.Clone(spans[:at+1])
	high := slices.Clone(spans[at:])
	if low[at].lo >= p.shared {
		low = low[:at]
	} else {
		low[at].hi = p.shared - 1
	}
	high[0].lo = p.shared
	if len(low) == 0 || len(high) < 2 {
		return p.ranges(spans)
	}
	return p.jump(jge, p.shared, p.ranges(high), p.ranges(low))
}

// folded decides x86_64 and x32 in one tree: it takes bit 30 out of the number and asks for it only where the two
// differ.
func (p *pool) folded(spans []span) (ref, bool) {
	x32 := clip(spans, x32Bit, 2*x32Bit-1)
	if len(x32) < 3 {
		return 0, false // x32 is not treated call by call
	}
	pairs := p.pair(clip(spans, 0, x32Bit-1), x32)
	pairs = append(pairs, p.pair(clip(spans, 2*x32Bit, 3*x32Bit-1), clip(spans, 3*x32Bit, 0xffffffff))...)
	merged := pairs[:1]
	for _, s := range pairs[1:] {
		if last := &merged[len(merged)-1]; last.then == s.then && last.hi+1 == s.lo {
			last.hi = s.hi
			last.weight += s.weight
		} else {
			merged = append(merged, s)
		}
	}
	return p.and(^x32Bit, p.cut(merged)), true
}

// clip cuts spans to lo..hi.
func clip(spans []span, lo, hi uint32) []span {
	var out []span
	for _, s := range spans {
		if s.hi >= lo && s.lo <= hi {
			s.lo, s.hi = max(s.lo, lo), min(s.hi, hi)
			out = append(out, s)
		}
	}
	return out
}

// pair lays the spans with bit 30 over those without it.
func (p *pool) pair(clear, set []span) []span {
	var out []span
	for i, j := 0, 0; i < len(clear) && j < len(set); {
		a, b := clear[i], set[j]
		bLo, bHi := b.lo&^x32Bit, b.hi&^x32Bit
		s := span{max(a.lo, bLo), min(a.hi, bHi), a.then, a.weight + b.weight}
		if a.then != b.then {
			s.then = p.load(verdict.Nr, p.jump(jset, x32Bit, b.then, a.then))
		}
		out = append(out, s)
		if a.hi <= bHi {
			i++
		}
		if bHi <= a.hi {
			j++
		}
	}
	return out
}
