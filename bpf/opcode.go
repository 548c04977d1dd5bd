package bpf

import "fmt"

// A form is how an instruction uses its fields, and so how it is written.
type form uint8

const (
	formNone  form = iota + 1 // tax
	formWord                  // ld [k]
	formMem                   // ld M[k]
	formImm                   // ld #k
	formLen                   // ld #len
	formX                     // add x
	formGoto                  // ja target
	formCondK                 // jeq #k, target, target
	formCondX                 // jeq x, target, target
	formRetK                  // ret #k
	formRetA                  // ret a
)

type opcode struct {
	name string
	form form // 0: seccomp refuses this code
}

// opcodes lists by Code what seccomp admits: the codes of seccomp_check_filter (kernel/seccomp.c), which are all also
// in chk_code_allowed (net/core/filter.c). The comparison is of the whole 16 bits, so stray bits are refused.
var opcodes = [256]opcode{
	LD | W | ABS: {"ld", formWord},
	LD | IMM:     {"ld", formImm},
	LD | MEM:     {"ld", formMem},
	LD | W | LEN: {"ld", formLen},

	LDX | IMM:     {"ldx", formImm},
	LDX | MEM:     {"ldx", formMem},
	LDX | W | LEN: {"ldx", formLen},

	ST:  {"st", formMem},
	STX: {"stx", formMem},

	ALU | ADD | K: {"add", formImm},
	ALU | ADD | X: {"add", formX},
	ALU | SUB | K: {"sub", formImm},
	ALU | SUB | X: {"sub", formX},
	ALU | MUL | K: {"mul", formImm},
	ALU | MUL | X: {"mul", formX},
	ALU | DIV | K: {"div", formImm},
	ALU | DIV | X: {"div", formX},
	ALU | AND | K: {"and", formImm},
	ALU | AND | X: {"and", formX},
	ALU | OR | K:  {"or", formImm},
	ALU | OR | X:  {"or", formX},
	ALU | XOR | K: {"xor", formImm},
	ALU | XOR | X: {"xor", formX},
	ALU | LSH | K: {"lsh", formImm},
	ALU | LSH | X: {"lsh", formX},
	ALU | RSH | K: {"rsh", formImm},
	ALU | RSH | X: {"rsh", formX},
	ALU | NEG:     {"neg", formNone},

	JMP | JA:       {"ja", formGoto},
	JMP | JEQ | K:  {"jeq", formCondK},
	JMP | JEQ | X:  {"jeq", formCondX},
	JMP | JGT | K:  {"jgt", formCondK},
	JMP | JGT | X:  {"jgt", formCondX},
	JMP | JGE | K:  {"jge", formCondK},
	JMP | JGE | X:  {"jge", formCondX},
	JMP | JSET | K: {"jset", formCondK},
	JMP | JSET | X: {"jset", formCondX},

	RET | K: {"ret", formRetK},
	RET | A: {"ret", formRetA},

	MISC | TAX: {"tax", formNone},
	MISC | TXA: {"txa", formNone},
}

// op returns what the code says, and the zero opcode if seccomp refuses it.
func (i Instruction) op() opcode {
	if i.Code >= uint16(len(opcodes)) {
		return opcode{}
	}
	return opcodes[i.Code]
}

// canonical is the instruction with the fields cleared that the kernel doesn't look at.
func (i Instruction) canonical() Instruction {
	switch i.op().form {
	case formNone, formLen, formX, formRetA:
		return Instruction{Code: i.Code}
	case formWord, formMem, formImm, formGoto, formRetK:
		return Instruction{Code: i.Code, K: i.K}
	case formCondX:
		return Instruction{Code: i.Code, Jt: i.Jt, Jf: i.Jf}
	}
	return i
}

// String writes the instruction alone, jump targets as offsets (+n, from the instruction after it), for messages.
func (i Instruction) String() string {
	op := i.op()
	switch op.form {
	case formNone:
		return op.name
	case formWord:
		return fmt.Sprintf("%s [%d]", op.name, i.K)
	case formMem:
		return fmt.Sprintf("%s M[%d]", op.name, i.K)
	case formImm, formRetK:
		return fmt.Sprintf("%s #%#x", op.name, i.K)
	case formLen:
		return op.name + " #len"
	case formX:
		return op.name + " x"
	case formGoto:
		return fmt.Sprintf("%s +%d", op.name, i.K)
	case formCondK:
		return fmt.Sprintf("%s #%#x, +%d, +%d", op.name, i.K, i.Jt, i.Jf)
	case formCondX:
		return fmt.Sprintf("%s x, +%d, +%d", op.name, i.Jt, i.Jf)
	case formRetA:
		return op.name + " a"
	}
	return i.raw()
}

// raw writes the four fields as they are: the one notation that holds for any eight bytes.
func (i Instruction) raw() string {
	return fmt.Sprintf("raw %#02x, %d, %d, %#x", i.Code, i.Jt, i.Jf, i.K)
}
