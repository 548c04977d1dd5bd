package bpf

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"strconv"
)

// A Namer gives names to the numbers in a listing. Every method may return "" for a number that it has no name for.
// token is an AUDIT_ARCH_* value, nr a system call number as seccomp_data has it.
type Namer interface {
	Arch(token uint32) string               // x86_64
	Call(token, nr uint32) string           // openat
	Arg(token, nr uint32, index int) string // flags
	// Constant names a value that the low word of an argument is compared with or masked by: O_CREAT.
	Constant(token, nr uint32, index int, value uint32) string
}

// Disassemble writes a listing: a line an instruction with its number, the instruction, and after ; what its numbers
// mean where that is certain. Jump targets are the numbers of lines. n gives the names and may be nil.
//
// Any program can be listed, also one that the kernel refuses; an instruction that has no notation, or has something in
// a field that the kernel ignores, is written as raw with its four fields. [Assemble] makes the identical program of
// it. Where halves of 64-bit values are loaded, the listing starts with the byte order that tells them apart.
func Disassemble(w io.Writer, p Program, order binary.ByteOrder, n Namer) error {
	l := listing{p: p, big: isBig(order), names: n, in: flows(p)}
	out := bufio.NewWriter(w)
	for _, ins := range p {
		if ins.Code == LD|W|ABS && ins.K >= OffsetIP {
			out.WriteString(".order " + orderName(l.big) + "\n")
			break
		}
	}
	var line []byte
	for pc := range p {
		line = fmt.Appendf(line[:0], "%4d  ", pc)
		start := len(line)
		line = append(line, l.text(pc)...)
		if comment := l.comment(pc); comment != "" {
			for len(line) < start+commentColumn {
				line = append(line, ' ')
			}
			line = append(append(line, " ; "...), comment...)
		}
		out.Write(append(line, '\n'))
	}
	return out.Flush()
}

// commentColumn is where comments start, counted from the mnemonic.
const commentColumn = 32

type listing struct {
	p     Program
	big   bool
	names Namer
	in    []flow
}

func orderName(big bool) string {
	if big {
		return "big"
	}
	return "little"
}

// text is the instruction as Assemble reads it.
func (l *listing) text(pc int) string {
	ins := l.p[pc]
	if ins.op().form == 0 || ins != ins.canonical() || !l.stays(pc) {
		return ins.raw()
	}
	return l.plain(pc)
}

// plain is the instruction without what stands in fields that the kernel ignores.
func (l *listing) plain(pc int) string {
	ins := l.p[pc]
	op := ins.op()
	operand := ""
	switch op.form {
	case formNone:
		return op.name
	case formWord:
		operand = "[" + wordName(ins.K, l.big) + "]"
	case formMem:
		operand = fmt.Sprintf("M[%d]", ins.K)
	case formImm:
		operand = "#" + l.number(pc)
	case formLen:
		operand = "#len"
	case formX:
		operand = "x"
	case formGoto:
		operand = strconv.Itoa(pc + 1 + int(ins.K))
	case formCondK:
		operand = fmt.Sprintf("#%s, %d, %d", l.number(pc), pc+1+int(ins.Jt), pc+1+int(ins.Jf))
	case formCondX:
		operand = fmt.Sprintf("x, %d, %d", pc+1+int(ins.Jt), pc+1+int(ins.Jf))
	case formRetK:
		operand = fmt.Sprintf("#0x%08x", ins.K)
	case formRetA:
		operand = "a"
	}
	return fmt.Sprintf("%-4s %s", op.name, operand)
}

// stays tells whether all targets of an instruction are lines of the listing.
func (l *listing) stays(pc int) bool {
	ins := l.p[pc]
	rest := uint64(len(l.p) - pc - 1)
	switch ins.op().form {
	case formGoto:
		return uint64(ins.K) < rest
	case formCondK, formCondX:
		return uint64(max(ins.Jt, ins.Jf)) < rest
	}
	return true
}

// wordName names a word of struct seccomp_data; an offset that is none stays a number.
func wordName(offset uint32, big bool) string {
	if offset%4 != 0 || offset >= DataSize {
		return strconv.FormatUint(uint64(offset), 10)
	}
	half := ".lo"
	if (offset%8 == 4) != big {
		half = ".hi"
	}
	switch {
	case offset == OffsetNr:
		return "nr"
	case offset == OffsetArch:
		return "arch"
	case offset < OffsetArgs:
		return "ip" + half
	}
	return fmt.Sprintf("args[%d]%s", (offset-OffsetArgs)/8, half)
}

// number writes the constant of an instruction in the base that suits it: masks and large values in hexadecimal.
func (l *listing) number(pc int) string {
	ins := l.p[pc]
	switch ins.Code {
	case ALU | AND | K, ALU | OR | K, ALU | XOR | K, JMP | JSET | K:
		return fmt.Sprintf("%#x", ins.K)
	}
	a := l.in[pc].a
	limit := uint32(0xffff)
	if a.word && a.offset == OffsetNr {
		limit = 0xfffff
	}
	if ins.K > limit || a.word && a.offset == OffsetArch {
		return fmt.Sprintf("%#x", ins.K)
	}
	return strconv.FormatUint(uint64(ins.K), 10)
}
