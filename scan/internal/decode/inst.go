// Package decode says what machine instructions of x86-64 and AArch64 mean to an analysis that follows numbers and
// pointers: what they set, copy, load and store, and where they lead. What does not matter to it, it does not tell
// apart.
package decode

import "monban/abi"

// A Kind is what an instruction does. What does not matter is Other: it may write registers.
type Kind uint8

// The kinds of instructions. Unknown is one that could not be decoded: it may write registers and memory. Foreign is a
// system call by another architecture's rules: int 0x80, sysenter.
const (
	Other   Kind = iota
	Set          // Dst = Imm
	Copy         // Dst = Src
	Add          // Dst = Src + Imm; a push of something unknown where Unknown is set
	LowByte      // the lowest byte of Dst = Imm
	Choose       // Dst = Dst or Src
	Point        // Dst = Base plus something
	Unknown
	Load    // Dst = memory
	Store   // memory = Src, or Value where Src is NoReg; not known where Unknown is set
	Push    // the same, to the new top of the stack
	Pop     // Dst = the old top of the stack
	Leave   // the stack pointer = Dst + 8, Dst = memory at Dst
	Call    // of Target or through Slot; indirect where both are 0
	Jump    // likewise
	Branch  // conditional, to Target
	Test    // whether Src is zero; the branch behind it tells
	End     // nothing follows
	Syscall // the machine's system call instruction
	Foreign
)

// A Way is a way on from a conditional branch.
type Way uint8

// The ways on.
const (
	Neither Way = iota
	Taken
	NotTaken
)

// A Reg is a register by its hardware number.
type Reg int8

// NoReg is none.
const NoReg Reg = -1

// Bit is the register's bit in a set of registers; NoReg has none.
func (r Reg) Bit() uint32 {
	if r == NoReg {
		return 0
	}
	return 1 << r
}

// An Inst is an instruction of either machine. Addresses are those of the file.
type Inst struct {
	Addr    uint64
	Next    uint64 // the instruction behind it
	Kind    Kind
	Dst     Reg // written; NoReg where none
	Src     Reg
	Base    Reg  // of memory; NoReg where the address is absolute, in Ref
	Indexed bool // a Store to Base plus something
	Pair    bool // a Store of Src and Second, 31 being zero, eight bytes each
	Second  Reg
	Width   uint8  // of memory, in bytes
	Returns bool   // of End: to the caller
	Zero    Way    // of Branch: where Src, or what Test looked at, is zero
	Unknown bool   // what is stored is not known
	Pads    bool   // it does nothing: compilers fill the space between functions with such
	Kill    uint32 // further registers that it writes, a bit each
	Imm     int64  // a value, or what is added to Base
	Value   int64  // what is stored
	Target  uint64 // of a direct call, jump or branch
	Slot    uint64 // the address of the pointer that a call or jump takes
	Ref     uint64 // an address that the instruction mentions, or 0
}

// store makes it one of a value that is not known.
func (i *Inst) store(base Reg, disp int64, absolute, indexed bool) {
	if base == NoReg && !absolute {
		return
	}
	i.Kind, i.Base, i.Imm, i.Unknown, i.Indexed = Store, base, disp, true, indexed
}

// A Machine is what the analysis has to know about an architecture. It is not to be changed.
type Machine struct {
	Arch      abi.Arch
	Multiarch string                                          // what Debian's directories of libraries are called
	Decode    func(code []byte, addr uint64, fixed bool) Inst // the instruction that code starts with; fixed where absolute addresses are the file's
	IsCode    func(code []byte) bool                          // whether an instruction may begin there, as far as is known
	Number    Reg                                             // holds the number at a system call
	SP        Reg
	Frame     Reg    // kept by Go's functions, too
	Preserved uint32 // the registers that a called C function keeps, a bit each
	Pushed    int64  // bytes that a call puts on the stack
	Sigreturn int64  // rt_sigreturn, behind which nothing goes on
	First     Reg    // holds a function's first argument
	Second    Reg    // holds a function's second argument
}

// X86 is x86-64. Registers are numbered as the hardware does: AX CX DX BX SP BP SI DI R8…R15.
func X86() *Machine { return &x86 }

// ARM64 is AArch64. Registers are X0…X30 and SP.
func ARM64() *Machine { return &arm64 }

// Keeps says that a called C function keeps a register.
func (m *Machine) Keeps(r Reg) bool { return m.Preserved>>r&1 == 1 }
