package compile

import (
	"cmp"
	"math"
	"slices"
)

// A group is a run of spans that is decided on its own, by few tests.
type group struct {
	lo     uint32
	code   ref
	weight float64
	path   float64 // weighted number of tests in code
}

// ranges is code that decides by ranges, in A. The values that matter most, if they are few, are asked for first; a
// tree of jge over groups decides the others.
func (p *pool) ranges(spans []span) ref {
	if p.goal == Size && len(spans) > fewSpans {
		hot, others := p.hottest(spans, maxHot)
		best, _ := p.grouped(others, hot)
		return best
	}
	// Try how many of the values that matter most should be asked for first.
	best, path := p.grouped(spans, nil)
	for n := 1; ; n++ {
		hot, others := p.hottest(spans, n)
		if len(hot) < n {
			return best
		}
		r, cost := p.grouped(others, hot)
		if p.better(r, cost, best, path) {
			best, path = r, cost
		} else if n > maxHot {
			return best
		}
	}
}

// fewSpans is up to where all ways are tried; beyond that those that win nearly always.
const fewSpans = 48

// better compares two codes for the same thing by what the goal asks for.
func (p *pool) better(a ref, pathA float64, b ref, pathB float64) bool {
	bySize, byPath := cmp.Compare(p.size(a), p.size(b)), cmp.Compare(pathA, pathB)
	if p.goal == Latency {
		return cmp.Or(byPath, bySize) < 0
	}
	return cmp.Or(bySize, byPath) < 0
}

// maxHot is how many values are worth asking for before anything else: what comes after them waits for each.
const maxHot = 3

// hottest takes out at most n single values whose calls really run the filter, the heaviest first, and closes the gaps.
func (p *pool) hottest(spans []span, n int) (hot, others []span) {
	isHot := func(s span) bool { return s.weight >= 1 && s.lo == s.hi }
	for _, s := range spans {
		if isHot(s) {
			hot = append(hot, s)
		}
	}
	if len(hot) == 0 || len(hot) == len(spans) {
		return nil, spans
	}
	slices.SortStableFunc(hot, func(a, b span) int { return cmp.Compare(b.weight, a.weight) })
	hot = hot[:min(len(hot), n)]
	p.space.Charge(len(spans) * (1 + len(hot)) / perStep)
	for _, s := range spans {
		n := len(others)
		switch {
		case isHot(s) && slices.Contains(hot, s):
			if n > 0 {
				others[n-1].hi = s.hi // what happens there has been decided
			}
		case n > 0 && others[n-1].then == s.then:
			others[n-1].hi = s.hi
			others[n-1].weight += s.weight
		case n == 0:
			s.lo = spans[0].lo
			fallthrough
		default:
			others = append(others, s)
		}
	}
	return hot, others
}

// grouped is the code for spans after a test for each of hot, and the weighted length of its paths.
func (p *pool) grouped(spans, hot []span) (r ref, path float64) {
	groups := p.groups(spans)
	r, path = p.tree(groups)
	var below float64
	for _, g := range groups {
		below += g.weight
		path += g.path
	}
	for _, h := range slices.Backward(hot) {
		r = p.jump(jeq, h.lo, h.then, r)
		below += h.weight
		path += below
	}
	return r, path
}

// groups cuts spans into groups so that there are as few tests as we can find: one between two groups, and what each
// group takes. It looks back from each span over the groups that may end there.
func (p *pool) groups(spans []span) []group {
	n := len(spans)
	const far = 64 // spans in a group
	best := make([]int, n+1)
	from := make([]int, n+1)
	cubed := make([]bool, n+1)
	var o oddities
	for end := 1; end <= n; end++ {
		best[end] = math.MaxInt
		o.reset()
		work := 1
		for start := end - 1; start >= 0 && end-start <= far; start-- {
			cost, ok := o.add(spans[start])
			if work += 1 + len(o.singles)/(8*perStep); !ok {
				break
			}
			before := best[start] + 1
			if before+cost < best[end] {
				best[end], from[end], cubed[end] = before+cost, start, false
			}
			if limit := min(cost, best[end]-before, maxTests+1); limit > 1 && p.window.look(spans[start:end]) {
				work += look
				if tests, ok := p.window.tests(limit); ok {
					best[end], from[end], cubed[end] = before+tests, start, true
				}
			}
		}
		p.space.Charge(work)
	}
	var groups []group
	for end := n; end > 0; end = from[end] {
		groups = append(groups, p.group(spans[from[end]:end], cubed[end]))
	}
	slices.Reverse(groups)
	return groups
}

