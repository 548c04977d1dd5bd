package compile

import (
	"math"
	"slices"
)

// A group is a run of spans that lead to the same code, but for single values between them that are tested first.
type group struct {
	lo     uint32
	then   ref
	holes  []span
	weight float64
}

// ranges is code that decides by ranges, in A: a tree of jge over groups, and at its ends jeq for the holes.
func (p *pool) ranges(spans []span) ref {
	groups := peel(spans)
	if len(groups) == 1 {
		return p.leaf(groups[0])
	}
	return p.tree(groups)
}

// peel chooses which single values to test by jeq. Taking one out costs a test and saves the boundaries around it where its
// neighbours then become one; the choice that leaves the fewest tests is found by looking back from each span over the singles
// before it.
func peel(spans []span) []group {
	n := len(spans)
	const far = 64 // holes in a row worth looking over
	best := make([]int, n)
	from := make([]int, n)
	for j := range n {
		best[j], from[j] = math.MaxInt, -1
		for i := j - 1; i >= -1; i-- {
			// All between i and j are holes, i is kept (or nothing is before j).
			holes := j - i - 1
			if holes > far || holes > 0 && spans[i+1].lo != spans[i+1].hi {
				break
			}
			cost := holes
			if i >= 0 {
				cost += best[i]
				if spans[i].then != spans[j].then {
					cost++
				}
			}
			if cost < best[j] {
				best[j], from[j] = cost, i
			}
		}
	}
	last := n - 1
	for i := n - 2; i >= 0 && n-1-i <= far && spans[i+1].lo == spans[i+1].hi; i-- {
		if best[i]+n-1-i < best[last]+n-1-last {
			last = i
		}
	}
	var kept []int
	for i := last; i >= 0; i = from[i] {
		kept = append(kept, i)
	}
	slices.Reverse(kept)

	var groups []group
	holes := func(a, b int) {
		g := &groups[len(groups)-1]
		for _, s := range spans[a:b] {
			if s.then != g.then {
				g.holes = append(g.holes, s)
			}
		}
	}
	for k, i := range kept {
		before := 0
		if k > 0 {
			before = kept[k-1] + 1
		}
		s := spans[i]
		switch {
		case k == 0:
			groups = append(groups, group{lo: spans[0].lo, then: s.then})
			holes(0, i)
		case groups[len(groups)-1].then == s.then:
			holes(before, i)
		default:
			holes(before, i)
			groups = append(groups, group{lo: s.lo, then: s.then})
		}
		groups[len(groups)-1].weight += s.weight
	}
	holes(last+1, n)
	for i := range groups {
		for _, h := range groups[i].holes {
			groups[i].weight += h.weight
		}
		slices.SortStableFunc(groups[i].holes, func(a, b span) int { return -cmpFloat(a.weight, b.weight) })
	}
	return groups
}

func cmpFloat(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// leaf tests a group's holes, the often used first.
func (p *pool) leaf(g group) ref {
	r := g.then
	for _, h := range slices.Backward(g.holes) {
		r = p.jump(jeq, h.lo, h.then, r)
	}
	return r
}

// maxTree is how many groups get the best tree; its search is quadratic.
const maxTree = 512

// tree is the alphabetic tree over the groups with the least weighted depth (Knuth's dynamic programme); every shape has the
// same number of tests.
func (p *pool) tree(groups []group) ref {
	n := len(groups)
	if n > maxTree {
		return p.jump(jge, groups[n/2].lo, p.tree(groups[n/2:]), p.tree(groups[:n/2]))
	}
	if n == 1 {
		return p.leaf(groups[0])
	}
	sum := make([]float64, n+1)
	for i, g := range groups {
		sum[i+1] = sum[i] + g.weight + 1e-6
	}
	cost, root := p.square(n)
	for width := 1; width < n; width++ {
		for i := 0; i+width < n; i++ {
			j := i + width
			cost[i][j] = math.Inf(1)
			// The split k puts groups k and above on the right.
			for k := max(i+1, root[i][j-1]); k <= max(min(j, root[i+1][j]), i+1); k++ {
				if c := cost[i][k-1] + cost[k][j]; c < cost[i][j] {
					cost[i][j], root[i][j] = c, k
				}
			}
			cost[i][j] += sum[j+1] - sum[i]
		}
	}
	// Building calls nobody who needs the square: leaves only jump.
	var build func(i, j int) ref
	build = func(i, j int) ref {
		if i == j {
			return p.leaf(groups[i])
		}
		k := root[i][j]
		return p.jump(jge, groups[k].lo, build(k, j), build(i, k-1))
	}
	return build(0, n-1)
}

// square is room for the costs and splits of all runs of n groups, used again for each tree.
func (p *pool) square(n int) (cost [][]float64, root [][]int) {
	if cap(p.costs) < n*n {
		p.costs, p.roots = make([]float64, n*n), make([]int, n*n)
	}
	clear(p.costs[:n*n])
	cost, root = make([][]float64, n), make([][]int, n)
	for i := range n {
		cost[i], root[i] = p.costs[i*n:(i+1)*n], p.roots[i*n:(i+1)*n]
		root[i][i] = i
	}
	return cost, root
}
