package verdict

import (
	"encoding/binary"

	"monban/bpf"
)

// OfStack is the meaning of several filters on one task, the oldest first. The kernel runs them all and takes the
// smallest action as a signed number; of equals it takes the newest filter's data (kernel/seccomp.c,
// seccomp_run_filters). No filters at all allow everything.
func (s *Space) OfStack(programs []bpf.Program, order binary.ByteOrder) (v Verdict, err error) {
	err = s.Do(func() error {
		r := s.value(uint32(bpf.Allow))
		for i := len(programs) - 1; i >= 0; i-- {
			// Values are kept as they are until the end: an unknown action has its own rank before it kills.
			older, err := s.lift(programs[i], order, func(a bpf.Action) uint32 { return uint32(a) })
			if err != nil {
				return err
			}
			r = s.combine(r, older, map[[2]Node]Node{})
		}
		v = Verdict{s, s.mapValues(r, map[Node]Node{})}
		return nil
	})
	return v, err
}

// Stack is the meaning of two verdicts on one task, the newer one installed after the older one. Verdicts know only
// canonical actions: where a filter returns one that the kernel does not know, OfStack ranks it as the kernel does and
// Stack as kill_process, which is never less strict.
func Stack(older, newer Verdict) Verdict {
	s := older.space
	return Verdict{s, s.combine(newer.node, older.node, map[[2]Node]Node{})}
}

// combine is what the kernel makes of two filters' answers.
func (s *Space) combine(newer, older Node, memo map[[2]Node]Node) Node {
	return s.apply(newer, older, memo, func(newer, older bpf.Action) bool { return older.Compare(newer) < 0 })
}

// Strictest answers each call as the stricter of a and b does, in the kernel's order of actions; a's answer of equals.
func Strictest(a, b Verdict) Verdict {
	s := a.space
	n := s.apply(a.node, b.node, map[[2]Node]Node{}, func(x, y bpf.Action) bool { return y.Compare(x) < 0 })
	return Verdict{s, n}
}

// Loosest answers each call as the more permissive of a and b does, in the kernel's order of actions; a's answer of
// equals.
func Loosest(a, b Verdict) Verdict {
	s := a.space
	n := s.apply(a.node, b.node, map[[2]Node]Node{}, func(x, y bpf.Action) bool { return y.Compare(x) > 0 })
	return Verdict{s, n}
}

// apply answers as b does where second says so of the two answers, else as a does.
func (s *Space) apply(a, b Node, memo map[[2]Node]Node, second func(x, y bpf.Action) bool) Node {
	if a == b {
		return a
	}
	level := min(s.level(a), s.level(b))
	if level == endLevel {
		if second(bpf.Action(s.valueAt(a)), bpf.Action(s.valueAt(b))) {
			return b
		}
		return a
	}
	key := [2]Node{a, b}
	if r, ok := memo[key]; ok {
		return r
	}
	s.charge(operate)
	a0, a1 := s.cofactors(a, level)
	b0, b1 := s.cofactors(b, level)
	lo := s.apply(a0, b0, memo, second)
	r := s.mk(level, lo, s.apply(a1, b1, memo, second))
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
	s.charge(operate)
	d := s.nodes[n]
	lo := s.mapValues(d.lo, memo)
	r := s.mk(d.level, lo, s.mapValues(d.hi, memo))
	memo[n] = r
	return r
}