// maxTests is how many tests window finds.
const maxTests = 2

// group is code for spans, by the tests that window found or by one for each single value.
func (p *pool) group(spans []span, cubed bool) group {
	g := group{lo: spans[0].lo}
	for _, s := range spans {
		g.weight += s.weight
	}
	if cubed && p.window.look(spans) {
		var tests int
		g.code, tests = p.window.code(p)
		g.path = g.weight * float64(tests)
		return g
	}
	var o oddities
	for _, s := range spans {
		o.add(s)
	}
	g.code = o.common()
	var single []span
	for _, s := range spans {
		if s.then != g.code {
			single = append(single, s)
		}
	}
	slices.SortStableFunc(single, func(a, b span) int { return cmp.Compare(b.weight, a.weight) })
	rest := g.weight
	for _, s := range single {
		g.path += rest
		rest -= s.weight
	}
	for _, s := range slices.Backward(single) {
		g.code = p.jump(jeq, s.lo, s.then, g.code)
	}
	return g
}

// oddities counts the tests that a run of spans needs where all but one code is reached by single values only.
type oddities struct {
	wide    ref // the code that has a span of several values, if any
	hasWide bool
	singles []struct {
		then ref
		n    int
	}
	total int
}

func (o *oddities) reset() { *o = oddities{singles: o.singles[:0]} }

// add lengthens the run; ok is false once it cannot be a group.
func (o *oddities) add(s span) (cost int, ok bool) {
	if s.lo != s.hi {
		if o.hasWide && o.wide != s.then {
			return 0, false
		}
		o.wide, o.hasWide = s.then, true
		return o.cost(), true
	}
	o.total++
	for i := range o.singles {
		if o.singles[i].then == s.then {
			o.singles[i].n++
			return o.cost(), true
		}
	}
	o.singles = append(o.singles, struct {
		then ref
		n    int
	}{s.then, 1})
	return o.cost(), true
}

func (o *oddities) cost() int {
	free := 0
	for _, s := range o.singles {
		if s.then == o.wide || !o.hasWide {
			free = max(free, s.n)
		}
	}
	return o.total - free
}

// common is the code that needs no test of its own.
func (o *oddities) common() ref {
	if o.hasWide {
		return o.wide
	}
	best := o.singles[0]
	for _, s := range o.singles {
		if s.n > best.n {
			best = s
		}
	}
	return best.then
}

// maxTree is how many groups get the best tree; its search is quadratic.
const maxTree = 512

// tree is the alphabetic tree over the groups with the least weighted depth (Knuth's dynamic programme), and that
// depth; every shape has the same number of tests.
func (p *pool) tree(groups []group) (r ref, path float64) {
	n := len(groups)
	if n > maxTree {
		high, a := p.tree(groups[n/2:])
		low, b := p.tree(groups[:n/2])
		for _, g := range groups {
			a += g.weight
		}
		return p.jump(jge, groups[n/2].lo, high, low), a + b
	}
	if n == 1 {
		return groups[0].code, 0
	}
	sum := make([]float64, n+1)
	for i, g := range groups {
		sum[i+1] = sum[i] + g.weight + 1e-6
	}
	p.space.Charge(n * n / perStep)
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
			return groups[i].code
		}
		k := root[i][j]
		return p.jump(jge, groups[k].lo, build(k, j), build(i, k-1))
	}
	return build(0, n-1), cost[0][n-1]
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
