package decode

import (
	"encoding/binary"

	"monban/abi"
)

// Only some dozen forms of instructions matter, all of fixed encoding (Arm ARM, C4), so they are told apart by their
// bits: a decoder of text or of all operands would have to be taken apart again.
var arm64 = Machine{Arch: abi.AArch64, Multiarch: "aarch64-linux-gnu", Decode: decodeARM64, IsCode: func([]byte) bool { return true }, Number: 8,
	SP: armSP, Frame: 29, Preserved: 0x7ff<<19 | armSP.Bit(), Sigreturn: 139, First: 0, Second: 1}

const armSP Reg = 31

func decodeARM64(code []byte, addr uint64, _ bool) Inst {
	if len(code) < 4 {
		return Inst{Addr: addr, Next: addr + uint64(len(code)), Kind: End, Dst: NoReg, Src: NoReg, Base: NoReg}
	}
	w := armWord(binary.LittleEndian.Uint32(code))
	i := Inst{Addr: addr, Next: addr + 4, Dst: NoReg, Src: NoReg, Base: NoReg}
	for _, f := range armIndex[w>>25&15] {
		if w&f.mask == f.bits {
			return f.mean(i, w)
		}
	}
	i.Dst = w.zero(0) // among them vectors and floating point: some write a general register, so this is more than needed
	return i
}

// An armWord is an instruction.
type armWord uint32

// reg is the register whose number begins at a bit.
func (w armWord) reg(at uint) Reg { return Reg(w >> at & 31) }

// zero is the same where 31 is the zero register, which is none.
func (w armWord) zero(at uint) Reg {
	if r := w.reg(at); r != 31 {
		return r
	}
	return NoReg
}

// signed is a field of so many bits as a signed number.
func (w armWord) signed(at, bits uint) int64 { return int64(int32(w<<(32-at-bits)) >> (32 - bits)) }

// scale is the binary logarithm of a memory access's size.
func (w armWord) scale() uint { return uint(w >> 30) }

func (w armWord) isVector() bool { return w>>26&1 == 1 }

// mode is how a pair's base changes: 1 after the access, 3 before it.
func (w armWord) mode() uint32 { return uint32(w >> 23 & 3) }

// loads says that a pair is read.
func (w armWord) loads() bool { return w>>22&1 == 1 }

// page is the offset of ADR, in bytes, and of ADRP, in pages.
func (w armWord) page() int64 { return w.signed(5, 19)<<2 + int64(w>>29&3) }

// An armForm is a form of instruction: a word that has these bits under this mask.
type armForm struct {
	mask, bits armWord
	name       string
	mean       func(Inst, armWord) Inst
}

// armForms are the forms that matter. The first one that fits counts.
var armForms = []armForm{
	{0x7c000000, 0x14000000, "B, BL", armBranch},
	{0xff000010, 0x54000000, "B.cond", armBranchIf(19)},
	{0x7e000000, 0x34000000, "CBZ, CBNZ", armBranchZero},
	{0x7e000000, 0x36000000, "TBZ, TBNZ", armBranchIf(14)},
	{0xfe600000, 0xd6000000, "BR", func(i Inst, w armWord) Inst { i.Kind, i.Src = Jump, w.reg(5); return i }},
	{0xfe600000, 0xd6200000, "BLR", func(i Inst, w armWord) Inst { i.Kind, i.Src = Call, w.reg(5); return i }},
	{0xfe000000, 0xd6000000, "RET", func(i Inst, _ armWord) Inst { i.Kind, i.Returns = End, true; return i }},
	{0xffe0001f, 0xd4000001, "SVC", func(i Inst, _ armWord) Inst { i.Kind, i.Dst = Syscall, 0; return i }},
	{0xffe0001f, 0xd4200000, "BRK", armEnd},
	{0xffff0000, 0x00000000, "UDF", armEnd},
	{0x9f000000, 0x10000000, "ADR", armAddress},
	{0x9f000000, 0x90000000, "ADRP", armPage},
	{0x3f000000, 0x11000000, "ADD, SUB of a constant", armAdd},
	{0x1f000000, 0x11000000, "ADDS, SUBS of a constant", armWrites(0)},
	{0x7f800000, 0x52800000, "MOVZ", armSet(false)},
	{0x7f800000, 0x12800000, "MOVN", armSet(true)},
	{0x7fe0ffe0, 0x2a0003e0, "MOV of a register", armCopy},
	{0x7f8003e0, 0x320003e0, "MOV of a bitmask", armBitmask},
	{0x3b000000, 0x18000000, "LDR of a literal", armLiteral},
	{0x3b000000, 0x39000000, "LDR, STR at a scaled offset", armScaled},
	{0x3b200c00, 0x38000000, "LDUR, STUR", armUnscaled},
	{0x3b200400, 0x38000400, "LDR, STR that change the base", armChanging},
	{0x3a000000, 0x28000000, "LDP, STP", armPair},
	{0x3b200c00, 0x38200800, "LDR, STR at a register", armIndexed},
	{0x3b200c00, 0x38200000, "LDADD, SWP", func(i Inst, w armWord) Inst { i.Dst = w.zero(0); return armAnywhere(i, w) }},
	{0xbe400000, 0x0c000000, "ST1 to ST4", armAnywhere},
	{0x7fe00000, 0x0b200000, "ADD of an extended register", func(i Inst, w armWord) Inst { i.Kind, i.Dst, i.Base = Point, w.reg(0), w.reg(5); return i }},
	{0x7f200000, 0x0b000000, "ADD of a shifted register", armSum},
	{0x3f000000, 0x08000000, "LDXR, STXR, LDAR, STLR, CAS", armExclusive},
	{0xfffff01f, 0xd503201f, "NOP, BTI, PACIASP", func(i Inst, w armWord) Inst { i.Pads = w == 0xd503201f; return i }},
	{0xfff00000, 0xd5300000, "MRS", armWrites(0)},
	{0xffc00000, 0xd5000000, "MSR, barriers", func(i Inst, _ armWord) Inst { return i }},
}

