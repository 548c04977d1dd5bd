package verdict

import (
	"cmp"
	"slices"
)

// A Leaf is one thing that can be left of a verdict after a word: how many of the word's values lead to it, and the
// least of them.
type Leaf struct {
	Then  Verdict
	Count uint64
	Least uint32
}

// Leaves are the different things that can be left of v after w, by the least values that lead to them. They take no
// longer than going through the diagram, however many ranges of values there are. v must not depend on a word before w:
// restrict those first.
func (v Verdict) Leaves(w Word) []Leaf {
	s, start, end := v.space, uint32(w)*32, uint32(w)*32+32
	type reach struct {
		count uint64 // values of the bits above the node's level that lead to it
		least uint32
	}
	level := func(n Node) uint32 { return min(s.level(n), end) }
	reached := map[Node]reach{v.node: {1 << (level(v.node) - start), 0}}
	arrive := func(n Node, from reach, gap, bit uint32) {
		r, known := reached[n]
		least := from.least | bit
		if known {
			least = min(least, r.least)
		}
		reached[n] = reach{r.count + from.count<<gap, least}
	}
	// All ways into a node come from above it.
	byLevel := make([][]Node, 33)
	seen := map[Node]bool{}
	var collect func(Node)
	collect = func(n Node) {
		if seen[n] {
			return
		}
		s.charge(visit)
		seen[n] = true
		byLevel[level(n)-start] = append(byLevel[level(n)-start], n)
		if level(n) < end {
			collect(s.nodes[n].lo)
			collect(s.nodes[n].hi)
		}
	}
	collect(v.node)
	for i, nodes := range byLevel[:32] {
		for _, n := range nodes {
			d, from := s.nodes[n], reached[n]
			below := d.level + 1
			arrive(d.lo, from, level(d.lo)-below, 0)
			arrive(d.hi, from, level(d.hi)-below, 1<<(31-i))
		}
	}
	var leaves []Leaf
	for _, n := range byLevel[32] {
		leaves = append(leaves, Leaf{Verdict{s, n}, reached[n].count, reached[n].least})
	}
	slices.SortFunc(leaves, func(a, b Leaf) int { return cmp.Compare(a.Least, b.Least) })
	return leaves
}

// Without are the leaves of w where its values are none of those in the cases, which must be in ascending order and
// disjoint.
func (v Verdict) Without(w Word, cases []Case) []Leaf {
	s := v.space
	gone := s.value(noAction)
	for i := range cases {
		cases[i].Then = gone
	}
	leaves := s.Verdict(s.Patch(w, cases, v.node)).Leaves(w)
	return slices.DeleteFunc(leaves, func(l Leaf) bool { return l.Then.node == gone })
}

// noAction is a value that no action in canonical form has, nor a condition.
const noAction = 0x12345678
