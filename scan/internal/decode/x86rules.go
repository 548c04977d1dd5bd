package decode

import "golang.org/x/arch/x86/x86asm"

// An x86Rule is what an operation means: its kind, the registers that it writes without naming them, and what its
// operands add.
type x86Rule struct {
	kind Kind
	dst  bool // it writes its first operand
	kill uint32
	mean func(Inst, operands) Inst // nil where that is all
}

// Rules that several operations share.
var (
	nothing   = x86Rule{}
	returns   = x86Rule{kind: End, mean: func(i Inst, _ operands) Inst { i.Returns = true; return i }}
	ends      = x86Rule{kind: End}
	moves     = x86Rule{mean: x86Move}
	computes  = x86Rule{dst: true, mean: x86Arithmetic}
	wideMath  = x86Rule{dst: true, kill: rax.Bit() | rdx.Bit()}
	wideRest  = x86Rule{kill: rax.Bit() | rdx.Bit() | rcx.Bit() | rbx.Bit()}
	stringOut = x86Rule{kill: rcx.Bit() | rsi.Bit() | rdi.Bit(), mean: func(i Inst, _ operands) Inst { i.store(rdi, 0, false, true); return i }}
	stringIn  = x86Rule{kill: rax.Bit() | rcx.Bit() | rsi.Bit() | rdi.Bit()}
	loops     = x86Rule{kind: Branch, kill: rcx.Bit()}
	intoAX    = x86Rule{kill: rax.Bit()}
	exchanges = x86Rule{dst: true, mean: x86Exchange}
)

// x86Rules are the operations that matter; x86Rest is for all others.
var x86Rules = [...]*x86Rule{
	x86asm.SYSCALL:  {kind: Syscall, kill: rcx.Bit() | r11.Bit(), mean: func(i Inst, _ operands) Inst { i.Dst = rax; return i }},
	x86asm.SYSENTER: {kind: Foreign, mean: func(i Inst, _ operands) Inst { i.Dst = rax; return i }},
	x86asm.INT:      {mean: x86Interrupt},
	x86asm.CALL:     {kind: Call, mean: x86Transfer},
	x86asm.JMP:      {kind: Jump, mean: x86Transfer},
	x86asm.JE:       {kind: Branch, mean: func(i Inst, _ operands) Inst { i.Zero = Taken; return i }},
	x86asm.JNE:      {kind: Branch, mean: func(i Inst, _ operands) Inst { i.Zero = NotTaken; return i }},
	x86asm.LOOP:     &loops, x86asm.LOOPE: &loops, x86asm.LOOPNE: &loops,
	x86asm.RET: &returns, x86asm.LRET: &returns, x86asm.IRET: &returns, x86asm.IRETD: &returns, x86asm.IRETQ: &returns,
	x86asm.UD0: &ends, x86asm.UD1: &ends, x86asm.UD2: &ends, x86asm.HLT: &ends,
	x86asm.PUSH:   {kind: Push, mean: x86Push},
	x86asm.POP:    {kind: Pop, dst: true},
	x86asm.PUSHFQ: {kind: Push, mean: func(i Inst, _ operands) Inst { i.Unknown, i.Width = true, 8; return i }},
	x86asm.POPFQ:  {kind: Pop},
	x86asm.LEAVE:  {kind: Leave, mean: func(i Inst, _ operands) Inst { i.Dst = rbp; return i }},
	x86asm.MOV:    &moves, x86asm.MOVSXD: &moves, x86asm.MOVZX: &moves, x86asm.MOVSX: &moves,
	x86asm.LEA: {dst: true, mean: x86Lea},
	x86asm.XOR: &computes, x86asm.SUB: &computes, x86asm.ADD: &computes, x86asm.AND: &computes,
	x86asm.TEST: {mean: x86Test},
	x86asm.NOP:  {mean: func(i Inst, _ operands) Inst { i.Pads = true; return i }},
	x86asm.CMP:  &nothing, x86asm.BT: &nothing,
	x86asm.MUL: &wideMath, x86asm.IMUL: &wideMath, x86asm.DIV: &wideMath, x86asm.IDIV: &wideMath, x86asm.CWD: &wideMath,
	x86asm.CDQ: &wideMath, x86asm.CQO: &wideMath, x86asm.RDTSC: &wideMath,
	x86asm.CPUID: &wideRest, x86asm.XGETBV: &wideRest, x86asm.RDTSCP: &wideRest, x86asm.RDPMC: &wideRest, x86asm.RDMSR: &wideRest,
	x86asm.CMPXCHG8B: &wideRest, x86asm.CMPXCHG16B: &wideRest,
	x86asm.MOVSB: &stringOut, x86asm.MOVSW: &stringOut, x86asm.MOVSD: &stringOut, x86asm.MOVSQ: &stringOut,
	x86asm.STOSB: &stringOut, x86asm.STOSW: &stringOut, x86asm.STOSD: &stringOut, x86asm.STOSQ: &stringOut,
	x86asm.CMPSB: &stringIn, x86asm.CMPSW: &stringIn, x86asm.CMPSD: &stringIn, x86asm.CMPSQ: &stringIn,
	x86asm.SCASB: &stringIn, x86asm.SCASW: &stringIn, x86asm.SCASD: &stringIn, x86asm.SCASQ: &stringIn,
	x86asm.LODSB: &stringIn, x86asm.LODSW: &stringIn, x86asm.LODSD: &stringIn, x86asm.LODSQ: &stringIn,
	x86asm.CBW: &intoAX, x86asm.CWDE: &intoAX, x86asm.CDQE: &intoAX, x86asm.XLATB: &intoAX, x86asm.LAHF: &intoAX,
	x86asm.CMPXCHG: {dst: true, kill: rax.Bit(), mean: func(i Inst, o operands) Inst { o.stores(&i); return i }},
	x86asm.XCHG:    &exchanges, x86asm.XADD: &exchanges,
}

