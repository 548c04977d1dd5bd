package scan

import "slices"

// A unit is what can run from a head on without a call, and what is known there.
type unit struct {
	head    place
	numbers map[uint64]value  // of the number's register, by system call instruction
	at      map[uint64]*state // before what leads to other units, by instruction
	stores  map[uint64]value  // what is written to variables, by instruction
}

// maxSteps bounds the instructions that are gone through for one unit; where it is not enough, nothing is known.
const maxSteps = 400_000

type flow struct {
	*graph
	m      *image
	unit   *unit
	states map[uint64]*state
	queue  []uint64
	parts  map[*part]bool
	loose  bool // enter every block that nothing seems to lead to
	steps  int
}

// flow runs through a unit with values instead of registers.
func (g *graph) flow(head place, loose bool) *unit {
	f := &flow{graph: g, m: head.image, states: map[uint64]*state{}, parts: map[*part]bool{}, loose: loose,
		unit: &unit{head: head, numbers: map[uint64]value{}, at: map[uint64]*state{}, stores: map[uint64]value{}}}
	s := newState()
	for r := range s.regs {
		s.regs[r] = value{params: []param{{reg: reg(r)}}}
	}
	s.regs[f.m.mach.sp] = value{stack: true}
	f.enter(head.addr, s)
	for len(f.queue) > 0 {
		addr := slices.Min(f.queue) // in the order of the code, so that what leads to a block comes before it
		f.queue = slices.DeleteFunc(f.queue, func(a uint64) bool { return a == addr })
		f.block(addr, f.states[addr].clone())
		if f.steps > maxSteps {
			for k := range f.unit.numbers {
				f.unit.numbers[k] = top
			}
			for _, s := range f.unit.at {
				*s = *nothing()
			}
			for p := range f.parts {
				for _, a := range p.syscalls {
					f.unit.numbers[a] = top
				}
			}
			break
		}
	}
	return f.unit
}

// nothing is the state in which nothing is known.
func nothing() *state {
	s := newState()
	for r := range s.regs {
		s.regs[r] = top
	}
	return s
}

// enter brings a state to an address of the unit.
func (f *flow) enter(addr uint64, s *state) {
	p := f.m.partAt(addr)
	if p == nil {
		return
	}
	if !f.parts[p] {
		f.parts[p] = true
		for _, pad := range f.m.pads[p.start] {
			f.enter(pad, nothing())
		}
		if f.loose {
			for a := range f.m.blocks(p) {
				f.enter(a, nothing())
			}
		}
	}
	if old := f.states[addr]; old == nil {
		f.states[addr] = s.clone()
	} else if !old.join(s, f.m.mach.pushed) {
		return
	}
	if !slices.Contains(f.queue, addr) {
		f.queue = append(f.queue, addr)
	}
}

// leave notes a state before an instruction that leads to another unit.
func (f *flow) leave(addr uint64, s *state) {
	if old := f.unit.at[addr]; old != nil {
		old.join(s, f.m.mach.pushed)
		return
	}
	f.unit.at[addr] = s.clone()
}

// block goes on from an address until it has to be left.
func (f *flow) block(addr uint64, s *state) {
	mach := f.m.mach
	tested := noReg
	for first := true; ; first = false {
		if !first && f.states[addr] != nil {
			f.enter(addr, s)
			return
		}
		if f.steps++; f.steps > maxSteps {
			return
		}
		code, seg := f.m.at(addr)
		if seg == nil || !seg.exec {
			return
		}
		i := mach.decode(code, addr, f.m.fixed)
		if i.kind != kindBranch && i.kind != kindTest {
			tested = noReg
		}
		switch i.kind {
		case kindEnd:
			return
		case kindSyscall:
			nr := s.regs[mach.number]
			f.unit.numbers[addr] = f.unit.numbers[addr].join(nr)
			if len(nr.consts) == 1 && len(nr.params) == 0 && nr.consts[0] == mach.ends {
				return
			}
		case kindCall:
			f.leave(addr, s)
			if i.target != 0 && f.neverReturns(place{f.m, i.target}, 0) || i.slot != 0 && f.slotNeverReturns(f.m, i.slot, 0) {
				return
			}
			if f.returnsTwice(f.m, &i) {
				s.forgetFrame()
			}
			s.forget()
			kept := mach.preserved
			for r := range s.regs {
				if kept>>r&1 == 0 {
					s.lend(s.regs[r])
				}
			}
			if f.m.isGo(i.addr) {
				kept = 1<<mach.frame | 1<<mach.sp
			}
			for r := range s.regs {
				if kept>>r&1 == 0 {
					s.regs[r] = top
				}
			}
		case kindJump:
			switch {
			case i.target != 0:
				f.jump(i.target, addr, s)
			case i.slot != 0:
				f.leave(addr, s)
			default:
				f.table(addr, s)
			}
			return
		case kindBranch:
			f.kill(&i, s)
			r := tested
			if i.src != noReg {
				r = i.src
			}
			zero := s
			if i.zero != neither && r != noReg {
				zero = s.clone()
				zero.regs[r] = constant(0)
			}
			if i.zero == taken {
				f.jump(i.target, addr, zero)
			} else {
				f.jump(i.target, addr, s)
				s = zero
			}
		case kindTest:
			tested = i.src
		default:
			f.step(&i, s)
		}
		if i.kind == kindSyscall || i.kind == kindForeign {
			s.forget()
			f.clobber(&i, s)
		}
		addr = i.next
		if f.heads[place{f.m, addr}] && f.m.partAt(addr) != f.m.partAt(i.addr) { // it runs on into another function
			f.leave(i.addr, s)
			return
		}
	}
}

