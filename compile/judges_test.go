package compile

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"monban/abi"
	"monban/bpf"
	"monban/policy"
	"monban/policy/lang"
	"monban/verdict"
)

var (
	judges     = flag.Int("judges", 400, "how many random gates TestJudges and TestJudgesLive try")
	judgesFrom = flag.Uint64("judges-from", 0, "the seed of the first")
)

// gateOf is the gate of a seed: every fourth can be tried on the live kernel, of these every sixteenth may end the
// thread.
func gateOf(seed uint64) (*gate, mood, *rand.Rand) {
	r := rand.New(rand.NewPCG(seed, 0))
	m := anything
	switch {
	case seed%64 == 3:
		m = sometimes
	case seed%4 == 3:
		m = survives
	}
	return randomGate(r, m), m, r
}

// A tally counts what was judged.
type tally struct{ programs, calls, instructions, tooLong int }

// Each random gate is compiled; the program must mean the gate's verdict, exactly, and answer calls around every
// constant as the gate's plain reading does, and the kernel's cache must find what is plainly allowed.
func TestJudges(t *testing.T) {
	var n tally
	begin := time.Now()
	for i := range *judges {
		seed := *judgesFrom + uint64(i)
		g, _, r := gateOf(seed)
		if err := judge(g, r, &n); err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, shrink(g))
		}
	}
	if n.programs < *judges || n.tooLong*100 > *judges {
		t.Errorf("%d gates made only %d programs, %d were too long", *judges, n.programs, n.tooLong)
	}
	t.Logf("%d gates, %d programs of %d instructions, %d too long, %d calls compared, %.0f gates/s",
		*judges, n.programs, n.instructions, n.tooLong, n.calls, float64(*judges)/time.Since(begin).Seconds())
}

// FuzzPolicy lets the fuzzer's bytes choose the gate, and the calls.
func FuzzPolicy(f *testing.F) {
	f.Add([]byte("monban"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := rand.New(&tape{b, rand.NewPCG(1, 2)})
		g := randomGate(r, anything)
		if err := judge(g, r, &tally{}); err != nil {
			t.Fatalf("%v\n%s", err, shrink(g))
		}
	})
}

// A tape is a source of random numbers that starts with given bytes.
type tape struct {
	b    []byte
	then *rand.PCG
}

func (t *tape) Uint64() uint64 {
	if len(t.b) == 0 {
		return t.then.Uint64()
	}
	n := uint64(t.b[0])
	t.b = t.b[1:]
	return n * 0x0101010101010101 // IntN looks at either end
}

var errUnloadable = errors.New("it does not load")

// judge compiles the gate, once for each byte order, and returns the first difference.
func judge(g *gate, r *rand.Rand, n *tally) error {
	p, err := lang.Load("random.gate", []byte(g.String()), lang.Options{})
	if err != nil {
		return fmt.Errorf("%w: %w", errUnloadable, err)
	}
	var little, big []abi.Arch
	for _, a := range g.archs {
		if a.ByteOrder() == binary.ByteOrder(binary.LittleEndian) {
			little = append(little, a)
		} else {
			big = append(big, a)
		}
	}
	if _, err := p.ByteOrder(); (err == nil) != (little == nil || big == nil) {
		return fmt.Errorf("%v in one program: %w", g.archs, err)
	}
	for _, archs := range [][]abi.Arch{little, big} {
		if archs == nil {
			continue
		}
		part, its := *g, *p
		part.archs, its.Archs = archs, archs
		if err := judgePart(&part, &its, r, n); err != nil {
			return fmt.Errorf("on %s: %w", names(archs), err)
		}
	}
	return nil
}

const callsPerProgram = 200

