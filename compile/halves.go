package compile

import (
	"slices"

	"monban/bpf"
	"monban/verdict"
)

// halves cuts a share of a policy in two: each half answers as v does for some calls and allows the others. The ways to
// do it are tried until one costs hardly more code than v itself; else it is the best of them. ok is false where v
// can't be cut.
func (s *splitter) halves(v verdict.Verdict) (a, b verdict.Verdict, ok bool) {
	best := 0
	try := func(x, y verdict.Verdict) (good bool) {
		if x == s.allow || y == s.allow {
			return false
		}
		m, n := s.size(x), s.size(y)
		if score := m + n + max(m, n); !ok || score < best {
			a, b, best, ok = x, y, score, true
		}
		whole := s.size(v)
		return m+n <= whole+whole/8 && max(m, n) <= whole*3/4
	}
	// The words up to w are a guard where they lead to one thing only: then that is cut, wherever it is used alike.
	// Calls stay whole as long as there are several.
	w := verdict.Nr
	leaves := s.leaves(v, w)
	guarded := len(leaves) == 1
	inner := v
	for len(leaves) == 1 {
		inner = leaves[0]
		first, ok := inner.First()
		if !ok {
			break
		}
		if leaves = s.leaves(v, first); len(leaves) == 1 {
			w = first
		} else if try(s.byLeaf(v, first, leaves)) {
			return a, b, true
		}
	}
	if !guarded && try(s.byLeaf(v, w, leaves)) {
		return a, b, true
	}
	if try(s.byValue(v, inner)) {
		return a, b, true
	}
	if guarded {
		one := v.Space().Verdict(v.Space().Action(bpf.KillProcess))
		try(s.byValue(v, v.Graft(w, func(leaf verdict.Verdict) verdict.Verdict {
			if leaf == s.allow {
				return leaf
			}
			return one
		})))
	}
	return a, b, ok
}

// leaves lists what v may come to after a word, but for allow: what takes no further tests first, and side by side what
// has tests in common, as a call's arguments on several architectures do.
func (s *splitter) leaves(v verdict.Verdict, w verdict.Word) []verdict.Verdict {
	var plain, others []verdict.Verdict
	for leaf := range v.After(w) {
		if _, constant := leaf.Constant(); !constant {
			others = append(others, leaf)
		} else if leaf != s.allow {
			plain = append(plain, leaf)
		}
	}
	return append(plain, akin(others)...)
}

// akin puts each verdict after those with which it has most in common, if that is a quarter of it.
func akin(all []verdict.Verdict) []verdict.Verdict {
	family := map[verdict.Verdict]int{} // of each part of a verdict: the first verdict with it
	groups := make([][]verdict.Verdict, len(all))
	for i, v := range all {
		own := 0
		shared := map[int]int{}
		seen := map[verdict.Verdict]bool{}
		var fresh []verdict.Verdict
		var walk func(verdict.Verdict)
		walk = func(v verdict.Verdict) {
			if _, constant := v.Constant(); constant || seen[v] {
				return
			}
			v.Space().Charge(lookup)
			seen[v] = true
			own++
			if f, ok := family[v]; ok {
				shared[f]++
			} else {
				fresh = append(fresh, v)
			}
			_, _, zero, one := v.Top()
			walk(zero)
			walk(one)
		}
		walk(v)
		home := i
		for f, n := range shared {
			if most := shared[home]; 4*n >= own && (n > most || n == most && f < home) {
				home = f
			}
		}
		for _, v := range fresh {
			family[v] = home
		}
		groups[home] = append(groups[home], v)
	}
	return slices.Concat(groups...)
}

// byLeaf gives half of the leaves, as their code goes, to each half.
func (s *splitter) byLeaf(v verdict.Verdict, w verdict.Word, leaves []verdict.Verdict) (a, b verdict.Verdict) {
	total := 0
	for _, leaf := range leaves {
		total += s.size(leaf)
	}
	first := map[verdict.Verdict]bool{}
	sum := 0
	for i, leaf := range leaves {
		if sum += s.size(leaf); i > 0 && 2*sum > total || i == len(leaves)-1 {
			break
		}
		first[leaf] = true
	}
	keep := func(which bool) verdict.Verdict {
		return v.Graft(w, func(leaf verdict.Verdict) verdict.Verdict {
			if first[leaf] == which {
				return leaf
			}
			return s.allow
		})
	}
	return keep(true), keep(false)
}

// byValue cuts v into what is below some value and what is not: a value in the middle of inner, which is v or a part of
// it.
func (s *splitter) byValue(v, inner verdict.Verdict) (a, b verdict.Verdict) {
	space := v.Space()
	below := s.middle(inner)
	return space.Verdict(space.If(below, v.Node(), s.allow.Node())), space.Verdict(space.If(below, s.allow.Node(), v.Node()))
}

// middle is the condition for what lies below a value in the middle of v: down the heavier side bit by bit, as far as
// the lighter one weighs too little.
func (s *splitter) middle(v verdict.Verdict) verdict.Node {
	type step struct {
		set verdict.Node // the condition that the bit is 1
		one bool         // the way goes on there
	}
	var way []step
	cut, lightest := 0, 0.0
	weigh := s.scales()
	for enough := false; !enough; {
		if _, constant := v.Constant(); constant {
			break
		}
		w, bit, zero, one := v.Top()
		field := verdict.Single(w)
		field.Mask = uint64(bit)
		heavy, light := weigh(zero), weigh(one)
		next := step{v.Space().Compare(field, verdict.NE, false, 0), heavy < light}
		way = append(way, next)
		if v = zero; next.one {
			v, heavy, light = one, light, heavy
		}
		if light > lightest {
			cut, lightest = len(way), light
		}
		enough = light*3 >= heavy
	}
	if cut == 0 {
		return verdict.False
	}
	below := v.Space().Not(way[cut-1].set)
	for _, at := range slices.Backward(way[:cut-1]) {
		if at.one {
			below = v.Space().If(at.set, below, verdict.True)
		} else {
			below = v.Space().If(at.set, verdict.False, below)
		}
	}
	return below
}

// scales weigh verdicts by the number of ways that lead to an answer other than allow.
func (s *splitter) scales() func(verdict.Verdict) float64 {
	memo := map[verdict.Verdict]float64{s.allow: 0}
	var weigh func(verdict.Verdict) float64
	weigh = func(v verdict.Verdict) float64 {
		n, ok := memo[v]
		if !ok {
			n = 1
			if _, constant := v.Constant(); !constant {
				v.Space().Charge(lookup)
				_, _, zero, one := v.Top()
				n = weigh(zero) + weigh(one)
			}
			memo[v] = n
		}
		return n
	}
	return weigh
}
