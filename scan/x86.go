package scan

import (
	"bytes"

	"golang.org/x/arch/x86/x86asm" // the Go project's own decoder: it knows AVX and is kept with the compiler
)

// Registers are numbered as the hardware does: AX CX DX BX SP BP SI DI R8…R15.
var x86 = machine{decode: decodeX86, number: 0, sp: 4, frame: 5, preserved: 1<<3 | 1<<4 | 1<<5 | 0xf<<12, pushed: 8, ends: 15, first: 7, second: 6}

const (
	x86SP   reg    = 4
	allX86  uint32 = 0xffff &^ (1 << 4)
	farJump        = 16 // how many bytes the longest instruction has, and one more
)

func x86Reg(a x86asm.Arg) reg {
	r, ok := a.(x86asm.Reg)
	switch {
	case !ok:
	case r >= x86asm.RAX && r <= x86asm.R15:
		return reg(r - x86asm.RAX)
	case r >= x86asm.EAX && r <= x86asm.R15L:
		return reg(r - x86asm.EAX)
	case r >= x86asm.AX && r <= x86asm.R15W:
		return reg(r - x86asm.AX)
	case r >= x86asm.AL && r <= x86asm.BL:
		return reg(r - x86asm.AL)
	case r >= x86asm.AH && r <= x86asm.BH:
		return reg(r - x86asm.AH)
	case r >= x86asm.SPB && r <= x86asm.R15B:
		return reg(r-x86asm.SPB) + 4
	}
	return noReg
}

// wide says that a write to the register replaces all of it.
func wide(a x86asm.Arg) bool {
	r, ok := a.(x86asm.Reg)
	return ok && r >= x86asm.EAX && r <= x86asm.R15
}

func decodeX86(code []byte, addr uint64, fixed bool) inst {
	i := inst{addr: addr, dst: noReg, src: noReg, base: noReg}
	if len(code) > farJump {
		code = code[:farJump]
	}
	if bytes.HasPrefix(code, []byte{0xf3, 0x0f, 0x1e}) && len(code) > 3 && code[3] >= 0xfa { // endbr64, endbr32
		i.next = addr + 4
		return i
	}
	d, err := x86asm.Decode(code, 64)
	if err != nil || d.Len == 0 {
		i.next, i.kill = addr+uint64(x86Length(code)), allX86
		if !x86Reads(code) {
			i.kind = kindUnknown
		}
		return i
	}
	i.next = addr + uint64(d.Len)
	x86Inst(&i, &d, fixed, d.Len == len(code) || code[d.Len] == 0xcc)
	return i
}