func judgePart(g *gate, p *policy.Policy, r *rand.Rand, n *tally) error {
	order := g.archs[0].ByteOrder()
	v, err := p.Verdict(verdict.NewSpace(verdict.DefaultBudget))
	if err != nil {
		return err
	}
	program, err := Program(v, order, Options{})
	if errors.Is(err, ErrTooLong) {
		n.tooLong++
		return nil
	}
	if err != nil {
		return err
	}
	if err := program.Check(); err != nil {
		return err
	}
	if got, err := v.Space().Of(program, order); err != nil || got != v {
		return fmt.Errorf("Program's own proof let through what is not equal (%w)", err)
	}
	n.programs++
	n.instructions += len(program)

	draw := g.calls(r)
	decider := p.Decider()
	for i := range callsPerProgram {
		d := draw()
		want := g.answer(&d).Canonical()
		got, exact := program.Run(&d, order).Canonical(), v.At(&d)
		if got != want || exact != want {
			return fmt.Errorf("the program says %v, the verdict %v, the gate %v for %+v", got, exact, want, d)
		}
		if i%5 == 0 {
			if dec, err := decider.Decide(&d); err != nil || dec.Action != want {
				return fmt.Errorf("the rules say %v (%w), the gate %v for %+v", dec.Action, err, want, d)
			}
		}
		n.calls++
	}
	return cached(program, v, g.archs)
}

// cached checks that the kernel's cache answers each call that is plainly allowed, and no other.
func cached(p bpf.Program, v verdict.Verdict, archs []abi.Arch) error {
	for _, a := range archs {
		own := v.Restrict(verdict.Arch, a.Token())
		for nr, call := range a.Calls() {
			do, constant := own.Restrict(verdict.Nr, nr).Constant()
			if want := constant && do == bpf.Allow; p.CachesAllow(a.Token(), nr) != want {
				return fmt.Errorf("the kernel's cache answers %s on %s: %v, want %v", call, a, !want, want)
			}
		}
	}
	return nil
}

// calls draws calls around the constants of the gate.
func (g *gate) calls(r *rand.Rand) func() bpf.Data {
	edges := map[abi.Arch]*[registers][]uint64{}
	for _, a := range g.archs {
		edges[a] = g.edges(a)
	}
	return func() bpf.Data {
		a := pick(r, g.archs...)
		d := bpf.Data{Arch: a.Token(), Nr: uint32(near(r, edges[a][regNr], 12))}
		for i := range d.Args {
			d.Args[i] = near(r, edges[a][i], 2)
		}
		d.IP = near(r, edges[a][regIP], 2)
		switch r.IntN(40) {
		case 0:
			d.Arch = pick(r, pick(r, abi.Archs()...).Token(), r.Uint32(), d.Arch^1<<r.IntN(32))
		case 1:
			d.Nr ^= pick[uint32](r, abi.X32Bit, 1<<r.IntN(32))
		}
		return d
	}
}

// near is one of the edges, perhaps with a bit or a half changed; one in odd times it is anything.
func near(r *rand.Rand, edges []uint64, odd int) uint64 {
	if len(edges) == 0 || r.IntN(odd*8) == 0 {
		return pick(r, r.Uint64(), r.Uint64()>>r.IntN(64), 0, ^uint64(0))
	}
	v := pick(r, edges...)
	switch r.IntN(odd * 5) {
	case 0:
		v ^= 1 << r.IntN(64)
	case 1:
		v |= 0xffffffff << 32
	case 2:
		v = v&0xffffffff | uint64(r.Uint32())<<32
	case 3:
		v &= 0xffffffff
	case 4:
		v += uint64(r.IntN(3)) - 1
	}
	return v
}

