package verdict

import "iter"

// After yields each verdict that can be left of v after the words up to w, once, in the order of the first values that
// lead to it.
func (v Verdict) After(w Word) iter.Seq[Verdict] {
	s, end := v.space, uint32(w)*32+32
	return func(yield func(Verdict) bool) {
		seen := map[Node]bool{}
		var walk func(Node) bool
		walk = func(n Node) bool {
			if seen[n] {
				return true
			}
			s.charge(visit)
			seen[n] = true
			if s.level(n) >= end {
				return yield(Verdict{s, n})
			}
			return walk(s.nodes[n].lo) && walk(s.nodes[n].hi)
		}
		walk(v.node)
	}
}

// Graft is v with each verdict that is left of it after the words up to w replaced by f's answer, which must not look
// at those words. f is asked once for each.
func (v Verdict) Graft(w Word, f func(Verdict) Verdict) Verdict {
	s, end := v.space, uint32(w)*32+32
	memo := map[Node]Node{}
	var walk func(Node) Node
	walk = func(n Node) Node {
		if r, ok := memo[n]; ok {
			return r
		}
		s.charge(visit)
		var r Node
		if s.level(n) >= end {
			r = f(Verdict{s, n}).node
		} else {
			d := s.nodes[n]
			lo := walk(d.lo)
			r = s.mk(d.level, lo, walk(d.hi))
		}
		memo[n] = r
		return r
	}
	return Verdict{s, walk(v.node)}
}
