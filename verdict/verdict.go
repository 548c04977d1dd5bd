package verdict

import (
	"iter"
	"slices"

	"monban/bpf"
)

// A Verdict is the exact meaning of a filter or a policy. Two verdicts of one space are equal (==) if and only if they
// mean the same.
type Verdict struct {
	space *Space
	node  Node
}

// Verdict wraps a node whose values are actions.
func (s *Space) Verdict(n Node) Verdict { return Verdict{s, n} }

// Space is where the verdict lives.
func (v Verdict) Space() *Space { return v.space }

// Node is the verdict's function.
func (v Verdict) Node() Node { return v.node }

// At is the action for one call.
func (v Verdict) At(d *bpf.Data) bpf.Action {
	n := v.node
	for !n.isTerminal() {
		e := &v.space.nodes[n]
		if Word(e.level/32).Of(d)>>(31-e.level%32)&1 == 1 {
			n = e.hi
		} else {
			n = e.lo
		}
	}
	return bpf.Action(v.space.valueAt(n))
}

// Constant is the action, where the verdict is the same for everything.
func (v Verdict) Constant() (bpf.Action, bool) {
	if !v.node.isTerminal() {
		return 0, false
	}
	return bpf.Action(v.space.valueAt(v.node)), true
}

// Restrict is what is left of v when w has the given value.
func (v Verdict) Restrict(w Word, value uint32) Verdict {
	s := v.space
	s.charge(1)
	first, last := uint32(w)*32, uint32(w)*32+31
	n := v.node
	for l := s.level(n); first <= l && l <= last; l = s.level(n) {
		if d := &s.nodes[n]; value>>(last-l)&1 == 1 {
			n = d.hi
		} else {
			n = d.lo
		}
	}
	if s.level(n) > last {
		return Verdict{s, n} // nothing was tested before w
	}
	memo := map[Node]Node{}
	var walk func(Node) Node
	walk = func(n Node) Node {
		if s.level(n) > last {
			return n
		}
		s.charge(visit)
		d := s.nodes[n]
		if d.level >= first {
			if value>>(31-d.level%32)&1 == 1 {
				return walk(d.hi)
			}
			return walk(d.lo)
		}
		r, ok := memo[n]
		if !ok {
			r = s.mk(d.level, walk(d.lo), walk(d.hi))
			memo[n] = r
		}
		return r
	}
	return Verdict{s, walk(v.node)}
}

// A Span is a range of one word's values, both ends included, and what is left of the verdict there.
type Span struct {
	Lo, Hi uint32
	Then   Verdict
}

// Spans yields, in ascending order, the maximal ranges of w's values that v treats alike. v must not depend on a word
// before w: restrict those first. A verdict that tests low bits can have up to 2^32 spans, which no budget suffices
// for: stop where you had enough.
func (v Verdict) Spans(w Word) iter.Seq[Span] {
	return func(yield func(Span) bool) {
		s := v.space
		end := uint32(w)*32 + 32
		var open Span // the span that may still grow
		started := false
		var walk func(n Node, level, lo uint32) bool
		walk = func(n Node, level, lo uint32) bool {
			s.charge(1)
			l := s.level(n)
			if l >= end {
				hi := lo + uint32(uint64(1)<<(end-level)-1)
				if started && open.Then.node == n {
					open.Hi = hi
					return true
				}
				if started && !yield(open) {
					return false
				}
				open, started = Span{lo, hi, Verdict{s, n}}, true
				return true
			}
			if l > level {
				// The bit at level does not matter here: both halves are n.
				return walk(n, level+1, lo) && walk(n, level+1, lo|1<<(end-1-level))
			}
			d := s.nodes[n]
			return walk(d.lo, level+1, lo) && walk(d.hi, level+1, lo|1<<(end-1-level))
		}
		if walk(v.node, end-32, 0) {
			yield(open)
		}
	}
}

