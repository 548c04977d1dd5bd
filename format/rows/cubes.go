package rows

import (
	"cmp"
	"slices"

	"monban/verdict"
)

// cubes covers values of a register by EQ and MaskedEQ.
func (c *coverer) cubes(arg int, must, may verdict.Node, hi verdict.Word) ([]Test, bool) {
	p, ok := c.product(must, may, hi)
	if !ok {
		return nil, false
	}
	var tests []Test
	for _, q := range p.cubes {
		t := Test{Arg: arg, Op: MaskedEQ, Mask: q.Mask, Value: q.Want}
		if q.Mask == ^uint64(0)>>(64-c.bits) {
			t.Op, t.Mask = EQ, 0
		}
		tests = append(tests, t)
	}
	slices.SortFunc(tests, func(a, b Test) int { return cmp.Or(cmp.Compare(a.Value, b.Value), cmp.Compare(a.Mask, b.Mask)) })
	return tests, true
}

// A product is cubes, none of which can be left out, and the values in them.
type product struct {
	cubes []verdict.Cube
	node  verdict.Node
}

// product is a cover of must within may by cubes: those that need the first bit to be 0, those that need it to be 1,
// and those for what is left, which do not look at it (Minato and Morreale's way to a sum of products that has none to
// spare).
func (c *coverer) product(must, may verdict.Node, hi verdict.Word) (product, bool) {
	switch {
	case must == verdict.False:
		return product{nil, verdict.False}, true
	case may == verdict.True:
		return product{[]verdict.Cube{{}}, verdict.True}, true
	}
	if p, ok := c.memo[[2]verdict.Node{must, may}]; ok {
		return p, len(p.cubes) <= maxRows
	}
	s := c.s
	w, b := top(s.Verdict(must), s.Verdict(may))
	must0, must1 := cofactors(s.Verdict(must), w, b)
	may0, may1 := cofactors(s.Verdict(may), w, b)
	zero, ok0 := c.product(s.And(must0, s.Not(may1)), may0, hi)
	one, ok1 := c.product(s.And(must1, s.Not(may0)), may1, hi)
	if !ok0 || !ok1 {
		return c.tooMany(must, may)
	}
	left := s.Or(s.And(must0, s.Not(zero.node)), s.And(must1, s.Not(one.node)))
	both, ok := c.product(left, s.And(may0, may1), hi)
	if !ok || len(zero.cubes)+len(one.cubes)+len(both.cubes) > maxRows {
		return c.tooMany(must, may)
	}
	bit := registerBit(w, b, hi)
	p := product{cubes: slices.Clone(both.cubes)}
	for _, q := range zero.cubes {
		p.cubes = append(p.cubes, verdict.Cube{Mask: q.Mask | bit, Want: q.Want})
	}
	for _, q := range one.cubes {
		p.cubes = append(p.cubes, verdict.Cube{Mask: q.Mask | bit, Want: q.Want | bit})
	}
	is := s.Compare(verdict.Field{Lo: w, Bits: 32, Mask: uint64(b)}, verdict.NE, false, 0)
	p.node = s.Or(s.If(is, one.node, zero.node), both.node)
	s.Charge(len(p.cubes))
	c.memo[[2]verdict.Node{must, may}] = p
	return p, true
}

// manyCubes stands for all that are too many.
var manyCubes = make([]verdict.Cube, maxRows+1)

// tooMany remembers that there is no cover of few cubes.
func (c *coverer) tooMany(must, may verdict.Node) (product, bool) {
	c.memo[[2]verdict.Node{must, may}] = product{cubes: manyCubes}
	return product{}, false
}

// top is the first bit that either condition looks at.
func top(a, b verdict.Verdict) (w verdict.Word, bit uint32) {
	for _, v := range []verdict.Verdict{a, b} {
		if _, constant := v.Constant(); constant {
			continue
		}
		if x, y, _, _ := v.Top(); bit == 0 || x < w || x == w && y > bit {
			w, bit = x, y
		}
	}
	return w, bit
}

func cofactors(v verdict.Verdict, w verdict.Word, bit uint32) (zero, one verdict.Node) {
	if _, constant := v.Constant(); !constant {
		if x, y, lo, hi := v.Top(); x == w && y == bit {
			return lo.Node(), hi.Node()
		}
	}
	return v.Node(), v.Node()
}