// edges are the values of each register at which the gate may change its answer, and their neighbours.
func (g *gate) edges(a abi.Arch) *[registers][]uint64 {
	e := &[registers][]uint64{}
	e[regNr] = append(e[regNr], 0, 0x3fffffff)
	number := func(call string) {
		if nr, ok := a.Number(call); ok {
			e[regNr] = append(e[regNr], uint64(nr), uint64(nr), uint64(nr))
		}
		if mux, ok := a.Mux(call); ok {
			nr, _ := a.Number(mux.Call)
			e[regNr] = append(e[regNr], uint64(nr))
			e[0] = append(e[0], uint64(mux.Sub), uint64(mux.Sub)|0x10000)
		}
	}
	for i := range g.lines {
		for _, it := range g.lines[i].items {
			switch {
			case !has(a, it.call):
				continue
			case it.call[0] == '@':
				members, _ := abi.Group(it.call, g.kernel)
				for _, call := range members {
					number(call)
				}
			case it.call != "any":
				number(it.call)
			}
			if it.cond != nil {
				g.edgesOf(it.cond, a, it.call, e)
			}
		}
	}
	last := uint64(0)
	for nr := range a.Calls() {
		last = uint64(nr)
	}
	e[regNr] = append(e[regNr], last, last+1)
	return e
}

func (g *gate) edgesOf(c *cond, a abi.Arch, call string, e *[registers][]uint64) {
	for i := range c.subs {
		g.edgesOf(&c.subs[i], a, call, e)
	}
	if len(c.subs) > 0 {
		return
	}
	f, ok := g.field(a, call, c.x)
	if !ok {
		return
	}
	// Whatever the bit operations are, they come to (x & mask) ^ flip.
	flip := c.x.compute(0, a, f.bits)
	mask := c.x.compute(^uint64(0), a, f.bits) ^ flip
	for _, i := range c.set {
		lo, _ := i.lo.on(a)
		hi, _ := i.hi.on(a)
		for _, v := range []uint64{lo - 1, lo, lo + 1, hi - 1, hi, hi + 1} {
			v = (v ^ flip) & mask
			for _, v := range []uint64{v, v | ^mask} {
				e[f.lo] = append(e[f.lo], v)
				if f.hi >= 0 {
					e[f.hi] = append(e[f.hi], v>>32)
				}
			}
		}
	}
}

// shrink leaves out of a gate that fails what it fails without, and says what is left of it and why that fails.
func shrink(g *gate) string {
	fails := func(g *gate) error {
		for seed := range uint64(20) {
			if err := judge(g, rand.New(rand.NewPCG(seed, 9)), &tally{}); err != nil {
				return err
			}
		}
		return nil
	}
	if err := fails(g); err == nil || errors.Is(err, errUnloadable) {
		return g.String()
	}
	for smaller := true; smaller; {
		smaller = false
		for _, s := range g.smaller() {
			if err := fails(s); err != nil && !errors.Is(err, errUnloadable) {
				g, smaller = s, true
				break
			}
		}
	}
	return fmt.Sprintf("%v\n%s", fails(g), g)
}

// smaller lists the gates that are one step simpler.
func (g *gate) smaller() []*gate {
	var all []*gate
	with := func(change func(h *gate)) {
		h := *g
		h.lines = slices.Clone(g.lines)
		change(&h)
		all = append(all, &h)
	}
	for i := range g.lines {
		with(func(h *gate) { h.lines = slices.Delete(h.lines, i, i+1) })
	}
	for i := range g.archs {
		if len(g.archs) > 1 {
			with(func(h *gate) { h.archs = slices.Delete(slices.Clone(h.archs), i, i+1) })
		}
	}
	for i, l := range g.lines {
		for j, it := range l.items {
			change := func(to ...item) {
				with(func(h *gate) { h.lines[i].items = slices.Replace(slices.Clone(l.items), j, j+1, to...) })
			}
			if len(l.items) > 1 {
				change()
			}
			if it.cond == nil {
				continue
			}
			for k := range it.cond.subs {
				change(item{it.call, it.optional, &it.cond.subs[k]})
				if len(it.cond.subs) > 2 {
					c := *it.cond
					c.subs = slices.Delete(slices.Clone(c.subs), k, k+1)
					change(item{it.call, it.optional, &c})
				}
			}
		}
	}
	return all
}
