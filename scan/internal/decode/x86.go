package decode

import (
	"bytes"

	"golang.org/x/arch/x86/x86asm" // the Go project's own decoder: it knows AVX and is kept with the compiler

	"monban/abi"
)

// The registers of x86-64 that instructions name without an operand.
const (
	rax Reg = iota
	rcx
	rdx
	rbx
	rsp
	rbp
	rsi
	rdi
	r11 Reg = 11
)

var x86 = Machine{Arch: abi.X86_64, Multiarch: "x86_64-linux-gnu", Decode: decodeX86, IsCode: x86IsCode, Number: rax, SP: rsp, Frame: rbp,
	Preserved: rbx.Bit() | rsp.Bit() | rbp.Bit() | 0xf<<12, Pushed: 8, Sigreturn: 15, First: rdi, Second: rsi}

const (
	allX86  uint32 = 0xffff &^ (1 << rsp)
	farJump        = 16 // how many bytes the longest instruction has, and one more
)

func decodeX86(code []byte, addr uint64, fixed bool) Inst {
	i := Inst{Addr: addr, Dst: NoReg, Src: NoReg, Base: NoReg}
	if len(code) > farJump {
		code = code[:farJump]
	}
	if bytes.HasPrefix(code, []byte{0xf3, 0x0f, 0x1e}) && len(code) > 3 && code[3] >= 0xfa { // endbr64, endbr32
		i.Next = addr + 4
		return i
	}
	d, err := x86asm.Decode(code, 64)
	if err != nil || d.Len == 0 {
		i.Next, i.Kill = addr+uint64(x86Length(code)), allX86
		if !x86Reads(code) {
			i.Kind = Unknown
		}
		return i
	}
	i.Next = addr + uint64(d.Len)
	i.Width = uint8(min(d.MemBytes, 255))
	o := operands{op: d.Op, a: d.Args[0], b: d.Args[1], fixed: fixed, traps: d.Len == len(code) || code[d.Len] == 0xcc}
	for _, arg := range d.Args {
		switch v := arg.(type) {
		case x86asm.Mem:
			switch {
			case v.Base == x86asm.RIP:
				i.Ref = i.Next + uint64(int64(int32(v.Disp))) // the decoder gives the displacement without its sign
			case fixed && v.Segment == 0 && int32(v.Disp) > 0:
				i.Ref = uint64(uint32(v.Disp)) // absolute, or the base of a table
			}
		case x86asm.Imm:
			if fixed && v > 0 && i.Ref == 0 {
				i.Ref = uint64(v)
			}
		case x86asm.Rel:
			i.Target = i.Next + uint64(int64(v))
		}
	}
	if int(d.Op) >= len(x86Rules) || x86Rules[d.Op] == nil {
		return x86Rest(i, o)
	}
	r := x86Rules[d.Op]
	i.Kind, i.Kill = r.kind, r.kill
	if r.dst {
		i.Dst = x86Reg(o.a)
	}
	if r.mean == nil {
		return i
	}
	return r.mean(i, o)
}

// operands are the first two of an instruction.
type operands struct {
	op    x86asm.Op
	a, b  x86asm.Arg
	fixed bool // absolute addresses are the file's
	traps bool // int3 or the end of the code follows
}

func (o *operands) dst() Reg { return x86Reg(o.a) }
func (o *operands) src() Reg { return x86Reg(o.b) }

// absolute says that memory is at a fixed address.
func (o *operands) absolute(m x86asm.Mem) bool {
	return m.Segment == 0 && m.Index == 0 && (m.Base == x86asm.RIP || m.Base == 0 && o.fixed)
}

// stores is a store to the first operand, where that is memory, of a value that is not known.
func (o *operands) stores(i *Inst) bool {
	m, ok := o.a.(x86asm.Mem)
	if ok {
		i.store(x86Reg(m.Base), int64(int32(m.Disp)), o.absolute(m), m.Index != 0)
	}
	return ok
}

func x86Reg(a x86asm.Arg) Reg {
	r, ok := a.(x86asm.Reg)
	switch {
	case !ok:
	case r >= x86asm.RAX && r <= x86asm.R15:
		return Reg(r - x86asm.RAX)
	case r >= x86asm.EAX && r <= x86asm.R15L:
		return Reg(r - x86asm.EAX)
	case r >= x86asm.AX && r <= x86asm.R15W:
		return Reg(r - x86asm.AX)
	case r >= x86asm.AL && r <= x86asm.BL:
		return Reg(r - x86asm.AL)
	case r >= x86asm.AH && r <= x86asm.BH:
		return Reg(r - x86asm.AH)
	case r >= x86asm.SPB && r <= x86asm.R15B:
		return Reg(r-x86asm.SPB) + rsp
	}
	return NoReg
}

// wide says that a write to the register replaces all of it.
func wide(a x86asm.Arg) bool {
	r, ok := a.(x86asm.Reg)
	return ok && r >= x86asm.EAX && r <= x86asm.R15
}
