package rows

import (
	"cmp"
	"math"
	"slices"

	"monban/bpf"
	"monban/verdict"
)

// A coverer covers conditions with conjunctions of tests.
type coverer struct {
	s    *verdict.Space
	bits int // of a register
	memo map[[2]verdict.Node]product
}

// manyParts is how many parts a condition may have for which it is still worth looking whether one part's rows do for
// others.
const manyParts = 64

// rows covers everything in must and nothing outside of may, of which must is a part, register by register: for each
// thing that can be left after the first register, the rows of that times the tests of the values that leave it.
func (c *coverer) rows(must, may verdict.Node) ([][]Test, error) {
	switch {
	case must == verdict.False:
		return nil, nil
	case may == verdict.True:
		return [][]Test{nil}, nil
	}
	hi := min(c.first(must), c.first(may))
	if hi >= verdict.IPHi {
		return nil, errIP
	}
	parts, err := c.parts(must, may, hi)
	if err != nil {
		return nil, err
	}
	var out [][]Test
	for i := range parts {
		p := &parts[i]
		if p.need == verdict.False {
			continue
		}
		rest, err := c.rows(p.must, p.may)
		if err != nil {
			return nil, err
		}
		covered := c.union(rest)
		wide := p.cond
		if len(parts) <= manyParts {
			for _, q := range parts {
				if c.within(covered, q.may) {
					wide = c.s.Or(wide, q.cond)
				}
			}
		}
		tests, err := c.tests(p.need, p.cond, wide, hi)
		if err != nil {
			return nil, err
		}
		if len(out)+len(tests)*len(rest) > maxRows {
			return nil, errMany
		}
		done := verdict.False
		for _, t := range tests {
			done = c.s.Or(done, all(c.s, c.bits, t))
			for _, r := range rest {
				out = append(out, append(slices.Clone(t), r...))
			}
		}
		for j := i; j < len(parts) && len(parts) <= manyParts; j++ {
			q := &parts[j]
			if c.within(q.need, done) {
				q.must = c.s.And(q.must, c.s.Not(covered))
			}
			if c.within(q.must, covered) {
				q.need = c.s.And(q.need, c.s.Not(done))
			}
		}
	}
	return out, nil
}

// A part is what must and may become where a register has one of the values of cond.
type part struct {
	cond, need verdict.Node
	must, may  verdict.Node
}

// parts splits the two conditions together, what holds least often first: its rows may do for others, too.
func (c *coverer) parts(must, may verdict.Node, hi verdict.Word) ([]part, error) {
	const yes, open, no = bpf.Allow, bpf.Log, bpf.KillProcess // any three
	three := c.s.If(must, c.s.Action(yes), c.s.If(may, c.s.Action(open), c.s.Action(no)))
	split, ok := c.s.Parts(c.s.Verdict(three), hi+1, maxRows)
	if !ok {
		return nil, errMany
	}
	var list []part
	for _, p := range split {
		list = append(list, part{p.Cond, p.Cond, c.s.When(p.Then, yes), c.s.Not(c.s.When(p.Then, no))})
	}
	share := map[verdict.Node]float64{}
	for _, p := range list {
		share[p.must] = c.share(p.must)
	}
	slices.SortStableFunc(list, func(a, b part) int { return cmp.Compare(share[a.must], share[b.must]) })
	return list, nil
}

// share is the part of all values that a condition holds for.
func (c *coverer) share(n verdict.Node) float64 {
	memo := map[verdict.Node]float64{verdict.False: 0, verdict.True: 1}
	var walk func(verdict.Node) float64
	walk = func(n verdict.Node) float64 {
		f, ok := memo[n]
		if !ok {
			_, _, zero, one := c.s.Verdict(n).Top()
			f = walk(zero.Node())/2 + walk(one.Node())/2
			memo[n] = f
		}
		return f
	}
	return walk(n)
}

// first is the register that a condition looks at first.
func (c *coverer) first(n verdict.Node) verdict.Word {
	w, ok := c.s.Verdict(n).First()
	if !ok {
		return math.MaxUint8
	}
	return w &^ 1 // words come in pairs, high before low
}

func (c *coverer) within(a, b verdict.Node) bool { return c.s.And(a, c.s.Not(b)) == verdict.False }

func (c *coverer) union(list [][]Test) verdict.Node {
	n := verdict.False
	for _, tests := range list {
		n = c.s.Or(n, all(c.s, c.bits, tests))
	}
	return n
}

// tests covers need within wide; with what is exact where that takes no more tests, since it reads better. Each
// alternative is one test, or none.
func (c *coverer) tests(need, exact, wide verdict.Node, hi verdict.Word) ([][]Test, error) {
	if wide == verdict.True {
		return [][]Test{nil}, nil
	}
	list, ok := c.register(need, exact, hi)
	if wide != exact {
		if wider, fits := c.register(need, wide, hi); fits && (!ok || len(wider) < len(list)) {
			list, ok = wider, true
		}
	}
	if !ok {
		return nil, errMany
	}
	if c.bits == 32 && (c.s.Verdict(need).Support(hi) != 0 || c.s.Verdict(wide).Support(hi) != 0) {
		return nil, errWide
	}
	var out [][]Test
	for _, t := range list {
		out = append(out, []Test{t})
	}
	return out, nil
}

// register covers the values of one register: by an inequality, or by cubes, of which those at either end are taken
// together as what is below or above a bound.
func (c *coverer) register(must, may verdict.Node, hi verdict.Word) ([]Test, bool) {
	arg := int(hi-verdict.ArgHi(0)) / 2
	last := ^uint64(0) >> (64 - c.bits)
	outside := c.s.Not(may)
	low, high := c.edge(outside, hi, false), c.edge(outside, hi, true)
	if low == high {
		return []Test{{Arg: arg, Op: NE, Value: low}}, true
	}
	best, ok := c.cubes(arg, must, may, hi)
	if len(best) == 1 && best[0].Op == EQ {
		return best, ok
	}
	try := func(tests ...Test) {
		left := must
		for _, t := range tests {
			n := t.node(c.s, c.bits)
			if c.s.And(must, n) == verdict.False {
				return
			}
			left = c.s.And(left, c.s.Not(n))
		}
		more, fits := c.cubes(arg, left, may, hi)
		if fits && (!ok || len(tests)+len(more) <= len(best)) {
			best, ok = append(tests, more...), true
		}
	}
	below, above := Test{Arg: arg, Op: LE, Value: low - 1}, Test{Arg: arg, Op: GE, Value: high + 1}
	if low > 0 {
		try(below)
	}
	if high < last {
		try(above)
	}
	if low > 0 && high < last {
		try(below, above)
	}
	return best, ok
}

// edge is the least or the greatest value of a register that a condition, which is not empty, holds for.
func (c *coverer) edge(n verdict.Node, hi verdict.Word, greatest bool) uint64 {
	value := uint64(0)
	if greatest {
		value = ^uint64(0) >> (64 - c.bits)
	}
	for n != verdict.True {
		w, b, zero, one := c.s.Verdict(n).Top()
		bit := registerBit(w, b, hi)
		if down := greatest == (one.Node() == verdict.False); greatest && !down {
			n = one.Node()
		} else if greatest {
			n, value = zero.Node(), value&^bit
		} else if zero.Node() != verdict.False {
			n = zero.Node()
		} else {
			n, value = one.Node(), value|bit
		}
	}
	return value
}

func registerBit(w verdict.Word, bit uint32, hi verdict.Word) uint64 {
	if w == hi {
		return uint64(bit) << 32
	}
	return uint64(bit)
}