// x86Rest is for conditional jumps, conditional moves, and what writes its first operand.
func x86Rest(i Inst, o operands) Inst {
	if i.Target != 0 {
		i.Kind = Branch
		return i
	}
	i.Dst = o.dst()
	if src := o.src(); o.op >= x86asm.CMOVA && o.op <= x86asm.CMOVS && i.Dst != NoReg && src != NoReg {
		i.Kind, i.Src = Choose, src
	}
	if i.Width > 0 {
		o.stores(&i)
	}
	return i
}

// x86Interrupt is INT: 0x80 is a call of the 32-bit architecture, 3 is for debuggers, or a handler, or padding where
// others follow.
func x86Interrupt(i Inst, o operands) Inst {
	v, ok := o.a.(x86asm.Imm)
	switch {
	case ok && uint8(v) == 0x80:
		i.Kind, i.Dst = Foreign, rax
	case ok && uint8(v) == 3:
		if i.Pads = true; o.traps {
			i.Kind = End
		}
	}
	return i
}

// x86Transfer is a call or a jump, direct, through a pointer, or through a register.
func x86Transfer(i Inst, o operands) Inst {
	m, isMem := o.a.(x86asm.Mem)
	if isMem && o.absolute(m) {
		i.Slot = i.Ref
	}
	if isMem && (m.Base != 0 && m.Base != x86asm.RIP || m.Index != 0) {
		i.Base = x86Reg(m.Base)
	}
	i.Src = o.dst()
	return i
}

func x86Push(i Inst, o operands) Inst {
	i.Src, i.Width = o.dst(), 8
	v, ok := o.a.(x86asm.Imm)
	i.Value, i.Unknown = int64(v), !ok && i.Src == NoReg
	return i
}

func x86Lea(i Inst, o operands) Inst {
	m, _ := o.b.(x86asm.Mem)
	switch base := x86Reg(m.Base); {
	case m.Index != 0 && base != NoReg && wide(o.a):
		i.Kind, i.Base = Point, base
		if x86Reg(m.Index) == rbp { // the base of the frame, or of something else
			i.Base = rbp
		}
	case !wide(o.a) || m.Index != 0 || m.Segment != 0:
	case m.Base == x86asm.RIP || m.Base == 0 && o.fixed:
		i.Kind, i.Imm = Set, int64(i.Ref)
	case base != NoReg:
		i.Kind, i.Src, i.Imm = Add, base, int64(int32(m.Disp))
	}
	return i
}

// x86Arithmetic is ADD, SUB, XOR or AND.
func x86Arithmetic(i Inst, o operands) Inst {
	imm, isImm := o.b.(x86asm.Imm)
	switch src := o.src(); {
	case o.stores(&i):
	case i.Dst == NoReg || !wide(o.a):
	case (o.op == x86asm.XOR || o.op == x86asm.SUB) && i.Dst == src:
		i.Kind, i.Imm = Set, 0
	case o.op == x86asm.ADD && isImm:
		i.Kind, i.Src, i.Imm = Add, i.Dst, int64(imm)
	case o.op == x86asm.ADD && src != NoReg:
		i.Kind, i.Base = Point, src
	case o.op == x86asm.SUB && isImm:
		i.Kind, i.Src, i.Imm = Add, i.Dst, -int64(imm)
	case o.op == x86asm.AND && i.Dst == rsp:
		i.Dst = NoReg // a frame is aligned: what lies in it keeps its distance from the new top, which is all that is used
	}
	return i
}

func x86Test(i Inst, o operands) Inst {
	if i.Src = o.dst(); i.Src != NoReg && o.a == o.b && wide(o.a) {
		i.Kind = Test
	}
	return i
}

// x86Exchange is XCHG or XADD.
func x86Exchange(i Inst, o operands) Inst {
	i.Kill = o.src().Bit()
	o.stores(&i)
	return i
}

// x86Move is for moves: they may carry a number, or a pointer.
func x86Move(i Inst, o operands) Inst {
	i.Dst = o.dst()
	if m, ok := o.a.(x86asm.Mem); ok {
		o.stores(&i)
		if m.Segment != 0 {
			i.Kind = Other
		}
		v, imm := o.b.(x86asm.Imm)
		i.Src = o.src()
		i.Value, i.Unknown = int64(v), !imm && (i.Src == NoReg || i.Width < 4)
		return i
	}
	r, _ := o.a.(x86asm.Reg)
	if v, ok := o.b.(x86asm.Imm); ok && r >= x86asm.AL && r <= x86asm.BL {
		i.Kind, i.Imm = LowByte, int64(v)&0xff
	}
	if i.Dst == NoReg || !wide(o.a) {
		return i
	}
	switch v := o.b.(type) {
	case x86asm.Imm:
		i.Kind, i.Imm = Set, int64(v)
		if r <= x86asm.R15L {
			i.Imm = int64(uint32(v))
		}
	case x86asm.Reg:
		if i.Src = x86Reg(v); i.Src != NoReg && wide(v) {
			i.Kind = Copy
		}
	case x86asm.Mem:
		if base := x86Reg(v.Base); v.Index == 0 && v.Segment == 0 && (base != NoReg || o.absolute(v)) && i.Width >= 4 {
			i.Kind, i.Base, i.Imm = Load, base, int64(int32(v.Disp))
		}
	}
	return i
}
