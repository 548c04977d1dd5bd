package graph

import (
	"slices"

	"monban/scan/internal/code"
	"monban/scan/internal/decode"
)

// twice are functions that return once more after what called them has gone on and changed its frame.
var twice = []string{"setjmp", "_setjmp", "__setjmp", "sigsetjmp", "__sigsetjmp", "vfork", "__vfork", "getcontext", "swapcontext"}

// ReturnsTwice says that a call is of such a function.
func (g *Graph) ReturnsTwice(m *code.Code, i *decode.Inst) bool {
	if i.Target != 0 {
		return g.twice(code.Place{Code: m, Addr: i.Target}, 0)
	}
	p, ok := m.PointerAt(i.Slot)
	return i.Slot != 0 && ok && p.Symbol != "" && slices.ContainsFunc(g.targets(m, p), func(t code.Place) bool { return g.twice(t, 0) })
}

// twice knows such a function by its name, or where it has none by what it does: it saves registers that functions keep
// where its first argument points, or begins by taking its return address from the stack, as vfork does.
func (g *Graph) twice(f code.Place, depth int) bool {
	m := f.Code
	if slices.Contains(twice, m.Names[f.Addr]) {
		return true
	}
	const (
		most  = 24 // instructions
		saves = 4
	)
	saved := 0
	first := true
	for addr, n := f.Addr, 0; n < most; n++ {
		i, ok := m.Decode(addr)
		if !ok {
			return false
		}
		addr = i.Next
		switch i.Kind {
		case decode.Jump:
			if depth < 3 && i.Target != 0 {
				return g.twice(code.Place{Code: m, Addr: i.Target}, depth+1)
			}
			p, ok := m.PointerAt(i.Slot)
			return depth < 3 && i.Slot != 0 && ok && p.Symbol != "" &&
				slices.ContainsFunc(g.targets(m, p), func(t code.Place) bool { return g.twice(t, depth+1) })
		case decode.End, decode.Call:
			return false
		case decode.Pop:
			if first {
				return true
			}
		case decode.Store:
			for _, r := range []decode.Reg{i.Src, i.Second} {
				if i.Base == m.Machine.First && r != decode.NoReg && m.Machine.Keeps(r) && (r == i.Src || i.Pair) {
					saved++
				}
			}
			if saved >= saves {
				return true
			}
		}
		first = first && i.Kind == decode.Other // endbr64
	}
	return false
}