// x86Inst gives an instruction its meaning.
func x86Inst(i *inst, d *x86asm.Inst, fixed, trapsOn bool) {
	a, b := d.Args[0], d.Args[1]
	i.width = uint8(min(d.MemBytes, 255))
	for _, arg := range d.Args {
		switch v := arg.(type) {
		case x86asm.Mem:
			switch {
			case v.Base == x86asm.RIP:
				i.ref = i.next + uint64(int64(int32(v.Disp))) // the decoder gives the displacement without its sign
			case fixed && v.Segment == 0 && int32(v.Disp) > 0:
				i.ref = uint64(uint32(v.Disp)) // absolute, or the base of a table
			}
		case x86asm.Imm:
			if fixed && v > 0 && i.ref == 0 {
				i.ref = uint64(v)
			}
		case x86asm.Rel:
			i.target = i.next + uint64(int64(v))
		}
	}
	mem, isMem := a.(x86asm.Mem)
	absolute := func(m x86asm.Mem) bool {
		return m.Segment == 0 && m.Index == 0 && (m.Base == x86asm.RIP || m.Base == 0 && fixed)
	}
	imm, isImm := b.(x86asm.Imm)
	switch d.Op {
	case x86asm.SYSCALL:
		i.kind, i.dst, i.kill = kindSyscall, 0, 1<<1|1<<11
	case x86asm.INT, x86asm.SYSENTER:
		if v, ok := a.(x86asm.Imm); d.Op == x86asm.SYSENTER || ok && uint8(v) == 0x80 {
			i.kind, i.dst = kindForeign, 0
		} else if ok && uint8(v) == 3 {
			i.pads = true // one that is not followed by another is for debuggers, or a handler
			if trapsOn {
				i.kind = kindEnd
			}
		}
	case x86asm.CALL, x86asm.JMP:
		i.kind = kindCall
		if d.Op == x86asm.JMP {
			i.kind = kindJump
		}
		if isMem && absolute(mem) {
			i.slot = i.ref
		}
		if isMem && mem.Base != 0 && mem.Base != x86asm.RIP || isMem && mem.Index != 0 {
			i.base = x86Reg(mem.Base)
		}
		i.src = x86Reg(a)
	case x86asm.RET, x86asm.LRET, x86asm.IRET, x86asm.IRETD, x86asm.IRETQ:
		i.kind, i.returns = kindEnd, true
	case x86asm.UD1, x86asm.UD2, x86asm.HLT, x86asm.UD0:
		i.kind = kindEnd
	case x86asm.PUSH:
		i.kind, i.src, i.width = kindPush, x86Reg(a), 8
		v, ok := a.(x86asm.Imm)
		i.value, i.unknown = int64(v), !ok && i.src == noReg
	case x86asm.POP:
		i.kind, i.dst = kindPop, x86Reg(a)
	case x86asm.PUSHFQ:
		i.kind, i.unknown, i.width = kindPush, true, 8
	case x86asm.POPFQ:
		i.kind = kindPop
	case x86asm.LEAVE:
		i.kind, i.dst = kindLeave, 5
	case x86asm.MOV, x86asm.MOVSXD, x86asm.MOVZX, x86asm.MOVSX:
		x86Move(i, d, absolute)
	case x86asm.LEA:
		i.dst = x86Reg(a)
		m, _ := b.(x86asm.Mem)
		switch base := x86Reg(m.Base); {
		case m.Index != 0 && base != noReg && wide(a):
			i.kind, i.base = kindPoint, base
			if x86Reg(m.Index) == 5 { // the base of the frame, or of something else
				i.base = 5
			}
		case !wide(a) || m.Index != 0 || m.Segment != 0:
		case m.Base == x86asm.RIP || m.Base == 0 && fixed:
			i.kind, i.imm = kindSet, int64(i.ref)
		case base != noReg:
			i.kind, i.src, i.imm = kindAdd, base, int64(int32(m.Disp))
		}
	case x86asm.XOR, x86asm.SUB, x86asm.ADD, x86asm.AND:
		i.dst = x86Reg(a)
		switch {
		case isMem:
			i.store(x86Reg(mem.Base), int64(int32(mem.Disp)), absolute(mem), mem.Index != 0)
		case i.dst == noReg || !wide(a):
		case (d.Op == x86asm.XOR || d.Op == x86asm.SUB) && i.dst == x86Reg(b):
			i.kind, i.imm = kindSet, 0
		case d.Op == x86asm.ADD && isImm:
			i.kind, i.src, i.imm = kindAdd, i.dst, int64(imm)
		case d.Op == x86asm.ADD && x86Reg(b) != noReg:
			i.kind, i.base = kindPoint, x86Reg(b)
		case d.Op == x86asm.SUB && isImm:
			i.kind, i.src, i.imm = kindAdd, i.dst, -int64(imm)
		case d.Op == x86asm.AND && i.dst == x86SP:
			i.dst = noReg // a frame is aligned: what lies in it keeps its distance from the new top, which is all that is used
		}
	case x86asm.TEST:
		if i.src = x86Reg(a); i.src != noReg && a == b && wide(a) {
			i.kind = kindTest
		}
	case x86asm.JE, x86asm.JNE:
		i.kind, i.zero = kindBranch, taken
		if d.Op == x86asm.JNE {
			i.zero = notTaken
		}
	case x86asm.NOP:
		i.pads = true
	case x86asm.CMP, x86asm.BT:
	case x86asm.MUL, x86asm.DIV, x86asm.IDIV, x86asm.CDQ, x86asm.CQO, x86asm.RDTSC, x86asm.IMUL, x86asm.CWD:
		i.dst, i.kill = x86Reg(a), 1<<0|1<<2
	case x86asm.CPUID, x86asm.XGETBV, x86asm.RDTSCP, x86asm.CMPXCHG16B, x86asm.CMPXCHG8B, x86asm.RDPMC, x86asm.RDMSR:
		i.kill = 1<<0 | 1<<1 | 1<<2 | 1<<3
	case x86asm.MOVSB, x86asm.MOVSW, x86asm.MOVSD, x86asm.MOVSQ, x86asm.STOSB, x86asm.STOSW, x86asm.STOSD, x86asm.STOSQ:
		i.kill = 1<<1 | 1<<6 | 1<<7
		i.store(7, 0, false, true)
	case x86asm.CMPSB, x86asm.CMPSW, x86asm.CMPSD, x86asm.CMPSQ, x86asm.SCASB, x86asm.SCASW, x86asm.SCASD, x86asm.SCASQ,
		x86asm.LODSB, x86asm.LODSW, x86asm.LODSD, x86asm.LODSQ:
		i.kill = 1<<0 | 1<<1 | 1<<6 | 1<<7
	case x86asm.LOOP, x86asm.LOOPE, x86asm.LOOPNE:
		i.kind, i.kill = kindBranch, 1<<1
	case x86asm.CBW, x86asm.CWDE, x86asm.CDQE, x86asm.XLATB, x86asm.LAHF:
		i.kill = 1 << 0
	case x86asm.CMPXCHG:
		i.dst, i.kill = x86Reg(a), 1<<0
		if isMem {
			i.store(x86Reg(mem.Base), int64(int32(mem.Disp)), absolute(mem), mem.Index != 0)
		}
	case x86asm.XCHG, x86asm.XADD:
		i.dst = x86Reg(a)
		if r := x86Reg(b); r != noReg {
			i.kill = 1 << r
		}
		if isMem {
			i.store(x86Reg(mem.Base), int64(int32(mem.Disp)), absolute(mem), mem.Index != 0)
		}
	default:
		if i.target != 0 {
			i.kind = kindBranch
			return
		}
		i.dst = x86Reg(a)
		if src := x86Reg(b); d.Op >= x86asm.CMOVA && d.Op <= x86asm.CMOVS && i.dst != noReg && src != noReg {
			i.kind, i.src = kindChoose, src
		}
		if isMem && i.width > 0 {
			i.store(x86Reg(mem.Base), int64(int32(mem.Disp)), absolute(mem), mem.Index != 0)
		}
	}
}

