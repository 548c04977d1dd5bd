package verdict

import (
	"math/bits"
	"slices"

	"monban/bpf"
)

// A Node is one function from struct seccomp_data to a number, held by a Space. Equal functions are equal nodes.
// Conditions are nodes too, with the values False and True.
type Node uint32

const (
	// False and True are the two constant conditions.
	False Node = terminal // its value is 0
	True  Node = terminal + 1

	terminal Node = 1 << 31
)

type node struct {
	level  uint32 // which bit is tested: 32*Word + distance from the most significant bit
	lo, hi Node   // where a 0 and where a 1 lead
}

const endLevel = words * 32 // below every tested bit: the level of a terminal

// A Space holds nodes. It is not safe for concurrent use. An operation for which its budget does not suffice does not
// return: it panics, and [Space.Do] makes that the error ErrTooComplex.
type Space struct {
	nodes    []node
	index    []uint32 // open addressing: node number + 1
	values   []uint32
	valueOf  map[uint32]Node
	cache    []iteEntry
	budget   int
	steps    int
	maxSteps int
	spare    []*marks
	spent    *spentError // once the budget was exceeded
	doors    int         // calls of Do that have not returned
}

type iteEntry struct{ f, g, h, r Node }

// NewSpace returns an empty space that holds at most budget nodes.
func NewSpace(budget int) *Space {
	s := &Space{budget: budget, maxSteps: stepsPerNode * budget}
	// Room for the policy of a container on three architectures and its proof without growing. Fresh memory costs more
	// than the work done in it.
	s.nodes = make([]node, 0, min(budget, 1<<12))
	s.index = make([]uint32, 1<<13)
	s.cache = make([]iteEntry, 1<<11)
	s.values = []uint32{0, 1}
	s.valueOf = map[uint32]Node{0: False, 1: True}
	return s
}

// Len is the number of nodes held.
func (s *Space) Len() int { return len(s.nodes) }

// Action is the function that always answers a, in canonical form.
func (s *Space) Action(a bpf.Action) Node { return s.value(uint32(a.Canonical())) }

func (s *Space) value(v uint32) Node {
	n, ok := s.valueOf[v]
	if !ok {
		n = terminal | Node(len(s.values))
		s.values = append(s.values, v)
		s.valueOf[v] = n
	}
	return n
}

func (n Node) isTerminal() bool { return n&terminal != 0 }

func (s *Space) valueAt(n Node) uint32 { return s.values[n&^terminal] }

func (s *Space) level(n Node) uint32 {
	if n.isTerminal() {
		return endLevel
	}
	return s.nodes[n].level
}

// cofactors are what n becomes with the bit at level 0 and 1.
func (s *Space) cofactors(n Node, level uint32) (lo, hi Node) {
	if n.isTerminal() || s.nodes[n].level != level {
		return n, n
	}
	d := &s.nodes[n]
	return d.lo, d.hi
}

func hash3(a, b, c uint32) uint32 {
	h := a*0x9e3779b1 ^ b*0x85ebca6b ^ c*0xc2b2ae35
	h ^= h >> 15
	h *= 0x2c1b3c6d
	return h ^ h>>13
}

// mk is the node that tests level; it exists once.
func (s *Space) mk(level uint32, lo, hi Node) Node {
	if lo == hi {
		return lo
	}
	mask := uint32(len(s.index) - 1)
	i := hash3(level, uint32(lo), uint32(hi)) & mask
	for s.index[i] != 0 {
		n := s.index[i] - 1
		if d := &s.nodes[n]; d.level == level && d.lo == lo && d.hi == hi {
			return Node(n)
		}
		i = (i + 1) & mask
	}
	if len(s.nodes) >= s.budget {
		s.exceed("nodes")
	}
	s.nodes = append(s.nodes, node{level, lo, hi})
	s.index[i] = uint32(len(s.nodes))
	if 2*len(s.nodes) > len(s.index) {
		s.grow()
	}
	return Node(len(s.nodes) - 1)
}

// reserve makes room for n more nodes at once.
func (s *Space) reserve(n int) {
	n = min(len(s.nodes)+n, s.budget)
	s.nodes = slices.Grow(s.nodes, n-len(s.nodes))
	if 2*n > len(s.index) {
		s.resize(1 << bits.Len(uint(2*n)))
	}
}

// grow doubles the tables.
func (s *Space) grow() { s.resize(2 * len(s.index)) }

func (s *Space) resize(size int) {
	s.index = make([]uint32, size)
	mask := uint32(len(s.index) - 1)
	for n, d := range s.nodes {
		i := hash3(d.level, uint32(d.lo), uint32(d.hi)) & mask
		for s.index[i] != 0 {
			i = (i + 1) & mask
		}
		s.index[i] = uint32(n) + 1
	}
	if want := min(size/2, 1<<18); len(s.cache) < want {
		s.cache = make([]iteEntry, want)
	}
}

// If is then where cond holds and otherwise els. cond must be a condition.
func (s *Space) If(cond, then, els Node) Node {
	switch {
	case cond == True, then == els:
		return then
	case cond == False:
		return els
	case then == True && els == False:
		return cond
	}
	s.charge(operate)
	level := s.nodes[cond].level
	e := &s.cache[hash3(uint32(cond), uint32(then), uint32(els))&uint32(len(s.cache)-1)]
	if e.f == cond && e.g == then && e.h == els { // an empty entry has g == h
		return e.r
	}
	level = min(level, s.level(then), s.level(els))
	c0, c1 := s.cofactors(cond, level)
	t0, t1 := s.cofactors(then, level)
	e0, e1 := s.cofactors(els, level)
	lo := s.If(c0, t0, e0)
	hi := s.If(c1, t1, e1)
	r := s.mk(level, lo, hi)
	// The tables may have grown meanwhile: find the entry anew.
	s.cache[hash3(uint32(cond), uint32(then), uint32(els))&uint32(len(s.cache)-1)] = iteEntry{cond, then, els, r}
	return r
}

// And holds where both conditions do.
func (s *Space) And(a, b Node) Node { return s.If(a, b, False) }

// Or holds where either condition does.
func (s *Space) Or(a, b Node) Node { return s.If(a, True, b) }

// Not holds where the condition does not.
func (s *Space) Not(a Node) Node { return s.If(a, False, True) }