// SpansUpTo lists the spans of w; ok is false where there are more than limit. Finding that out takes no longer than
// going through the diagram, however many there are.
func (v Verdict) SpansUpTo(w Word, limit int) (spans []Span, ok bool) {
	if v.spanCount(w) > uint64(limit) {
		return nil, false
	}
	return slices.Collect(v.Spans(w)), true
}

// spanCount is how many spans w has.
func (v Verdict) spanCount(w Word) uint64 {
	s, end := v.space, uint32(w)*32+32
	type run struct {
		n           uint64
		first, last Node
	}
	join := func(lo, hi run) run {
		n := lo.n + hi.n
		if lo.last == hi.first {
			n--
		}
		return run{n, lo.first, hi.last}
	}
	memo := map[Node]run{}
	// What a node's spans are where the bits from level up to the one that it tests do not matter.
	var walk func(n Node, level uint32) run
	walk = func(n Node, level uint32) run {
		if s.level(n) >= end {
			return run{1, n, n}
		}
		r, known := memo[n]
		if !known {
			s.charge(visit)
			d := s.nodes[n]
			lo := walk(d.lo, d.level+1)
			r = join(lo, walk(d.hi, d.level+1))
			memo[n] = r
		}
		for range s.level(n) - level {
			r = join(r, r)
		}
		return r
	}
	return walk(v.node, end-32).n
}

// Support says which bits of w the verdict looks at.
func (v Verdict) Support(w Word) uint32 {
	var mask uint32
	for n := range v.space.reachable(v.node) {
		if !n.isTerminal() && Word(v.space.nodes[n].level/32) == w {
			mask |= 1 << (31 - v.space.nodes[n].level%32)
		}
	}
	return mask
}

// First is the first word that the verdict looks at; ok is false for a constant.
func (v Verdict) First() (w Word, ok bool) {
	if v.node.isTerminal() {
		return 0, false
	}
	return Word(v.space.nodes[v.node].level / 32), true
}

// Top splits the verdict by the first bit that it looks at: its word, its mask, and what is left where it is 0 and 1.
// The verdict must not be constant.
func (v Verdict) Top() (w Word, bit uint32, zero, one Verdict) {
	v.space.charge(1)
	d := v.space.nodes[v.node]
	return Word(d.level / 32), 1 << (31 - d.level%32), Verdict{v.space, d.lo}, Verdict{v.space, d.hi}
}

// Size is the number of nodes that the verdict is made of, ends not counted.
func (v Verdict) Size() int {
	n := 0
	for d := range v.space.reachable(v.node) {
		if !d.isTerminal() {
			n++
		}
	}
	return n
}

// Actions yields each action that v can answer, once.
func (v Verdict) Actions() iter.Seq[bpf.Action] {
	return func(yield func(bpf.Action) bool) {
		for n := range v.space.reachable(v.node) {
			if n.isTerminal() && !yield(bpf.Action(v.space.valueAt(n))) {
				return
			}
		}
	}
}

func (s *Space) reachable(root Node) iter.Seq[Node] {
	return func(yield func(Node) bool) {
		marks := s.takeMarks()
		defer s.returnMarks(marks)
		ends := map[Node]bool{}
		seen := func(n Node) bool { // and it is from now on
			if !n.isTerminal() {
				return marks.set(n)
			}
			known := ends[n]
			ends[n] = true
			return known
		}
		seen(root)
		stack := []Node{root}
		for len(stack) > 0 {
			n := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if !yield(n) {
				return
			}
			if n.isTerminal() {
				continue
			}
			s.charge(visit)
			for _, m := range [...]Node{s.nodes[n].hi, s.nodes[n].lo} {
				if !seen(m) {
					stack = append(stack, m)
				}
			}
		}
	}
}

// Witness is a call that v answers with an action that want accepts, as many bits 0 as the diagram leaves free.
func (v Verdict) Witness(want func(bpf.Action) bool) (bpf.Data, bool) {
	d, ok := Violation(v, v, func(a, _ bpf.Action) bool { return want(a) })
	return d.Data, ok
}
