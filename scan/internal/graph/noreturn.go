package graph

import (
	"monban/scan/internal/code"
	"monban/scan/internal/decode"
)

const (
	maxDepth = 6    // calls that are looked through for one that never returns
	maxLook  = 2000 // instructions of one function
)

// NeverReturns says of a call or a jump that no way through what it leads to leads back: abort, the runtime's throw.
// What follows it is not run with what was known before it.
func (g *Graph) NeverReturns(m *code.Code, i *decode.Inst) bool { return g.leadsNowhere(m, i, 0) }

func (g *Graph) leadsNowhere(m *code.Code, i *decode.Inst, depth int) bool {
	return i.Target != 0 && g.neverReturns(code.Place{Code: m, Addr: i.Target}, depth) || i.Slot != 0 && g.slotNeverReturns(m, i.Slot, depth)
}

// neverReturns is the same of a function.
func (g *Graph) neverReturns(f code.Place, depth int) bool {
	if known, ok := g.final[f]; ok {
		return known
	}
	if depth > maxDepth {
		return false
	}
	g.final[f] = false // while it is looked at, it may return
	g.final[f] = g.looksFinal(f, depth)
	return g.final[f]
}

func (g *Graph) looksFinal(f code.Place, depth int) bool {
	m := f.Code
	seen := map[uint64]bool{}
	queue := []uint64{f.Addr}
	var p *code.Part
	for len(queue) > 0 {
		addr := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if q := m.Part(addr); q != p && q != nil { // what catches an exception may return
			p = q
			queue = append(queue, m.Pads[q.Start]...)
		}
		for !seen[addr] {
			seen[addr] = true
			i, ok := m.Decode(addr)
			if !ok || len(seen) > maxLook {
				return false
			}
			addr = i.Next
			switch i.Kind {
			case decode.End:
				if i.Returns {
					return false
				}
			case decode.Jump:
				if i.Target == 0 && (i.Slot == 0 || !g.slotNeverReturns(m, i.Slot, depth)) {
					return false
				}
				if i.Target != 0 {
					queue = append(queue, i.Target)
				}
			case decode.Branch:
				queue = append(queue, i.Target)
				continue
			case decode.Call:
				if i.Target != 0 && g.neverReturns(code.Place{Code: m, Addr: i.Target}, depth+1) || i.Slot != 0 && g.slotNeverReturns(m, i.Slot, depth) {
					break
				}
				continue
			default:
				continue
			}
			break
		}
	}
	return true
}

// slotNeverReturns is the same of what a pointer leads to that the loader fills in.
func (g *Graph) slotNeverReturns(m *code.Code, slot uint64, depth int) bool {
	p, ok := m.PointerAt(slot)
	if !ok || !p.Slot || p.Symbol == "" {
		return false
	}
	to := g.targets(m, p)
	for _, t := range to {
		if !g.neverReturns(t, depth+1) {
			return false
		}
	}
	return len(to) > 0
}
