package scan

// A kind is what an instruction means to the analysis. What does not matter is kindOther: it may write registers.
type kind uint8

const (
	kindOther   kind = iota
	kindSet          // dst = imm
	kindCopy         // dst = src
	kindAdd          // dst = src + imm
	kindLow          // the lowest byte of dst = imm
	kindChoose       // dst = dst or src
	kindPoint        // dst = base plus something
	kindUnknown      // not decoded: it may write registers and memory
	kindLoad         // dst = memory
	kindStore        // memory = src, or imm where src is noReg; unknown where that is set
	kindPush         // the same, to the new top of the stack
	kindPop          // dst = the old top of the stack
	kindLeave        // the stack pointer = dst + 8, dst = memory at dst
	kindCall         // of target or through slot; indirect where both are 0
	kindJump         // likewise
	kindBranch       // conditional
	kindTest         // whether src is zero; the branch behind it tells
	kindEnd          // nothing follows
	kindSyscall      // the machine's system call instruction
	kindForeign      // a call by another architecture's rules: int 0x80, sysenter
)

// A branch is a way on from a conditional jump.
type branch uint8

const (
	neither branch = iota
	taken
	notTaken
)

type reg int8

const noReg reg = -1

// An inst is an instruction of either machine.
type inst struct {
	addr    uint64
	next    uint64
	kind    kind
	dst     reg // written; noReg where none
	src     reg
	base    reg  // of memory; noReg where the address is absolute, in ref
	indexed bool // kindStore to base plus something
	pair    bool // kindStore of src and second, 31 being zero, eight bytes each
	second  reg
	width   uint8  // of memory, in bytes
	returns bool   // of kindEnd: to the caller
	zero    branch // of kindBranch: where src, or what kindTest looked at, is zero
	unknown bool   // what is stored is not known
	pads    bool   // it does nothing: compilers fill the space between functions with such
	imm     int64  // a value, or what is added to base
	value   int64  // what is stored
	target  uint64 // of a direct call or jump
	slot    uint64 // the address of the pointer that a call or jump takes
	ref     uint64 // an address that the instruction mentions, or 0
	kill    uint32 // further registers that it writes, a bit each
}

// A machine is what the analysis has to know about an architecture.
type machine struct {
	decode    func(code []byte, addr uint64, fixed bool) inst // the instruction that code starts with
	number    reg                                             // holds the number at a system call
	sp        reg
	frame     reg    // kept by Go's functions, too
	preserved uint32 // the registers that a called C function keeps
	pushed    int64  // bytes that a call puts on the stack
	ends      int64  // rt_sigreturn, behind which nothing goes on
	first     reg    // holds a function's first argument
	second    reg    // holds a function's second argument
}
