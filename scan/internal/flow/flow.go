// Package flow runs through the code of a function with values instead of registers and words of the stack: numbers,
// what callers give, addresses in its own frame, or anything.
package flow

import (
	"container/heap"

	"monban/scan/internal/code"
	"monban/scan/internal/decode"
	"monban/scan/internal/graph"
)

// A Unit is what can run from a head on without a call, and what is known there.
type Unit struct {
	Head    code.Place
	Numbers map[uint64]Value  // of the number's register, by system call instruction
	At      map[uint64]*State // before what leads to other units, by instruction
	Stores  map[uint64]Value  // what is written to variables, by instruction
}

// maxSteps bounds the instructions that are gone through for one unit; where it is not enough, nothing is known.
const maxSteps = 400_000

type flow struct {
	graph  *graph.Graph
	code   *code.Code
	mach   *decode.Machine
	unit   *Unit
	blocks map[uint64]*block
	queue  queue // of blocks
	parts  map[*code.Part]bool
	loose  bool // enter every block that nothing seems to lead to
	steps  int
}

// A block is where ways through a unit come together, and what holds there on all of them.
type block struct {
	state  *State
	queued bool
}

// A queue is of addresses, the lowest first: in the order of the code what leads to a block comes before it. It is a
// heap.
type queue []uint64

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i] < q[j] }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)        { *q = append(*q, x.(uint64)) }
func (q *queue) Pop() any {
	last := len(*q) - 1
	x := (*q)[last]
	*q = (*q)[:last]
	return x
}

// Run runs through the unit of a head. A loose run enters the blocks that nothing seems to lead to as well, knowing
// nothing.
func Run(g *graph.Graph, head code.Place, loose bool) *Unit {
	f := &flow{graph: g, code: head.Code, mach: head.Code.Machine, blocks: map[uint64]*block{}, parts: map[*code.Part]bool{}, loose: loose,
		unit: &Unit{Head: head, Numbers: map[uint64]Value{}, At: map[uint64]*State{}, Stores: map[uint64]Value{}}}
	s := newState()
	for r := range s.Regs {
		s.Regs[r] = Value{Params: []Param{{Reg: decode.Reg(r)}}}
	}
	s.Regs[f.mach.SP] = Value{Stack: true}
	f.enter(head.Addr, s)
	for len(f.queue) > 0 {
		addr := heap.Pop(&f.queue).(uint64)
		b := f.blocks[addr]
		b.queued = false
		if f.run(addr, b.state.clone()); f.steps > maxSteps {
			f.giveUp()
			break
		}
	}
	return f.unit
}

// giveUp leaves nothing known.
func (f *flow) giveUp() {
	for k := range f.unit.Numbers {
		f.unit.Numbers[k] = top
	}
	for k := range f.unit.Stores {
		f.unit.Stores[k] = top
	}
	for _, s := range f.unit.At {
		*s = *Nothing()
	}
	for p := range f.parts {
		for _, a := range p.Syscalls {
			f.unit.Numbers[a] = top
		}
	}
}

// enter brings a state to an address of the unit.
func (f *flow) enter(addr uint64, s *State) {
	p := f.code.Part(addr)
	if p == nil {
		return
	}
	if !f.parts[p] {
		f.parts[p] = true
		for _, pad := range f.code.Pads[p.Start] {
			f.enter(pad, Nothing())
		}
		if f.loose {
			f.enterAll(p, Nothing())
		}
	}
	b := f.blocks[addr]
	if b == nil {
		b = &block{state: s.clone()}
		f.blocks[addr] = b
	} else if !b.state.join(s, f.mach.Pushed) {
		return
	}
	if !b.queued {
		b.queued = true
		heap.Push(&f.queue, addr)
	}
}

// enterAll brings a state to all blocks of a part.
func (f *flow) enterAll(p *code.Part, s *State) {
	for _, a := range p.Blocks() {
		f.enter(a, s)
	}
}

// leave notes a state before an instruction that leads to another unit.
func (f *flow) leave(addr uint64, s *State) {
	if old := f.unit.At[addr]; old != nil {
		old.join(s, f.mach.Pushed)
		return
	}
	f.unit.At[addr] = s.clone()
}
