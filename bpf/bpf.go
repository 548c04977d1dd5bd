package bpf

// MaxInstructions is the longest filter the kernel takes (BPF_MAXINSNS).
const MaxInstructions = 4096

// An Instruction is one struct sock_filter.
type Instruction struct {
	Code   uint16 // class | size or operation | mode or source
	Jt, Jf uint8  // instructions to skip when a conditional jump holds, or does not
	K      uint32 // the constant operand
}

// A Program is a classic BPF program as seccomp runs it.
type Program []Instruction

// Instruction classes: the low three bits of Code (linux/bpf_common.h).
const (
	LD   = 0x00
	LDX  = 0x01
	ST   = 0x02
	STX  = 0x03
	ALU  = 0x04
	JMP  = 0x05
	RET  = 0x06
	MISC = 0x07
)

// Modes of loads, sizes, operations and operand sources (linux/bpf_common.h).
const (
	W   = 0x00 // 32-bit load, the only size that seccomp admits
	IMM = 0x00
	ABS = 0x20
	MEM = 0x60
	LEN = 0x80

	ADD = 0x00
	SUB = 0x10
	MUL = 0x20
	DIV = 0x30
	OR  = 0x40
	AND = 0x50
	LSH = 0x60
	RSH = 0x70
	NEG = 0x80
	XOR = 0xa0

	JA   = 0x00
	JEQ  = 0x10
	JGT  = 0x20
	JGE  = 0x30
	JSET = 0x40

	K = 0x00 // the operand is Instruction.K
	X = 0x08 // the operand is the index register
	A = 0x10 // RET: the accumulator

	TAX = 0x00
	TXA = 0x80
)

// MemWords is the number of scratch words M[] (BPF_MEMWORDS).
const MemWords = 16

// Data is struct seccomp_data: everything a filter sees of a system call.
type Data struct {
	Nr   uint32 // the call's number (an int in the kernel's struct)
	Arch uint32 // AUDIT_ARCH_* of the calling convention
	IP   uint64 // instruction pointer
	Args [6]uint64
}

// DataSize is sizeof(struct seccomp_data), in bytes.
const DataSize = 64

// Offsets of the 32-bit words of struct seccomp_data, in bytes.
const (
	OffsetNr   = 0
	OffsetArch = 4
	OffsetIP   = 8  // 64 bits
	OffsetArgs = 16 // six times 64 bits
)
