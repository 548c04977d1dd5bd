package flow

import (
	"slices"

	"monban/abi"
	"monban/scan/internal/code"
	"monban/scan/internal/decode"
)

// run goes on from an address until it has to be left.
func (f *flow) run(addr uint64, s *State) {
	tested := decode.NoReg
	for first := true; ; first = false {
		if !first && f.blocks[addr] != nil {
			f.enter(addr, s)
			return
		}
		if f.steps++; f.steps > maxSteps {
			return
		}
		i, ok := f.code.Decode(addr)
		if !ok {
			return
		}
		if i.Kind != decode.Branch && i.Kind != decode.Test {
			tested = decode.NoReg
		}
		switch i.Kind {
		case decode.End:
			return
		case decode.Syscall:
			nr := s.Regs[f.mach.Number]
			f.unit.Numbers[addr] = f.unit.Numbers[addr].Join(nr)
			if len(nr.Consts) == 1 && len(nr.Params) == 0 && nr.Consts[0] == f.mach.Sigreturn {
				return
			}
			f.clobber(&i, s)
		case decode.Foreign:
			f.clobber(&i, s)
		case decode.Call:
			f.leave(addr, s)
			if f.graph.NeverReturns(f.code, &i) {
				return
			}
			f.call(&i, s)
		case decode.Jump:
			switch {
			case i.Target != 0:
				f.jump(i.Target, addr, s)
			case i.Slot != 0:
				f.leave(addr, s)
			default:
				f.table(addr, s)
			}
			return
		case decode.Branch:
			s = f.branch(&i, s, tested)
		case decode.Test:
			tested = i.Src
		default:
			f.step(&i, s)
		}
		addr = i.Next
		if f.graph.Heads[code.Place{Code: f.code, Addr: addr}] && f.code.Part(addr) != f.code.Part(i.Addr) { // it runs on into another function
			f.leave(i.Addr, s)
			return
		}
	}
}

// clobber is what a system call does to memory and registers.
func (f *flow) clobber(i *decode.Inst, s *State) {
	s.forget()
	s.Regs[i.Dst] = top
	s.kill(i.Kill)
}

// call is what a called function leaves.
func (f *flow) call(i *decode.Inst, s *State) {
	if f.graph.ReturnsTwice(f.code, i) {
		s.forgetFrame()
	}
	s.forget()
	kept := f.mach.Preserved
	for r := range s.Regs {
		if kept>>r&1 == 0 {
			s.lend(s.Regs[r])
		}
	}
	if f.code.IsGo(i.Addr) {
		kept = f.mach.Frame.Bit() | f.mach.SP.Bit()
	}
	s.kill(^kept)
}

// branch leads one way on, and is what is known on the other one.
func (f *flow) branch(i *decode.Inst, s *State, tested decode.Reg) *State {
	s.kill(i.Kill)
	if i.Src != decode.NoReg {
		tested = i.Src
	}
	zero := s
	if i.Zero != decode.Neither && tested != decode.NoReg {
		zero = s.clone()
		zero.Regs[tested] = Constant(0)
	}
	if i.Zero == decode.Taken {
		f.jump(i.Target, i.Addr, zero)
		return s
	}
	f.jump(i.Target, i.Addr, s)
	return zero
}

// jump leads on within the unit, or, to what is called as well, out of it.
func (f *flow) jump(to, from uint64, s *State) {
	t := code.Place{Code: f.code, Addr: to}
	if f.graph.Heads[t] && t != f.unit.Head && f.code.Part(to) != f.code.Part(from) {
		f.leave(from, s)
		return
	}
	f.enter(to, s)
}

// table leads on through a jump table. Where there is none, the jump is a call of somebody else at the end.
func (f *flow) table(from uint64, s *State) {
	p := f.code.Part(from)
	if p == nil {
		return
	}
	if f.mach.Arch == abi.AArch64 { // offsets of one, two or four bytes from a place in the code
		if slices.ContainsFunc(p.Refs, p.Has) {
			f.enterAll(p, s)
		}
		return
	}
	tables := p.Tables()
	for _, t := range tables {
		if f.code.Part(t) == p || !f.graph.Heads[code.Place{Code: f.code, Addr: t}] {
			f.enter(t, s)
		}
	}
	for _, r := range p.Refs { // labels whose addresses are taken
		if p.Has(r) && r != p.Start {
			f.enter(r, s)
		}
	}
	if sp := s.Regs[f.mach.SP]; len(tables) == 0 && (!sp.Stack || sp.Off != 0) { // a call of somebody else does without a frame
		f.enterAll(p, s)
	}
}
