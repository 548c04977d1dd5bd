package verdict

// Copy is v in another space, which pays for it.
func (s *Space) Copy(v Verdict) Verdict {
	if v.space == s {
		return v
	}
	memo := map[Node]Node{}
	var walk func(Node) Node
	walk = func(n Node) Node {
		if n.isTerminal() {
			return s.value(v.space.valueAt(n))
		}
		r, ok := memo[n]
		if !ok {
			s.charge(visit)
			d := v.space.nodes[n]
			lo := walk(d.lo)
			r = s.mk(d.level, lo, walk(d.hi))
			memo[n] = r
		}
		return r
	}
	return Verdict{s, walk(v.node)}
}
