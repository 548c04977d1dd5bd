package bpf

import "fmt"

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

// An Action is what a filter returns: the action in the high half, its data in the low half (linux/seccomp.h).
type Action uint32

// The actions, from the most to the least restrictive: the kernel takes the smallest as a signed number.
const (
	KillProcess Action = 0x80000000
	KillThread  Action = 0x00000000
	Trap        Action = 0x00030000 // SIGSYS; data is si_errno
	Errno       Action = 0x00050000 // data is the errno, at most 4095
	Notify      Action = 0x7fc00000 // SECCOMP_RET_USER_NOTIF
	Trace       Action = 0x7ff00000 // data is PTRACE_GETEVENTMSG's message
	Log         Action = 0x7ffc0000
	Allow       Action = 0x7fff0000
)

const (
	actionMask = 0xffff0000
	dataMask   = 0x0000ffff
	maxErrno   = 4095 // MAX_ERRNO
)

// Kind is the action without its data.
func (a Action) Kind() Action { return a & actionMask }

// Data is the action's data half.
func (a Action) Data() uint16 { return uint16(a & dataMask) }

// Canonical is the one representative of all values that the kernel treats alike: an unknown action kills the process, an
// errno is capped at 4095, and the data of allow, log, notify and the kills means nothing (kernel/seccomp.c, __seccomp_filter).
func (a Action) Canonical() Action {
	switch a.Kind() {
	case KillThread, Notify, Log, Allow:
		return a.Kind()
	case Errno:
		return Errno | min(a&dataMask, maxErrno)
	case Trap, Trace:
		return a
	}
	return KillProcess
}

// String writes the action as the policy language does, with numbers for errno values: errno(38), trace(7), allow.
func (a Action) String() string {
	switch c := a.Canonical(); c.Kind() {
	case KillThread:
		return "kill_thread"
	case Trap:
		return fmt.Sprintf("trap(%d)", c.Data())
	case Errno:
		return fmt.Sprintf("errno(%d)", c.Data())
	case Notify:
		return "notify"
	case Trace:
		return fmt.Sprintf("trace(%d)", c.Data())
	case Log:
		return "log"
	case Allow:
		return "allow"
	}
	return "kill_process"
}
