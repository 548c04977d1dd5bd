package compile

import (
	"cmp"
	"slices"

	"monban/bpf"
	"monban/verdict"
)

// maxLowSpans is up to how many ranges of an argument's low word it is tried before the high one.
const maxLowSpans = 16

// lowFirst is code for a verdict that looks at an argument's high word w, with the low word tested first: for most
// calls of "anything but 16" the low word settles it. ok is false where the low word has no ranges to go by.
func (p *pool) lowFirst(v verdict.Verdict, w verdict.Word) (r ref, ok bool) {
	low := w + 1
	edges := []uint32{0}
	for u := range v.After(w) {
		if first, ok := u.First(); !ok || first != low {
			continue
		}
		n := 0
		for s := range u.Spans(low) {
			if n++; n > maxLowSpans {
				return none, false
			}
			edges = append(edges, s.Lo)
		}
	}
	slices.Sort(edges)
	edges = slices.Compact(edges)
	if len(edges) < 2 || len(edges) > maxLowSpans {
		return none, false
	}
	var spans []span
	for i, lo := range edges {
		hi := uint32(0xffffffff)
		if i+1 < len(edges) {
			hi = edges[i+1] - 1
		}
		then := p.decide(v.Restrict(low, lo), low)
		if n := len(spans); n > 0 && spans[n-1].then == then {
			spans[n-1].hi = hi
		} else {
			spans = append(spans, span{lo, hi, then, 0})
		}
	}
	p.weighValues(spans)
	return p.load(low, p.ranges(spans)), true
}

// shorter is the better of two codes for v, neither of which relies on A: by length, and by what an allowed call
// executes.
func (p *pool) shorter(v verdict.Verdict, a, b ref) ref {
	d, ok := v.Witness(func(x bpf.Action) bool { return x == bpf.Allow })
	if !ok {
		return p.smallest(a, b)
	}
	bySize, byPath := cmp.Compare(p.size(b), p.size(a)), cmp.Compare(p.steps(b, &d), p.steps(a, &d))
	if p.goal == Latency {
		bySize, byPath = byPath, bySize
	}
	if cmp.Or(bySize, byPath) < 0 {
		return b
	}
	return a
}

// steps is how many instructions code executes for a call.
func (p *pool) steps(r ref, d *bpf.Data) int {
	var a uint32
	for n := 1; ; n++ {
		c := p.codes[r]
		yes := true
		switch c.op {
		case ret:
			p.space.Charge(1 + n/perStep)
			return n
		case load:
			a = verdict.Word(c.k).Of(d)
		case and:
			a &= c.k
		case jeq:
			yes = a == c.k
		case jge:
			yes = a >= c.k
		case jset:
			yes = a&c.k != 0
		}
		if r = c.yes; !yes {
			r = c.no
		}
	}
}
