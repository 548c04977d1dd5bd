package scan

import "slices"

// twice are functions that return once more after what called them has gone on and changed its frame.
var twice = []string{"setjmp", "_setjmp", "__setjmp", "sigsetjmp", "__sigsetjmp", "vfork", "__vfork", "getcontext", "swapcontext"}

// returnsTwice says that a call is of such a function.
func (g *graph) returnsTwice(m *image, i *inst) bool {
	if i.target != 0 {
		return g.twice(place{m, i.target}, 0)
	}
	p, ok := m.pointerAt(i.slot)
	return i.slot != 0 && ok && p.symbol != "" && slices.ContainsFunc(g.targets(m, p), func(t place) bool { return g.twice(t, 0) })
}

// twice knows such a function by its name, or where it has none by what it does: it saves registers that functions keep where its first
// argument points, or begins by taking its return address from the stack, as vfork does.
func (g *graph) twice(f place, depth int) bool {
	m := f.image
	if slices.Contains(twice, m.names[f.addr]) {
		return true
	}
	const (
		most  = 24 // instructions
		saves = 4
	)
	saved := 0
	first := true
	for addr, n := f.addr, 0; n < most; n++ {
		code, seg := m.at(addr)
		if seg == nil || !seg.exec {
			return false
		}
		i := m.mach.decode(code, addr, m.fixed)
		addr = i.next
		switch i.kind {
		case kindJump:
			if depth < 3 && i.target != 0 {
				return g.twice(place{m, i.target}, depth+1)
			}
			p, ok := m.pointerAt(i.slot)
			return depth < 3 && i.slot != 0 && ok && p.symbol != "" &&
				slices.ContainsFunc(g.targets(m, p), func(t place) bool { return g.twice(t, depth+1) })
		case kindEnd, kindCall:
			return false
		case kindPop:
			if first {
				return true
			}
		case kindStore:
			for _, r := range []reg{i.src, i.second} {
				if i.base == m.mach.first && r != noReg && m.mach.preserved>>r&1 == 1 && (r == i.src || i.pair) {
					saved++
				}
			}
			if saved >= saves {
				return true
			}
		}
		first = first && i.kind == kindOther // endbr64
	}
	return false
}
