package verdict

import (
	"encoding/binary"

	"monban/bpf"
)

// OfStack is the meaning of several filters on one task, the oldest first. The kernel runs them all and takes the smallest
// action as a signed number; of equals it takes the newest filter's data (kernel/seccomp.c, seccomp_run_filters).
// No filters at all allow everything.
func (s *Space) OfStack(programs []bpf.Program, order binary.ByteOrder) (Verdict, error) {
	r := s.value(uint32(bpf.Allow))
	for i := len(programs) - 1; i >= 0; i-- {
		// Values are kept as they are until the end: an unknown action has its own rank before it kills.
		older, err := s.lift(programs[i], order, func(a bpf.Action) uint32 { return uint32(a) })
		if err != nil {
			return Verdict{}, err
		}
		r = s.combine(r, older, map[[2]Node]Node{})
	}
	n := s.mapValues(r, map[Node]Node{})
	return Verdict{s, n}, s.err
}

// Stack is the meaning of two verdicts on one task, the newer one installed after the older one. Verdicts know only canonical
// actions: where a filter returns one that the kernel does not know, OfStack ranks it as the kernel does and Stack as kill_process,
// which is never less strict.
func Stack(older, newer Verdict) Verdict {
	s := older.space
	return Verdict{s, s.combine(newer.node, older.node, map[[2]Node]Node{})}
}

func (s *Space) combine(newer, older Node, memo map[[2]Node]Node) Node {
	if newer == older {
		return newer
	}
	level := min(s.level(newer), s.level(older))
	if level == endLevel {
		a, b := bpf.Action(s.valueAt(newer)), bpf.Action(s.valueAt(older))
		if int32(b.Kind()) < int32(a.Kind()) {
			return older
		}
		return newer
	}
	key := [2]Node{newer, older}
	if r, ok := memo[key]; ok {
		return r
	}
	if !s.step() {
		return False
	}
	a0, a1 := s.cofactors(newer, level)
	b0, b1 := s.cofactors(older, level)
	lo := s.combine(a0, b0, memo)
	r := s.mk(level, lo, s.combine(a1, b1, memo))
	memo[key] = r
	return r
}

func (s *Space) mapValues(n Node, memo map[Node]Node) Node {
	if n.isTerminal() {
		return s.Action(bpf.Action(s.valueAt(n)))
	}
	if r, ok := memo[n]; ok {
		return r
	}
	if !s.step() {
		return False
	}
	d := s.nodes[n]
	lo := s.mapValues(d.lo, memo)
	r := s.mk(d.level, lo, s.mapValues(d.hi, memo))
	memo[n] = r
	return r
}
