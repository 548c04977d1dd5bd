package decode

import (
	"bytes"

	"golang.org/x/arch/x86/x86asm"
)

// x86Length is the length of an instruction that the decoder does not know, from the regular form that all have:
// prefixes, opcode, ModRM, SIB, displacement. Of what is not of the extended opcode maps it is 1.
func x86Length(b []byte) int {
	at := 0
	for at < len(b) && (b[at] == 0x66 || b[at] == 0xf2 || b[at] == 0xf3 || b[at] == 0x2e || b[at] == 0x3e || b[at] == 0xf0 ||
		b[at] == 0x64 || b[at] == 0x65) {
		at++
	}
	var opmap byte
	switch {
	case at+3 < len(b) && b[at] == 0xc5:
		at, opmap = at+2, 1
	case at+4 < len(b) && b[at] == 0xc4:
		at, opmap = at+3, b[at+1]&0x1f
	case at+5 < len(b) && b[at] == 0x62:
		at, opmap = at+4, b[at+1]&7
	default:
		if at < len(b) && b[at]&0xf0 == 0x40 { // REX
			at++
		}
		if at+2 >= len(b) || b[at] != 0x0f {
			return 1
		}
		at, opmap = at+1, 1
		if b[at] == 0x38 || b[at] == 0x3a {
			opmap = 2 + (b[at]-0x38)/2
			at++
		}
	}
	if at+1 >= len(b) {
		return 1
	}
	op, modrm := b[at], b[at+1]
	if opmap == 1 && op == 0x77 { // vzeroupper has no operands
		return at + 1
	}
	at += 2
	mod, rm := modrm>>6, modrm&7
	if mod != 3 {
		if rm == 4 && at < len(b) {
			if mod == 0 && b[at]&7 == 5 {
				at += 4
			}
			at++
		} else if mod == 0 && rm == 5 {
			at += 4
		}
		switch mod {
		case 1:
			at++
		case 2:
			at += 4
		}
	}
	if opmap == 3 || opmap == 1 && (op >= 0x70 && op <= 0x73 || op == 0xa4 || op == 0xac || op == 0xba || op >= 0xc2 && op <= 0xc6 && op != 0xc3) {
		at++
	}
	if at > len(b) {
		return 1
	}
	return at
}

// x86Reads says of an instruction that the decoder does not know whether it surely writes no memory: those on registers
// alone, and the bit manipulation of BMI.
func x86Reads(b []byte) bool {
	n := x86Length(b)
	switch {
	case len(b) > 4 && b[0] == 0xc5:
		return n > 3 && b[3]>>6 == 3 || b[2] == 0x77
	case len(b) > 5 && b[0] == 0xc4:
		bmi := b[1]&0x1f == 2 && b[3] >= 0xf0 || b[1]&0x1f == 3 && b[3] == 0xf0
		return n > 4 && (bmi || b[4]>>6 == 3)
	case len(b) > 6 && b[0] == 0x62:
		return n > 5 && b[5]>>6 == 3
	}
	return false
}

// x86IsCode says that an instruction may begin here, as far as is known: two zero bytes are none that a compiler makes.
func x86IsCode(b []byte) bool {
	if bytes.HasPrefix(b, []byte{0, 0}) {
		return false
	}
	_, err := x86asm.Decode(b[:min(len(b), farJump)], 64)
	return err == nil || x86Length(b) > 1 || bytes.HasPrefix(b, []byte{0xf3, 0x0f, 0x1e})
}
