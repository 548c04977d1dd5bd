package scan

import "encoding/binary"

// Registers are X0…X30 and SP. Only some dozen forms of instructions matter, all of fixed encoding (Arm ARM, C4), so they are told apart by
// their bits: a decoder of text or of all operands would have to be taken apart again.
var arm64 = machine{decode: decodeARM64, number: 8, sp: 31, frame: 29, preserved: 0x7ff<<19 | 1<<31, ends: 139, first: 0, second: 1}

const (
	armSP  reg    = 31
	armX30 uint32 = 1 << 30
)

func decodeARM64(code []byte, addr uint64, _ bool) inst {
	i := inst{addr: addr, next: addr + 4, dst: noReg, src: noReg, base: noReg}
	if len(code) < 4 {
		i.kind, i.next = kindEnd, addr+uint64(len(code))
		return i
	}
	w := binary.LittleEndian.Uint32(code)
	rd, rn := reg(w&31), reg(w>>5&31)
	signed := func(lo, bits uint) int64 { return int64(int32(w<<(32-lo-bits)) >> (32 - bits)) }
	zero := func(r reg) reg { // in these forms register 31 is the zero register
		if r == 31 {
			return noReg
		}
		return r
	}
	switch {
	case w&0x7c000000 == 0x14000000: // B, BL
		i.kind, i.target = kindJump, addr+uint64(signed(0, 26)*4)
		if w>>31 == 1 {
			i.kind = kindCall
		}
	case w&0xff000010 == 0x54000000: // B.cond
		i.kind, i.target = kindBranch, addr+uint64(signed(5, 19)*4)
	case w&0x7e000000 == 0x34000000: // CBZ, CBNZ
		i.kind, i.target = kindBranch, addr+uint64(signed(5, 19)*4)
		i.src, i.zero = zero(rd), taken+branch(w>>24&1)
	case w&0x7e000000 == 0x36000000: // TBZ, TBNZ
		i.kind, i.target = kindBranch, addr+uint64(signed(5, 14)*4)
	case w&0xfe000000 == 0xd6000000: // BR, BLR, RET and those with authentication
		switch w >> 21 & 3 {
		case 0:
			i.kind, i.src = kindJump, rn
		case 1:
			i.kind, i.src = kindCall, rn
		default:
			i.kind, i.returns = kindEnd, true
		}
	case w&0xffe0001f == 0xd4000001: // SVC
		i.kind, i.dst = kindSyscall, 0
	case w&0xffe0001f == 0xd4200000, w>>16 == 0: // BRK, UDF
		i.kind = kindEnd
	case w&0x9f000000 == 0x10000000: // ADR
		i.kind, i.dst, i.imm = kindSet, zero(rd), int64(addr)+signed(5, 19)<<2+int64(w>>29&3)
		i.ref = uint64(i.imm)
	case w&0x9f000000 == 0x90000000: // ADRP
		i.kind, i.dst, i.imm = kindSet, zero(rd), int64(addr&^0xfff)+(signed(5, 19)<<2+int64(w>>29&3))<<12
	case w&0x3f000000 == 0x11000000 && w>>29&1 == 0: // ADD, SUB of a constant
		v := int64(w >> 10 & 0xfff)
		if w>>22&1 == 1 {
			v <<= 12
		}
		if w>>30&1 == 1 {
			v = -v
		}
		i.kind, i.dst, i.src, i.imm = kindAdd, rd, rn, v
	case w&0x1f000000 == 0x11000000: // ADDS, SUBS; CMP has no destination
		i.dst = zero(rd)
	case w&0x7f800000 == 0x52800000: // MOVZ
		i.kind, i.dst, i.imm = kindSet, zero(rd), int64(w>>5&0xffff)<<(16*(w>>21&3))
	case w&0x7f800000 == 0x12800000: // MOVN
		i.kind, i.dst, i.imm = kindSet, zero(rd), ^(int64(w>>5&0xffff) << (16 * (w >> 21 & 3)))
	case w&0x7fe0ffe0 == 0x2a0003e0: // MOV of a register
		i.kind, i.dst, i.src = kindCopy, zero(rd), zero(reg(w>>16&31))
		if i.src == noReg {
			i.kind, i.imm = kindSet, 0
		}
	case w&0x7f800000 == 0x32000000 && rn == 31: // MOV of a bitmask
		i.kind, i.dst = kindOther, rd
		if v, ok := bitmask(w); ok {
			i.kind, i.imm = kindSet, v
		}
	case w&0x3b000000 == 0x18000000: // LDR of a literal
		i.ref, i.dst, i.width = addr+uint64(signed(5, 19)*4), zero(rd), 8
		if w>>26&1 == 1 || w>>30 == 3 { // to a vector register, or a prefetch
			i.dst = noReg
		} else {
			i.kind = kindLoad
		}
	case w&0x3b000000 == 0x39000000: // LDR, STR at a scaled offset
		armMemory(&i, w, int64(w>>10&0xfff)<<armScale(w))
	case w&0x3b200c00 == 0x38000000: // LDUR, STUR
		armMemory(&i, w, signed(12, 9))
	case w&0x3b200400 == 0x38000400: // before or after changing the base
		armMemory(&i, w, 0)
		stores := i.kind == kindStore
		i.kind, i.kill, i.indexed = kindOther, 1<<rn, stores
		if stores {
			i.kind, i.src = kindStore, noReg
		}
		if rn == armSP { // a push or a pop
			i.kind, i.kill, i.dst = kindAdd, armKill(i.dst), armSP
			i.src, i.imm, i.unknown = armSP, signed(12, 9), stores && signed(12, 9) < 0
		}
	case w&0x3a000000 == 0x28000000: // pairs
		armPair(&i, w, rd, rn, signed(15, 7))
	case w&0x3b200c00 == 0x38200800: // with a register for an offset
		armMemory(&i, w, 0)
		if i.kind == kindStore {
			i.indexed, i.src, i.unknown = true, noReg, true
		} else {
			i.kind = kindOther
		}
	case w&0x3b200c00 == 0x38200000: // atomic ones
		i.kind, i.dst, i.base, i.indexed, i.unknown = kindStore, zero(rd), rn, true, true
	case w&0xbe400000 == 0x0c000000: // several vectors
		i.kind, i.base, i.indexed, i.unknown = kindStore, rn, true, true
	case w&0x7fe00000 == 0x0b200000, w&0x7f200000 == 0x0b000000: // ADD of registers
		i.kind, i.dst, i.base = kindPoint, rd, rn
		if w>>21&1 == 0 {
			if i.dst = zero(rd); rn == armSP { // the zero register
				i.kind = kindOther
			}
		}
	case w&0x3f000000 == 0x08000000: // exclusive and ordered ones
		i.dst, i.kill = zero(rd), armKill(zero(reg(w>>16&31)))
		if w>>22&1 == 0 || w>>21&1 == 1 {
			i.kind, i.base, i.indexed, i.unknown = kindStore, rn, true, true
		}
	case w&0xfffff01f == 0xd503201f: // hints: BTI, PACIASP, NOP
		i.pads = w == 0xd503201f
	case w&0xfff00000 == 0xd5300000: // MRS
		i.dst = zero(rd)
	case w&0xffc00000 == 0xd5000000: // MSR, barriers
	case w>>25&7 == 7 && w&0x7e3ffc00 != 0x1e260000 && w&0x5f20fc00 != 0x1e200000: // vectors, floating point
		i.dst = zero(rd) // some write a general register: more than needed
	default:
		i.dst = zero(rd)
	}
	return i
}