// jump leads on within the unit, or, to what is called as well, out of it.
func (f *flow) jump(to, from uint64, s *state) {
	if t := (place{f.m, to}); f.heads[t] && t != f.unit.head && f.m.partAt(to) != f.m.partAt(from) {
		f.leave(from, s)
		return
	}
	f.enter(to, s)
}

// step is one instruction that does not lead anywhere.
func (f *flow) step(i *inst, s *state) {
	mach := f.m.mach
	v := top
	switch i.kind {
	case kindSet:
		v = constant(i.imm)
	case kindCopy:
		v = s.regs[i.src]
	case kindAdd:
		v = s.regs[i.src].add(i.imm)
		if i.unknown && v.stack { // a push
			s.put(v.off, 16, top)
		}
	case kindLow:
		if old := s.regs[i.dst]; !old.top && len(old.params) == 0 {
			v = value{}
			for _, c := range old.consts {
				v = v.join(constant(c&^0xff | i.imm))
			}
		}
	case kindPoint:
		if s.regs[i.base].stack {
			s.give(wholeFrame)
			s.args = s.args || s.regs[i.base].off >= 0
		}
	case kindUnknown:
		s.forget()
		s.forgetFrame()
	case kindChoose:
		v = s.regs[i.dst].join(s.regs[i.src])
	case kindLoad:
		v = f.load(i, s)
	case kindPop:
		v = f.word(s, s.regs[mach.sp], 8)
		s.regs[mach.sp] = s.regs[mach.sp].add(8)
	case kindLeave:
		old := s.regs[i.dst]
		v = f.word(s, old, 8)
		s.regs[mach.sp] = old.add(8)
	case kindPush, kindStore:
		what := constant(i.value)
		switch {
		case i.unknown:
			what = top
		case i.src != noReg:
			what = s.regs[i.src]
		}
		if i.indexed { // it may be any word near there
			if to := s.regs[i.base]; to.stack {
				s.forgetFrame()
			} else {
				s.forget()
				s.lend(to)
			}
		} else if i.kind == kindPush {
			s.regs[mach.sp] = s.regs[mach.sp].add(-8)
			if to := s.regs[mach.sp]; to.stack {
				s.put(to.off, 8, what)
			}
		} else if i.base == noReg {
			f.unit.stores[i.addr] = f.unit.stores[i.addr].join(what)
		} else if to := s.regs[i.base].add(i.imm); to.stack && i.pair {
			s.put(to.off, 8, s.orZero(i.src))
			s.put(to.off+8, 8, s.orZero(i.second))
		} else if to.stack {
			s.put(to.off, i.width, what)
		} else if len(to.consts) == 1 {
			f.unit.stores[i.addr] = f.unit.stores[i.addr].join(what)
		} else {
			if to.top {
				s.forget()
			}
			s.lend(to)
		}
		if i.dst == noReg {
			f.kill(i, s)
			return
		}
	}
	if i.dst != noReg {
		s.regs[i.dst] = v
		if v.stack && (i.kind == kindAdd || i.kind == kindCopy || i.kind == kindChoose) && i.dst != mach.sp && !(i.dst == mach.frame && i.src == mach.sp) {
			s.give(v.off)
		}
	}
	f.kill(i, s)
}

// orZero is a register, or ARM's zero register.
func (s *state) orZero(r reg) value {
	if r == armSP {
		return constant(0)
	}
	return s.regs[r]
}

func (f *flow) kill(i *inst, s *state) {
	for r := range s.regs {
		if i.kill>>r&1 == 1 {
			s.regs[r] = top
		}
	}
}

// clobber is what a system call does to registers.
func (f *flow) clobber(i *inst, s *state) {
	s.regs[i.dst] = top
	f.kill(i, s)
}

// load is what a load brings.
func (f *flow) load(i *inst, s *state) value {
	if i.base == noReg {
		return f.word(s, constant(int64(i.ref)), i.width)
	}
	base := s.regs[i.base]
	if len(base.params) == 1 && len(base.consts) == 0 && !base.top && !base.params[0].deref {
		if s.isLent(base.params[0]) {
			return top
		}
		p := base.params[0]
		p.deref, p.off = true, i.imm
		return value{params: []param{p}}
	}
	return f.word(s, base.add(i.imm), i.width)
}

// word is the memory at an address.
func (f *flow) word(s *state, at value, width uint8) (v value) {
	switch {
	case at.stack:
		return s.slot(at.off, f.m.mach.pushed)
	case at.top || len(at.consts) == 0 || len(at.params) > 0:
		return top
	}
	for _, a := range at.consts {
		if p, ok := f.m.pointerAt(uint64(a)); ok && p.symbol == "" && f.m.constant(p) {
			v = v.join(constant(int64(p.addr)))
		} else if n, ok := f.m.constantAt(uint64(a), width); ok {
			v = v.join(constant(n))
		} else if f.m.isData(uint64(a)) {
			v = v.join(value{params: []param{{reg: noReg, global: uint64(a)}}})
		} else {
			return top
		}
	}
	return v
}
