package inspect

import (
	"slices"

	"monban/abi"
	"monban/bpf"
	"monban/gate"
)

// A Trace is what one filter does with a call.
type Trace struct {
	Filter   bpf.Program
	Executed []int // the instructions that it executes, in order
	Returns  bpf.Action
}

// Follow runs an answer's example through the filters of the gate: its own, or those that its policy compiles to.
// Errors are the gate's.
func (a *Answer) Follow(g *gate.Gate) error {
	traces, err := Follow(g, &a.Example)
	a.Trace = traces
	return err
}

// Follow runs a call through the filters of a gate, its own or those that its policy compiles to, as the kernel does:
// the newest first.
func Follow(g *gate.Gate, d *bpf.Data) ([]Trace, error) {
	on, ok := abi.Of(d.Arch, d.Nr)
	if !ok {
		on = g.Native()
	}
	for _, part := range g.Parts() { // those of the call's byte order
		if order, err := part.ByteOrder(); err == nil && order == on.ByteOrder() {
			g = part
		}
	}
	order, err := g.ByteOrder()
	if err != nil {
		return nil, err
	}
	filters, err := g.Filters()
	if err != nil {
		return nil, err
	}
	var all []Trace
	for _, p := range slices.Backward(filters) {
		t := Trace{Filter: p}
		t.Returns = p.Trace(d, order, func(pc int) { t.Executed = append(t.Executed, pc) })
		all = append(all, t)
	}
	return all, nil
}