// store is of a value that is not known.
func (i *inst) store(base reg, disp int64, absolute, indexed bool) {
	if base == noReg && !absolute {
		return
	}
	i.kind, i.base, i.imm, i.unknown, i.indexed = kindStore, base, disp, true, indexed
}

// x86Move is for moves: they may carry a number, or a pointer.
func x86Move(i *inst, d *x86asm.Inst, absolute func(x86asm.Mem) bool) {
	a, b := d.Args[0], d.Args[1]
	i.dst = x86Reg(a)
	if m, ok := a.(x86asm.Mem); ok {
		i.store(x86Reg(m.Base), int64(int32(m.Disp)), absolute(m), m.Index != 0)
		if m.Segment != 0 {
			i.kind = kindOther
		}
		v, imm := b.(x86asm.Imm)
		i.src = x86Reg(b)
		i.value, i.unknown = int64(v), !imm && (i.src == noReg || i.width < 4)
		return
	}
	if r, _ := a.(x86asm.Reg); r >= x86asm.AL && r <= x86asm.BL {
		if v, ok := b.(x86asm.Imm); ok {
			i.kind, i.imm = kindLow, int64(v)&0xff
		}
	}
	if i.dst == noReg || !wide(a) {
		return
	}
	switch v := b.(type) {
	case x86asm.Imm:
		i.kind, i.imm = kindSet, int64(v)
		if r, _ := a.(x86asm.Reg); r <= x86asm.R15L {
			i.imm = int64(uint32(v))
		}
	case x86asm.Reg:
		if i.src = x86Reg(v); i.src != noReg && wide(v) {
			i.kind = kindCopy
		}
	case x86asm.Mem:
		if base := x86Reg(v.Base); v.Index == 0 && v.Segment == 0 && (base != noReg || absolute(v)) && i.width >= 4 {
			i.kind, i.base, i.imm = kindLoad, base, int64(int32(v.Disp))
		}
	}
}
