package flow

import (
	"monban/scan/internal/code"
	"monban/scan/internal/decode"
)

// step is one instruction that does not lead anywhere.
func (f *flow) step(i *decode.Inst, s *State) {
	v := top
	switch i.Kind {
	case decode.Set:
		v = Constant(i.Imm)
	case decode.Copy:
		v = s.Regs[i.Src]
	case decode.Add:
		v = s.Regs[i.Src].Add(i.Imm)
		if i.Unknown && v.Stack { // a push
			s.put(v.Off, 16, top)
		}
	case decode.LowByte:
		v = s.Regs[i.Dst].lowByte(i.Imm)
	case decode.Point:
		if base := s.Regs[i.Base]; base.Stack {
			s.give(wholeFrame)
			s.args = s.args || base.Off >= 0
		}
	case decode.Unknown:
		s.forget()
		s.forgetFrame()
	case decode.Choose:
		v = s.Regs[i.Dst].Join(s.Regs[i.Src])
	case decode.Load:
		v = f.load(i, s)
	case decode.Pop:
		v = f.word(s, s.Regs[f.mach.SP], 8)
		s.Regs[f.mach.SP] = s.Regs[f.mach.SP].Add(8)
	case decode.Leave:
		old := s.Regs[i.Dst]
		v = f.word(s, old, 8)
		s.Regs[f.mach.SP] = old.Add(8)
	case decode.Push, decode.Store:
		f.store(i, s)
	}
	if i.Dst != decode.NoReg {
		s.Regs[i.Dst] = v
		carries := i.Kind == decode.Add || i.Kind == decode.Copy || i.Kind == decode.Choose
		if v.Stack && carries && i.Dst != f.mach.SP && !(i.Dst == f.mach.Frame && i.Src == f.mach.SP) {
			s.give(v.Off)
		}
	}
	s.kill(i.Kill)
}

// store writes to memory.
func (f *flow) store(i *decode.Inst, s *State) {
	what := Constant(i.Value)
	switch {
	case i.Unknown:
		what = top
	case i.Src != decode.NoReg:
		what = s.Regs[i.Src]
	}
	switch {
	case i.Indexed: // it may be any word near there
		if to := s.Regs[i.Base]; to.Stack {
			s.forgetFrame()
		} else {
			s.forget()
			s.lend(to)
		}
		return
	case i.Kind == decode.Push:
		s.Regs[f.mach.SP] = s.Regs[f.mach.SP].Add(-8)
		if to := s.Regs[f.mach.SP]; to.Stack {
			s.put(to.Off, 8, what)
		}
		return
	case i.Base == decode.NoReg:
		f.unit.Stores[i.Addr] = f.unit.Stores[i.Addr].Join(what)
		return
	}
	switch to := s.Regs[i.Base].Add(i.Imm); {
	case to.Stack && i.Pair:
		s.put(to.Off, 8, s.orZero(i.Src))
		s.put(to.Off+8, 8, s.orZero(i.Second))
	case to.Stack:
		s.put(to.Off, i.Width, what)
	case len(to.Consts) == 1:
		f.unit.Stores[i.Addr] = f.unit.Stores[i.Addr].Join(what)
	default:
		if to.Top {
			s.forget()
		}
		s.lend(to)
	}
}

// orZero is a register, or ARM's zero register: no pair stores the stack pointer.
func (s *State) orZero(r decode.Reg) Value {
	if r == 31 {
		return Constant(0)
	}
	return s.Regs[r]
}

// kill forgets registers.
func (s *State) kill(set uint32) {
	for r := range s.Regs {
		if set>>r&1 == 1 {
			s.Regs[r] = top
		}
	}
}

// load is what a load brings.
func (f *flow) load(i *decode.Inst, s *State) Value {
	if i.Base == decode.NoReg {
		return f.word(s, Constant(int64(i.Ref)), i.Width)
	}
	base := s.Regs[i.Base]
	if p, ok := base.param(); ok && !p.Deref {
		if s.isLent(p) {
			return top
		}
		p.Deref, p.Off = true, i.Imm
		return Value{Params: []Param{p}}
	}
	return f.word(s, base.Add(i.Imm), i.Width)
}

// word is the memory at an address.
func (f *flow) word(s *State, at Value, width uint8) (v Value) {
	switch {
	case at.Stack:
		return s.Slot(at.Off, f.mach.Pushed)
	case at.Top || len(at.Consts) == 0 || len(at.Params) > 0:
		return top
	}
	for _, a := range at.Consts {
		if p, ok := f.code.PointerAt(uint64(a)); ok && p.Symbol == "" && f.code.IsConstant(p) {
			v = v.Join(Constant(int64(p.Addr)))
		} else if n, ok := f.code.Number(uint64(a), width); ok {
			v = v.Join(Constant(n))
		} else if f.code.IsData(uint64(a)) {
			v = v.Join(Value{Params: []Param{{Reg: decode.NoReg, Global: uint64(a)}}})
		} else {
			return top
		}
	}
	return v
}

// Deref is the word that a value points to, at an offset, in a state.
func (s *State) Deref(m *code.Code, v Value, off int64) Value {
	if p, ok := v.param(); ok && !p.Deref {
		p.Deref, p.Off = true, off
		return Value{Params: []Param{p}}
	}
	switch {
	case v.Stack:
		return s.Slot(v.Off+off, m.Machine.Pushed)
	case len(v.Consts) > 0 && len(v.Params) == 0 && !v.Top:
		var out Value
		for _, a := range v.Consts {
			n, ok := m.Number(uint64(a+off), 4)
			if !ok {
				return top
			}
			out = out.Join(Constant(n))
		}
		return out
	}
	return top
}
