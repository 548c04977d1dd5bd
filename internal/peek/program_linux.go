package peek

import (
	"unsafe"

	"monban/bpf"
)

// The program is assembled here; there is no compiler, and no library that would come with every program that imports
// this one.

// An instruction of eBPF (linux/bpf.h, struct bpf_insn).
type instruction struct {
	code byte
	regs byte // destination and source, in nibbles, of which the first is the lower one on little-endian machines
	off  int16
	imm  int32
}

func regs(dst, src byte) byte {
	if little {
		return dst | src<<4
	}
	return dst<<4 | src
}

var little = order.Uint16([]byte{1, 0}) == 1

// Codes (linux/bpf.h, linux/bpf_common.h).
const (
	loadImm64   = 0x18
	loadHalf    = 0x69 // *(u16 *)(src + off)
	load64      = 0x79
	store64     = 0x7b
	storeImm64  = 0x7a
	movImm      = 0xb7
	movReg      = 0xbf
	addImm      = 0x07
	shiftLeft   = 0x67
	jumpAlways  = 0x05
	jumpZero    = 0x15 // JEQ with imm
	jumpNonZero = 0x55
	jumpAbove   = 0x25 // JGT with imm
	call        = 0x85
	exit        = 0x95

	mapByFD = 1 // the source of loadImm64 (BPF_PSEUDO_MAP_FD)

	mapLookup  = 1 // helpers (linux/bpf.h)
	probeRead  = 113
	framePoint = 10
)

// Places in an answer.
const (
	atCursor   = int16(unsafe.Offsetof(answer{}.Cursor))
	atState    = int16(unsafe.Offsetof(answer{}.State))
	atHead     = int16(unsafe.Offsetof(answer{}.Head))
	atStarted  = int16(unsafe.Offsetof(answer{}.Started))
	atPrevious = int16(unsafe.Offsetof(answer{}.Previous))
	atLen      = int16(unsafe.Offsetof(answer{}.Len))
	atCode     = int16(unsafe.Offsetof(answer{}.Instructions))
)

// An assembler has forward jumps to one place, where the program says that it failed.
type assembler struct {
	code  []instruction
	fails []int
}

func (a *assembler) op(code, dst, src byte, off int16, imm int32) {
	a.code = append(a.code, instruction{code, regs(dst, src), off, imm})
}

// failIf jumps to the end if a register fulfils a condition.
func (a *assembler) failIf(code, reg byte, imm int32) {
	a.fails = append(a.fails, len(a.code))
	a.op(code, reg, 0, 0, imm)
}

// read copies size bytes of the kernel's memory, from the address in a register and an offset, to a place on the stack,
// where r is loaded from: the value there as a pointer, of which the verifier knows nothing.
func (a *assembler) read(r byte, from byte, at int16) {
	const slot = -16
	a.op(movReg, 1, framePoint, 0, 0)
	a.op(addImm, 1, 0, 0, slot)
	a.op(movImm, 2, 0, 0, 8)
	a.op(movReg, 3, from, 0, 0)
	a.op(addImm, 3, 0, 0, int32(at))
	a.op(call, 0, 0, 0, probeRead)
	a.failIf(jumpNonZero, 0, 0)
	a.op(load64, r, framePoint, slot, 0)
}

// reading is the program: its context is struct bpf_iter__task, of which the second pointer is the task, or 0 in the
// end.
//
// In registers: R6 the task, R7 the filter, R8 its struct sock_fprog_kern, R9 the answer.
func reading(shared int, o offsets) []instruction {
	a := &assembler{}
	const key = -8
	a.op(load64, 6, 1, 8, 0)
	over := len(a.code) // jumps to the exit
	a.op(jumpZero, 6, 0, 0, 0)
	a.op(storeImm64, framePoint, 0, key, 0)
	a.op(loadImm64, 1, mapByFD, 0, int32(shared))
	a.op(0, 0, 0, 0, 0)
	a.op(movReg, 2, framePoint, 0, 0)
	a.op(addImm, 2, 0, 0, key)
	a.op(call, 0, 0, 0, mapLookup)
	none := len(a.code)
	a.op(jumpZero, 0, 0, 0, 0)
	a.op(movReg, 9, 0, 0, 0)
	a.op(load64, 1, 6, o.started, 0)
	a.op(store64, 9, 1, atStarted, 0)
	a.op(load64, 7, 6, o.filter, 0)
	a.op(store64, 9, 7, atHead, 0)
	a.op(load64, 1, 9, atCursor, 0)
	a.op(jumpZero, 1, 0, 1, 0)
	a.op(movReg, 7, 1, 0, 0)
	a.failIf(jumpZero, 7, 0) // none at all: Head says so

	a.read(1, 7, o.previous)
	a.op(store64, 9, 1, atPrevious, 0)
	a.read(8, 7, o.program)
	a.read(8, 8, o.original)
	a.failIf(jumpZero, 8, 0) // a kernel without CONFIG_CHECKPOINT_RESTORE
	a.read(1, 8, o.length)
	a.op(loadHalf, 1, framePoint, -16, 0)
	a.op(store64, 9, 1, atLen, 0)
	a.read(8, 8, o.instructions)
	a.op(load64, 2, 9, atLen, 0)
	a.failIf(jumpAbove, 2, bpf.MaxInstructions)
	a.op(shiftLeft, 2, 0, 0, 3) // of 8 bytes each
	a.op(movReg, 1, 9, 0, 0)
	a.op(addImm, 1, 0, 0, int32(atCode))
	a.op(movReg, 3, 8, 0, 0)
	a.op(call, 0, 0, 0, probeRead)
	a.failIf(jumpNonZero, 0, 0)
	a.op(storeImm64, 9, 0, atState, done)
	a.op(jumpAlways, 0, 0, 1, 0)
	for _, at := range a.fails {
		a.code[at].off = int16(len(a.code) - at - 1)
	}
	a.op(storeImm64, 9, 0, atState, failed)
	for _, at := range []int{over, none} {
		a.code[at].off = int16(len(a.code) - at - 1)
	}
	a.op(movImm, 0, 0, 0, 0)
	a.op(exit, 0, 0, 0, 0)
	return a.code
}
