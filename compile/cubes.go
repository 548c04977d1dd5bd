package compile

import "math/bits"

// A window is a short run of values with the code that each leads to, small enough to look for tests that no range
// gives: the bits of x under a mask. Positions are values less lo; sets of them are bitmaps.
type window struct {
	lo      uint32
	all     uint64
	classes []class
	choices []choice
}

// A class is the positions that lead to the same code.
type class struct {
	at   uint64
	then ref
}

// A choice is some of the bits that vary, and the positions where one of them is 1.
type choice struct {
	mask uint32
	at   uint64
}

const (
	maxWindow  = 64 // values
	maxVarying = 6  // bits of them that are combined
	maxClasses = 3
	maxCubed   = 10 // spans
)

// look lays spans out in w; ok is false where they are too wide or too many.
func (w *window) look(spans []span) (ok bool) {
	first, last := spans[0].lo, spans[len(spans)-1].hi
	if last-first >= maxWindow || len(spans) > maxCubed {
		return false
	}
	w.lo, w.all = first, ^uint64(0)>>(63-(last-first))
	w.classes = w.classes[:0]
	for _, s := range spans {
		at := ^uint64(0) >> (63 - (s.hi - s.lo)) << (s.lo - first)
		i := 0
		for i < len(w.classes) && w.classes[i].then != s.then {
			i++
		}
		if i == len(w.classes) {
			if i == maxClasses {
				return false
			}
			w.classes = append(w.classes, class{then: s.then})
		}
		w.classes[i].at |= at
	}
	w.combine(first, last)
	return true
}

// combine lists what the bits that vary between first and last can tell apart.
func (w *window) combine(first, last uint32) {
	w.choices = append(w.choices[:0], choice{})
	for b := range uint32(32) {
		if (first^last)>>b == 0 || len(w.choices) > 1<<(maxVarying-1) {
			break
		}
		set := w.all
		if b < uint32(len(stripes)) {
			set &= stripes[b]>>(first&(2<<b-1)) | wrapped(b, first)
		} else {
			// It changes once: where all bits below it are 0.
			to := (last>>b<<b - first)
			set = w.all >> to << to
			if first>>b&1 == 1 {
				set = w.all &^ set
			}
		}
		if set == 0 || set == w.all {
			continue
		}
		for _, c := range w.choices {
			w.choices = append(w.choices, choice{c.mask | 1<<b, c.at | set})
		}
	}
}

// stripes are the positions 0 to 63 in which each bit is 1.
var stripes = [6]uint64{0xaaaaaaaaaaaaaaaa, 0xcccccccccccccccc, 0xf0f0f0f0f0f0f0f0, 0xff00ff00ff00ff00, 0xffff0000ffff0000, 0xffffffff00000000}

// wrapped are the stripes of bit b beyond those that a shift by first's low bits brings down.
func wrapped(b, first uint32) uint64 {
	down := first & (2<<b - 1)
	if down == 0 {
		return 0
	}
	return stripes[b] << (64 - down)
}

// only is the code of all positions in at, if that is one.
func (w *window) only(at uint64) (ref, bool) {
	for _, c := range w.classes {
		if at&^c.at == 0 {
			return c.then, true
		}
	}
	return none, false
}

// A test splits positions in two.
type test struct {
	op  op
	k   uint32
	yes uint64
}

// one finds the test that decides the positions at on its own.
func (w *window) one(at uint64) (test, bool) {
	own, others := uint64(0), uint64(0)
	for _, c := range w.classes {
		switch in := c.at & at; {
		case in == 0:
		case own == 0:
			own = in
		case others == 0:
			others = in
		default:
			return test{}, false
		}
	}
	for _, yes := range [...]uint64{own, others} {
		if bits.OnesCount64(yes) == 1 {
			return test{jeq, w.lo + uint32(bits.TrailingZeros64(yes)), yes}, true
		}
	}
	for _, yes := range [...]uint64{own, others} {
		if from := bits.TrailingZeros64(yes); (at&^yes)>>from == 0 {
			return test{jge, w.lo + uint32(from), yes}, true
		}
	}
	for _, c := range w.choices[1:] {
		if yes := c.at & at; yes == own || yes == others {
			return test{jset, c.mask, yes}, true
		}
	}
	return test{}, false
}

// two finds two tests that decide the window: the first settles one side, the second the other. What two groups could
// do is not looked for.
func (w *window) two() (first, second test, ok bool) {
	for _, c := range w.choices[1:] {
		yes, no := c.at, w.all&^c.at
		if _, settled := w.only(yes); settled {
			if second, ok = w.one(no); ok {
				return test{jset, c.mask, yes}, second, true
			}
		}
		if _, settled := w.only(no); settled {
			if second, ok = w.one(yes); ok {
				return test{jset, c.mask, yes}, second, true
			}
		}
	}
	for _, c := range w.classes {
		if 2*bits.OnesCount64(c.at) > bits.OnesCount64(w.all) {
			continue
		}
		for left := c.at; left != 0; left &= left - 1 {
			yes := left & -left
			if second, ok = w.one(w.all &^ yes); ok {
				return test{jeq, w.lo + uint32(bits.TrailingZeros64(left)), yes}, second, true
			}
		}
	}
	return first, second, false
}

// tests is how many tests decide the window, if that is below limit; limit is 3 at most.
func (w *window) tests(limit int) (n int, ok bool) {
	if limit > 1 {
		if _, ok := w.one(w.all); ok {
			return 1, true
		}
	}
	if limit > 2 {
		if _, _, ok := w.two(); ok {
			return 2, true
		}
	}
	return 0, false
}

// code is the code that tests found, and how many they are.
func (w *window) code(p *pool) (r ref, tests int) {
	if t, ok := w.one(w.all); ok {
		return w.settle(p, t, w.all), 1
	}
	first, second, _ := w.two()
	if r, ok := w.only(first.yes); ok {
		return p.jump(first.op, first.k, r, w.settle(p, second, w.all&^first.yes)), 2
	}
	r, _ = w.only(w.all &^ first.yes)
	return p.jump(first.op, first.k, w.settle(p, second, first.yes), r), 2
}

// settle is code for a test that decides the positions at.
func (w *window) settle(p *pool, t test, at uint64) ref {
	yes, _ := w.only(t.yes)
	no, _ := w.only(at &^ t.yes)
	return p.jump(t.op, t.k, yes, no)
}
