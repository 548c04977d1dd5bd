package compile

import "monban/verdict"

// archs is code that decides by the architecture, in A.
func (p *pool) archs(v verdict.Verdict) ref {
	p.shared = p.agreement(v)
	return p.dispatch(v)
}

// is64 is __AUDIT_ARCH_64BIT (linux/audit.h): architectures with it are the ones that are mostly run.
const is64 = 0x80000000

func (p *pool) dispatch(v verdict.Verdict) ref {
	spans, ok := p.spans(v, verdict.Arch, 0, 0xffffffff, maxSpans)
	if !ok {
		return p.bits(v, verdict.Arch)
	}
	for i := range spans {
		s := &spans[i]
		if s.lo == s.hi {
			s.weight = 1
			if s.lo&is64 != 0 {
				s.weight = 10
			}
		}
	}
	return p.ranges(spans)
}

// agreement finds the number from which on, x32's aside, at least two architectures treat all calls alike, where that
// is worth it.
func (p *pool) agreement(v verdict.Verdict) uint32 {
	const (
		worth = 4   // spans in common
		most  = 256 // ranges of architectures; a filter that tells more of them apart goes by bits
	)
	archs, few := v.SpansUpTo(verdict.Arch, most)
	if !few {
		return 0
	}
	var lists [][]span
	for _, s := range archs {
		if w, ok := s.Then.First(); !ok || w != verdict.Nr {
			continue
		}
		if spans, ok := p.spans(s.Then, verdict.Nr, 0, x32Bit-1, maxSpans); ok {
			lists = append(lists, spans)
		}
	}
	var best uint32
	for i, a := range lists {
		for _, b := range lists[:i] {
			n := 0
			for n < len(a) && n < len(b) && a[len(a)-1-n].then == b[len(b)-1-n].then {
				n++
				if a[len(a)-n].lo != b[len(b)-n].lo {
					break
				}
			}
			p.space.Charge(1 + n/perStep)
			if n < worth {
				continue
			}
			if at := max(a[len(a)-n].lo, b[len(b)-n].lo); best == 0 || at < best {
				best = at
			}
		}
	}
	return best
}
