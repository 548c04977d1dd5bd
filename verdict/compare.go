package verdict

import (
	"iter"
	"math"
	"slices"

	"monban/bpf"
)

// A Difference is a call on which two verdicts disagree.
type Difference struct {
	Data bpf.Data // the witness: bits that do not matter are 0
	A, B bpf.Action
}

// Differences finds one witness for each pair of actions that a and b answer differently; it is empty if and only if a
// == b. Both must live in the same space.
func Differences(a, b Verdict) []Difference {
	var all []Difference
	seen := map[[2]bpf.Action]bool{}
	for d := range pairs(a, b, func(x, y bpf.Action) bool { return x != y && !seen[[2]bpf.Action{x, y}] }) {
		seen[[2]bpf.Action{d.A, d.B}] = true
		all = append(all, d)
	}
	return all
}

// Violation is a call on which a answers x, b answers y and bad(x, y) holds: what stands against "b does what a
// promises".
func Violation(a, b Verdict, bad func(x, y bpf.Action) bool) (Difference, bool) {
	for d := range pairs(a, b, bad) {
		return d, true
	}
	return Difference{}, false
}

// pairs walks the two diagrams together, each pair of nodes once, and yields the ends that want accepts.
func pairs(a, b Verdict, want func(x, y bpf.Action) bool) iter.Seq[Difference] {
	if a.space != b.space {
		panic("verdict: comparing verdicts of two spaces")
	}
	s := a.space
	return func(yield func(Difference) bool) {
		seen := map[[2]Node]bool{}
		var path bpf.Data
		var walk func(m, n Node) bool
		walk = func(m, n Node) bool {
			if seen[[2]Node{m, n}] {
				return true
			}
			s.charge(visit)
			seen[[2]Node{m, n}] = true
			level := min(s.level(m), s.level(n))
			if level == endLevel {
				x, y := bpf.Action(s.valueAt(m)), bpf.Action(s.valueAt(n))
				return !want(x, y) || yield(Difference{path, x, y})
			}
			m0, m1 := s.cofactors(m, level)
			n0, n1 := s.cofactors(n, level)
			if !walk(m0, n0) {
				return false
			}
			w, bit := Word(level/32), uint32(1)<<(31-level%32)
			w.set(&path, w.Of(&path)|bit)
			ok := walk(m1, n1)
			w.set(&path, w.Of(&path)&^bit)
			return ok
		}
		walk(a.node, b.node)
	}
}

// When is the condition that v answers a.
func (s *Space) When(v Verdict, a bpf.Action) Node {
	return v.Where(func(x bpf.Action) bool { return x == a })
}

// Where is the condition that v's answer is one that want accepts.
func (v Verdict) Where(want func(bpf.Action) bool) Node {
	s := v.space
	memo := map[Node]Node{}
	var walk func(Node) Node
	walk = func(n Node) Node {
		if n.isTerminal() {
			if want(bpf.Action(s.valueAt(n))) {
				return True
			}
			return False
		}
		r, ok := memo[n]
		if !ok {
			s.charge(visit)
			d := s.nodes[n]
			lo := walk(d.lo)
			r = s.mk(d.level, lo, walk(d.hi))
			memo[n] = r
		}
		return r
	}
	return walk(v.node)
}

// A Part is one way a verdict goes on after a word: the condition on the words up to it, and what is left then.
type Part struct {
	Cond Node
	Then Verdict
}

// Parts splits v by what is left of it after the words up to w: the conditions exclude each other and cover everything.
// ok is false where there are more than limit parts.
func (s *Space) Parts(v Verdict, w Word, limit int) (parts []Part, ok bool) {
	end := uint32(w)*32 + 32
	var ends []Node
	seen := map[Node]bool{}
	var collect func(Node)
	collect = func(n Node) {
		if seen[n] || len(ends) > limit {
			return
		}
		s.charge(visit)
		seen[n] = true
		if s.level(n) >= end {
			ends = append(ends, n)
			return
		}
		collect(s.nodes[n].lo)
		collect(s.nodes[n].hi)
	}
	collect(v.node)
	if len(ends) > limit {
		return nil, false
	}
	number := make(map[Node]uint32, len(ends))
	for i, n := range ends {
		number[n] = uint32(i)
	}
	// The conditions for all ends at once: of each node, those that it leads to, by number.
	type lead struct {
		end  uint32
		cond Node
	}
	memo := map[Node][]lead{}
	var room []lead
	var walk func(Node) []lead
	walk = func(n Node) []lead {
		all, ok := memo[n]
		switch {
		case ok:
			return all
		case s.level(n) >= end:
			all = []lead{{number[n], True}}
		default:
			d := s.nodes[n]
			lo, hi := walk(d.lo), walk(d.hi)
			room = room[:0]
			for len(lo) > 0 || len(hi) > 0 {
				l, h := lead{uint32(len(ends)), False}, lead{uint32(len(ends)), False}
				if len(lo) > 0 {
					l = lo[0]
				}
				if len(hi) > 0 {
					h = hi[0]
				}
				switch {
				case l.end < h.end:
					h.cond, lo = False, lo[1:]
				case h.end < l.end:
					l.cond, hi = False, hi[1:]
				default:
					lo, hi = lo[1:], hi[1:]
				}
				room = append(room, lead{min(l.end, h.end), s.mk(d.level, l.cond, h.cond)})
			}
			all = slices.Clone(room)
			s.charge(visit + operate*len(all))
		}
		memo[n] = all
		return all
	}
	parts = make([]Part, len(ends))
	for i, l := range walk(v.node) {
		parts[i] = Part{l.cond, Verdict{s, ends[i]}}
	}
	return parts, true
}

// A Cube is a set of 64-bit values: those with value & Mask == Want.
type Cube struct{ Mask, Want uint64 }

// Cubes lists disjoint cubes of the two words hi and hi+1 (a register) that make up the condition; ok is false where
// there are more than limit. The condition must not look at other words.
func (s *Space) Cubes(cond Node, hi Word, limit int) (cubes []Cube, ok bool) {
	// Each way to True is a cube. A count that could not be listed need not be exact.
	count := map[Node]uint64{False: 0, True: 1}
	var ways func(n Node) uint64
	ways = func(n Node) uint64 {
		c, known := count[n]
		if !known {
			s.charge(visit)
			d := s.nodes[n]
			c = min(ways(d.lo)+ways(d.hi), math.MaxUint32)
			count[n] = c
		}
		return c
	}
	if ways(cond) > uint64(limit) {
		return nil, false
	}
	first := uint32(hi) * 32
	var walk func(n Node, c Cube)
	walk = func(n Node, c Cube) {
		s.charge(1)
		switch n {
		case False:
			return
		case True:
			cubes = append(cubes, c)
			return
		}
		d := s.nodes[n]
		bit := uint64(1) << (63 - (d.level - first))
		c.Mask |= bit
		walk(d.lo, c)
		walk(d.hi, Cube{c.Mask, c.Want | bit})
	}
	walk(cond, Cube{})
	return cubes, true
}