// armIndex are the forms by bits 28 to 25, of which the architecture makes its own first choice.
var armIndex = func() (index [16][]*armForm) {
	const field = 15 << 25
	for k := range index {
		for n := range armForms {
			if f := &armForms[n]; armWord(k)<<25&f.mask == f.bits&field {
				index[k] = append(index[k], f)
			}
		}
	}
	return index
}()

func armBranch(i Inst, w armWord) Inst {
	i.Kind, i.Target = Jump, i.Addr+uint64(w.signed(0, 26)*4)
	if w>>31 == 1 {
		i.Kind = Call
	}
	return i
}

// armBranchIf has an offset of so many bits.
func armBranchIf(bits uint) func(Inst, armWord) Inst {
	return func(i Inst, w armWord) Inst {
		i.Kind, i.Target = Branch, i.Addr+uint64(w.signed(5, bits)*4)
		return i
	}
}

func armBranchZero(i Inst, w armWord) Inst {
	i.Kind, i.Target = Branch, i.Addr+uint64(w.signed(5, 19)*4)
	i.Src, i.Zero = w.zero(0), Taken+Way(w>>24&1)
	return i
}

func armEnd(i Inst, _ armWord) Inst {
	i.Kind = End
	return i
}

// armWrites changes the register whose number begins at a bit.
func armWrites(at uint) func(Inst, armWord) Inst {
	return func(i Inst, w armWord) Inst {
		i.Dst = w.zero(at)
		return i
	}
}

func armAddress(i Inst, w armWord) Inst {
	i.Kind, i.Dst, i.Imm = Set, w.zero(0), int64(i.Addr)+w.page()
	i.Ref = uint64(i.Imm)
	return i
}

func armPage(i Inst, w armWord) Inst {
	i.Kind, i.Dst, i.Imm = Set, w.zero(0), int64(i.Addr&^0xfff)+w.page()<<12
	return i
}

func armAdd(i Inst, w armWord) Inst {
	v := int64(w >> 10 & 0xfff)
	if w>>22&1 == 1 {
		v <<= 12
	}
	if w>>30&1 == 1 {
		v = -v
	}
	i.Kind, i.Dst, i.Src, i.Imm = Add, w.reg(0), w.reg(5), v
	return i
}

func armSet(inverted bool) func(Inst, armWord) Inst {
	return func(i Inst, w armWord) Inst {
		i.Kind, i.Dst, i.Imm = Set, w.zero(0), int64(w>>5&0xffff)<<(16*(w>>21&3))
		if inverted {
			i.Imm = ^i.Imm
		}
		return i
	}
}

func armCopy(i Inst, w armWord) Inst {
	i.Kind, i.Dst, i.Src = Copy, w.zero(0), w.zero(16)
	if i.Src == NoReg {
		i.Kind, i.Imm = Set, 0
	}
	return i
}

func armBitmask(i Inst, w armWord) Inst {
	i.Dst = w.reg(0)
	if v, ok := bitmask(uint32(w)); ok {
		i.Kind, i.Imm = Set, v
	}
	return i
}

func armLiteral(i Inst, w armWord) Inst {
	i.Ref, i.Width = i.Addr+uint64(w.signed(5, 19)*4), 8
	if !w.isVector() && w.scale() != 3 { // 3 is a prefetch
		i.Kind, i.Dst = Load, w.zero(0)
	}
	return i
}

func armSum(i Inst, w armWord) Inst {
	i.Dst, i.Base = w.zero(0), w.reg(5)
	if i.Base != armSP { // the zero register
		i.Kind = Point
	}
	return i
}

// armAnywhere stores something to near its base.
func armAnywhere(i Inst, w armWord) Inst {
	i.Kind, i.Base, i.Indexed, i.Unknown = Store, w.reg(5), true, true
	return i
}

func armExclusive(i Inst, w armWord) Inst {
	i.Dst, i.Kill = w.zero(0), w.zero(16).Bit()
	if w>>22&1 == 0 || w>>21&1 == 1 {
		return armAnywhere(i, w)
	}
	return i
}

// bitmask is the value of a logical immediate (DecodeBitMasks of the Arm ARM).
func bitmask(w uint32) (int64, bool) {
	n, immr, imms := w>>22&1, w>>16&0x3f, w>>10&0x3f
	length := -1
	for k := 6; k >= 0; k-- {
		if (n<<6|^imms&0x3f)>>k&1 == 1 {
			length = k
			break
		}
	}
	if length < 1 {
		return 0, false
	}
	size := uint32(1) << length
	s, r := imms&(size-1), immr&(size-1)
	if s == size-1 {
		return 0, false
	}
	ones := uint64(1)<<(s+1) - 1
	element := ones
	if r > 0 {
		element = ones>>r | ones<<(size-r)
	}
	if size < 64 {
		element &= 1<<size - 1
	}
	var v uint64
	for k := uint32(0); k < 64; k += size {
		v |= element << k
	}
	if w>>31 == 0 {
		v = uint64(uint32(v))
	}
	return int64(v), true
}
