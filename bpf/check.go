package bpf

import "fmt"

// A CheckError says why the kernel refuses a program; seccomp(2) itself says only EINVAL.
type CheckError struct {
	PC          int         // index of the instruction at fault, -1 if it is the program as a whole
	Instruction Instruction // that instruction; zero if PC is -1
	Reason      string
}

func (e *CheckError) Error() string {
	if e.PC < 0 {
		return e.Reason
	}
	return fmt.Sprintf("instruction %d (%v): %s", e.PC, e.Instruction, e.Reason)
}

// Check tells whether the kernel admits the program as a seccomp filter: nil, or a *CheckError for the first
// instruction found at fault. It gives the answer of bpf_check_classic and check_load_and_stores (net/core/filter.c)
// and seccomp_check_filter (kernel/seccomp.c) together. That all filters of a task fit in 32768 instructions is not
// asked here.
func (p Program) Check() error {
	if len(p) == 0 {
		return &CheckError{PC: -1, Reason: "an empty program: a filter needs at least one instruction"}
	}
	if len(p) > MaxInstructions {
		reason := fmt.Sprintf("%d instructions: the kernel takes at most %d", len(p), MaxInstructions)
		return &CheckError{PC: -1, Reason: reason}
	}
	for pc, ins := range p {
		if reason := p.refuses(pc, ins); reason != "" {
			return &CheckError{pc, ins, reason}
		}
	}
	last := len(p) - 1
	if f := p[last].op().form; f != formRetK && f != formRetA {
		return &CheckError{last, p[last], "the last instruction must be a ret"}
	}
	return p.checkMemory()
}

// refuses returns why an instruction on its own is refused, or "".
func (p Program) refuses(pc int, ins Instruction) string {
	op := ins.op()
	switch op.form {
	case 0:
		return refusedCode(ins.Code)
	case formWord:
		if ins.K >= DataSize {
			return fmt.Sprintf("loads past struct seccomp_data, which has %d bytes", DataSize)
		}
		if ins.K%4 != 0 {
			return "loads from an offset that is not a multiple of 4"
		}
	case formMem:
		if ins.K >= MemWords {
			return fmt.Sprintf("there are %d scratch words, M[0] to M[%d]", MemWords, MemWords-1)
		}
	case formGoto:
		// As unsigned numbers: a large K must not wrap around to an earlier instruction.
		if uint64(ins.K) >= uint64(len(p)-pc-1) {
			return fmt.Sprintf("jumps past the end: the program has %d instructions", len(p))
		}
	case formCondK, formCondX:
		if pc+1+int(max(ins.Jt, ins.Jf)) >= len(p) {
			return fmt.Sprintf("jumps past the end: the program has %d instructions", len(p))
		}
	}
	switch ins.Code {
	case ALU | DIV | K:
		if ins.K == 0 {
			return "divides by 0"
		}
	case ALU | LSH | K, ALU | RSH | K:
		if ins.K >= 32 {
			return "shifts by more than 31 bits"
		}
	}
	return ""
}

// refusedCode explains a code that is not among opcodes.
func refusedCode(code uint16) string {
	const mod, ind, msh, size = 0x90, 0x40, 0xa0, 0x18 // valid for sockets only
	switch {
	case code == ALU|mod|K, code == ALU|mod|X:
		return "seccomp does not admit the remainder (mod)"
	case code < 256 && code&0x07 == LD && code&size != 0:
		return "seccomp admits only loads of 32 bits"
	case code == LD|W|ind:
		return "seccomp does not admit loads relative to x"
	case code&0x07 == LDX && code&0xe0 == msh && code < 256:
		return "seccomp does not admit msh loads"
	case code == ALU|NEG|X:
		return "neg has no operand"
	}
	return fmt.Sprintf("code %#02x is not an instruction that seccomp admits", code)
}

// checkMemory is check_load_and_stores: a scratch word may be read only where every path has written it. Like the
// kernel, it lets what is known at a RET flow on to the next instruction, so it may refuse a program that never reads
// what was not written; and code after a goto that no jump reaches counts as having written everything.
func (p Program) checkMemory() error {
	masks := make([]uint16, len(p)) // a bit for each word not yet written on some jump here
	written := uint16(0)
	for pc, ins := range p {
		written &^= masks[pc]
		switch ins.Code {
		case ST, STX:
			written |= 1 << ins.K
		case LD | MEM, LDX | MEM:
			if written&(1<<ins.K) == 0 {
				return &CheckError{pc, ins, fmt.Sprintf("reads M[%d], which is not written on every path to here", ins.K)}
			}
		case JMP | JA:
			masks[pc+1+int(ins.K)] |= ^written
			written = ^uint16(0)
		default:
			if f := ins.op().form; f == formCondK || f == formCondX {
				masks[pc+1+int(ins.Jt)] |= ^written
				masks[pc+1+int(ins.Jf)] |= ^written
				written = ^uint16(0)
			}
		}
	}
	return nil
}