func armKill(r reg) uint32 {
	if r == noReg {
		return 0
	}
	return 1 << r
}

func armScale(w uint32) uint { return uint(w >> 30) }

// armMemory is a load or a store of one register.
func armMemory(i *inst, w uint32, offset int64) {
	i.base, i.imm, i.width = reg(w>>5&31), offset, 1<<armScale(w)
	r := reg(w & 31)
	if r == 31 {
		r = noReg
	}
	vector := w>>26&1 == 1
	switch opc := w >> 22 & 3; {
	case opc == 0, vector && opc == 2:
		i.kind, i.src = kindStore, r
		if vector {
			i.src, i.unknown, i.width = noReg, true, 16
		}
	case vector:
	case w>>30 == 3 && opc == 2: // a prefetch
	default:
		if i.dst = r; i.width >= 4 {
			i.kind = kindLoad
		}
	}
}

// armPair is LDP or STP. Of a load only the first register is known.
func armPair(i *inst, w uint32, rd, rn reg, imm int64) {
	vector := w>>26&1 == 1
	size := int64(4) << (w >> 31)
	if vector {
		size = 4 << (w >> 30)
	}
	mode := w >> 23 & 3
	if w>>22&1 == 1 && !vector {
		for _, r := range []reg{rd, reg(w >> 10 & 31)} {
			if r != 31 {
				i.kill |= 1 << r
			}
		}
	}
	if !vector && size == 8 {
		i.pair, i.second = w>>22&1 == 0, reg(w>>10&31)
		i.src = rd
	}
	if w>>22&1 == 1 && !vector && mode == 2 && rd != 31 {
		i.kind, i.dst, i.base, i.imm, i.width = kindLoad, rd, rn, imm*size, uint8(size)
		i.kill &^= 1 << rd
	}
	if w>>22&1 == 0 {
		i.kind, i.base, i.imm, i.width, i.unknown = kindStore, rn, imm*size, uint8(2*size), true
	}
	if mode == 1 || mode == 3 { // the base changes
		if rn != armSP {
			i.indexed = i.kind == kindStore
			if i.kill |= 1 << rn; !i.indexed {
				i.kind = kindOther
			}
			return
		}
		i.unknown = mode == 3 && i.kind == kindStore
		i.kind, i.dst, i.src, i.imm = kindAdd, armSP, armSP, imm*size
	}
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
