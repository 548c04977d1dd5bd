package compile

import (
	"monban/bpf"
	"monban/verdict"
)

// A ref is one piece of code: an instruction and what follows it. Equal code is one ref, so that code is shared
// wherever it can be.
type ref int32

// none follows a ret.
const none ref = -1

type op uint8

const (
	ret  op = iota // answer k
	load           // A = word k, then yes
	and            // A &= k, then yes
	jeq            // A == k: yes, else no
	jge            // A >= k: yes, else no
	jset           // A & k != 0: yes, else no
)

type code struct {
	op      op
	k       uint32
	yes, no ref
}

// A pool holds code while a program is put together; most of it is never used. What is done with it is charged to the
// space of the verdict at hand, so that a budget ends it.
type pool struct {
	space *verdict.Space
	codes []code
	refs  map[code]ref
	memo  map[want]ref

	numbered map[want]ref // memo, for what goes by architecture or number; it depends on shared
	sizes    map[ref]int
	seen     []int32 // see size: in which search code was met last
	searches int32
	stack    []ref

	costs []float64 // see square
	roots []int

	goal    Goal
	weights Weights
	arch    uint32 // the token of the architecture that code is being made for, or 0
	window  window // see groups

	shared uint32 // a number from which on several architectures agree, or 0
}

// want is code that is asked for: to decide node while A holds word (or nothing).
type want struct {
	node verdict.Node
	word verdict.Word
}

// noWord says that A holds nothing of use.
const noWord verdict.Word = 255

func newPool(o Options) *pool {
	return &pool{goal: o.Goal, weights: o.weights(), refs: map[code]ref{}, memo: map[want]ref{}, numbered: map[want]ref{}, sizes: map[ref]int{}}
}

// code is code for a whole verdict. What the pool knows of arguments serves all verdicts of a space.
func (p *pool) code(v verdict.Verdict) ref {
	p.space = v.Space()
	clear(p.numbered)
	p.arch, p.shared = 0, 0
	return p.decide(v, noWord)
}

func (p *pool) add(c code) ref {
	if c.op >= jeq && c.yes == c.no {
		return c.yes
	}
	r, ok := p.refs[c]
	if !ok {
		p.space.Charge(keep)
		r = ref(len(p.codes))
		p.codes = append(p.codes, c)
		p.refs[c] = r
	}
	return r
}

func (p *pool) ret(a bpf.Action) ref           { return p.add(code{ret, uint32(a), none, none}) }
func (p *pool) load(w verdict.Word, r ref) ref { return p.add(code{load, uint32(w), r, none}) }
func (p *pool) and(k uint32, r ref) ref        { return p.add(code{and, k, r, none}) }
func (p *pool) jump(o op, k uint32, yes, no ref) ref {
	return p.add(code{o, k, yes, no})
}

// size is the number of instructions reachable from r, each counted once.
func (p *pool) size(r ref) int {
	if n, ok := p.sizes[r]; ok {
		return n
	}
	p.seen = append(p.seen, make([]int32, len(p.codes)-len(p.seen))...)
	p.searches++
	n := 0
	p.stack = append(p.stack[:0], r)
	for len(p.stack) > 0 {
		r := p.stack[len(p.stack)-1]
		p.stack = p.stack[:len(p.stack)-1]
		if r == none || p.seen[r] == p.searches {
			continue
		}
		p.seen[r] = p.searches
		n++
		p.stack = append(p.stack, p.codes[r].yes, p.codes[r].no)
	}
	p.space.Charge(1 + n/perStep)
	p.sizes[r] = n
	return n
}

// What work costs, in steps of the space's budget: some tens of nanoseconds each.
const (
	perStep = 4  // elements of a list, or pieces of code, that are gone through in one
	lookup  = 4  // in a table or two, remembering
	look    = 8  // at a window
	keep    = 12 // a piece of code: it stays in memory
)

// smallest is the shortest of several codes for the same thing; of equals the first.
func (p *pool) smallest(rs ...ref) ref {
	best := rs[0]
	for _, r := range rs[1:] {
		if p.size(r) < p.size(best) {
			best = r
		}
	}
	return best
}
