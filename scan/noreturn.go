package scan

const (
	maxDepth = 6    // calls that are looked through for one that never returns
	maxLook  = 2000 // instructions of one function
)

// neverReturns says that no way through a function leads back to its caller: abort, the runtime's throw. What follows a call of it is
// not run with what was known before it.
func (g *graph) neverReturns(f place, depth int) bool {
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

func (g *graph) looksFinal(f place, depth int) bool {
	m := f.image
	seen := map[uint64]bool{}
	queue := []uint64{f.addr}
	var p *part
	for len(queue) > 0 {
		addr := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if q := m.partAt(addr); q != p && q != nil { // what catches an exception may return
			p = q
			queue = append(queue, m.pads[q.start]...)
		}
		for !seen[addr] {
			seen[addr] = true
			code, seg := m.at(addr)
			if seg == nil || !seg.exec || len(seen) > maxLook {
				return false
			}
			i := m.mach.decode(code, addr, m.fixed)
			addr = i.next
			switch i.kind {
			case kindEnd:
				if i.returns {
					return false
				}
			case kindJump:
				if i.target == 0 && (i.slot == 0 || !g.slotNeverReturns(m, i.slot, depth)) {
					return false
				}
				if i.target != 0 {
					queue = append(queue, i.target)
				}
			case kindBranch:
				queue = append(queue, i.target)
				continue
			case kindCall:
				if i.target != 0 && g.neverReturns(place{m, i.target}, depth+1) || i.slot != 0 && g.slotNeverReturns(m, i.slot, depth) {
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
func (g *graph) slotNeverReturns(m *image, slot uint64, depth int) bool {
	p, ok := m.pointerAt(slot)
	if !ok || !p.got || p.symbol == "" {
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
