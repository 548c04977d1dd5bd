package bpf

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"monban/internal/nearest"
)

// A mnemonic is one word at the start of an instruction.
type mnemonic struct {
	code   uint16 // class and operation
	syntax syntax
}

type syntax uint8

const (
	syntaxNone   syntax = iota // tax
	syntaxLoad                 // ld, ldx
	syntaxStore                // st M[k]
	syntaxALU                  // add #k or x
	syntaxGoto                 // ja target
	syntaxBranch               // jeq #k or x, target, target
	syntaxInvert               // jne: the branch with its targets swapped
	syntaxRet
	syntaxRaw
)

var mnemonics = map[string]mnemonic{
	"ld": {LD, syntaxLoad}, "ldx": {LDX, syntaxLoad}, "st": {ST, syntaxStore}, "stx": {STX, syntaxStore},
	"add": {ALU | ADD, syntaxALU}, "sub": {ALU | SUB, syntaxALU}, "mul": {ALU | MUL, syntaxALU},
	"div": {ALU | DIV, syntaxALU}, "and": {ALU | AND, syntaxALU}, "or": {ALU | OR, syntaxALU},
	"xor": {ALU | XOR, syntaxALU}, "lsh": {ALU | LSH, syntaxALU}, "rsh": {ALU | RSH, syntaxALU},
	"neg": {ALU | NEG, syntaxNone}, "tax": {MISC | TAX, syntaxNone}, "txa": {MISC | TXA, syntaxNone},
	"ja": {JMP | JA, syntaxGoto}, "jmp": {JMP | JA, syntaxGoto},
	"jeq": {JMP | JEQ, syntaxBranch}, "jgt": {JMP | JGT, syntaxBranch},
	"jge": {JMP | JGE, syntaxBranch}, "jset": {JMP | JSET, syntaxBranch},
	"jne": {JMP | JEQ, syntaxInvert}, "jneq": {JMP | JEQ, syntaxInvert},
	"jle": {JMP | JGT, syntaxInvert}, "jlt": {JMP | JGE, syntaxInvert},
	"ret": {RET, syntaxRet}, "raw": {0, syntaxRaw},
}

// refusedMnemonics are bpf_asm's words for what only sockets may do.
var refusedMnemonics = map[string]string{
	"ldb": "loads of one byte: load the word with ld and mask it", "ldxb": "loads of one byte",
	"ldh": "loads of two bytes: load the word with ld and mask it",
	"mod": "the remainder: for a power of two, and #(n-1) does the same",
	"ldi": "another word for ld #k: write that", "ldxi": "another word for ldx #k: write that",
}

// instruction reads a mnemonic and its operands.
func (a *assembler) instruction() error {
	t := a.next()
	word := strings.ToLower(t.text)
	m, ok := mnemonics[word]
	if !ok {
		switch why := refusedMnemonics[word]; {
		case word == "ldi" || word == "ldxi":
			return a.errorf(t.at, "%s is %s", word, why)
		case why != "":
			return a.errorf(t.at, "%s: seccomp does not admit %s", word, why)
		}
		return a.errorf(t.at, "unknown instruction %q%s", t.text, nearest.Hint(word, slices.Sorted(maps.Keys(mnemonics))))
	}
	if len(a.program) == MaxInstructions {
		return a.errorf(t.at, "more than %d instructions: the kernel takes no more", MaxInstructions)
	}
	ins, err := a.operands(m)
	if err != nil {
		return err
	}
	a.program = append(a.program, ins)
	a.places = append(a.places, t.at)
	return nil
}

func (a *assembler) operands(m mnemonic) (Instruction, error) {
	ins := Instruction{Code: m.code}
	var err error
	switch m.syntax {
	case syntaxNone:
	case syntaxLoad:
		return a.loadOperand(ins)
	case syntaxStore:
		ins.K, err = a.memory()
	case syntaxALU:
		return a.constantOrX(ins)
	case syntaxGoto:
		j := jump{pc: len(a.program)}
		j.targets[0], err = a.target()
		a.jumps = append(a.jumps, j)
	case syntaxBranch, syntaxInvert:
		return a.branch(ins, m.syntax == syntaxInvert)
	case syntaxRet:
		return a.retOperand(ins)
	case syntaxRaw:
		return a.rawOperands()
	}
	return ins, err
}

// loadOperand reads [word], M[k], #len or #k.
func (a *assembler) loadOperand(ins Instruction) (Instruction, error) {
	t := a.peek()
	var err error
	switch {
	case t.text == "[":
		if ins.Code != LD {
			return ins, a.errorf(t.at, "ldx cannot load from struct seccomp_data: use ld and then tax")
		}
		ins.Code |= W | ABS
		ins.K, err = a.word()
	case strings.EqualFold(t.text, "M"):
		ins.Code |= MEM
		ins.K, err = a.memory()
	case t.text == "len" || t.text == "#" && a.tokens[1].text == "len":
		a.accept("#")
		a.next()
		ins.Code |= W | LEN
	case t.text == "#" || t.text == "-" || t.kind == tokenNumber:
		ins.Code |= IMM
		ins.K, err = a.constant()
	default:
		err = a.errorf(t.at, "expected [nr], [args[0].lo], M[0], #1 or #len, found %v", t)
	}
	return ins, err
}

// word reads a word of struct seccomp_data in brackets: nr, arch, ip.lo, args[n].hi, or its offset.
func (a *assembler) word() (uint32, error) {
	a.accept("[")
	t := a.peek()
	var offset uint32
	if t.kind == tokenNumber {
		n, err := a.number("an offset")
		if err != nil {
			return 0, err
		}
		offset = n
	} else {
		a.next()
		field, half, halves := strings.Cut(t.text, ".")
		switch strings.ToLower(field) {
		case "nr":
			offset = OffsetNr
		case "arch":
			offset = OffsetArch
		case "ip":
			offset = OffsetIP
		case "args":
			index, err := a.bracketed("an argument's number, 0 to 5")
			if err != nil {
				return 0, err
			}
			if index > 5 {
				return 0, a.errorf(t.at, "args[%d]: a call has the arguments 0 to 5", index)
			}
			offset = OffsetArgs + 8*index
			t.text = fmt.Sprintf("args[%d]", index)
			if next := a.peek(); strings.HasPrefix(next.text, ".") {
				a.next()
				half, halves = next.text[1:], true
			}
		default:
			return 0, a.errorf(t.at, "expected nr, arch, ip.lo, ip.hi, args[0].lo, args[0].hi or an offset, found %v%s",
				t, nearest.Hint(t.text, []string{"nr", "arch", "ip.lo", "ip.hi", "args"}))
		}
		hi, err := a.half(t, half, halves, offset >= OffsetIP)
		if err != nil {
			return 0, err
		}
		offset += hi
	}
	return offset, a.expect("]", "after a word of struct seccomp_data")
}

// half returns what the choice of half adds to the offset of a field.
func (a *assembler) half(field token, half string, given, wide bool) (uint32, error) {
	switch {
	case !wide && !given:
		return 0, nil
	case !wide:
		return 0, a.errorf(field.at, "%s has 32 bits and no halves", field.text)
	case half != "lo" && half != "hi":
		return 0, a.errorf(field.at, "%s has 64 bits and a load takes 32: add .lo or .hi",
			strings.TrimSuffix(field.text, "."+half))
	case a.order == "":
		return 0, a.errorf(field.at, "where the .%s half is depends on the byte order: "+
			"put .order little (x86, arm64, riscv) or .order big (s390x) before", half)
	}
	if (half == "hi") == (a.order == "little") {
		return 4, nil
	}
	return 0, nil
}

// memory reads M[k].
func (a *assembler) memory() (uint32, error) {
	t := a.next()
	if !strings.EqualFold(t.text, "M") {
		return 0, a.errorf(t.at, "expected a scratch word, M[0] to M[%d], found %v", MemWords-1, t)
	}
	return a.bracketed("the number of a scratch word")
}

func (a *assembler) bracketed(what string) (uint32, error) {
	if err := a.expect("[", "and "+what); err != nil {
		return 0, err
	}
	n, err := a.number(what)
	if err != nil {
		return 0, err
	}
	return n, a.expect("]", "after "+what)
}

// constantOrX reads #k, or x.
func (a *assembler) constantOrX(ins Instruction) (Instruction, error) {
	if a.register("x") {
		ins.Code |= X
		return ins, nil
	}
	var err error
	ins.K, err = a.constant()
	return ins, err
}

// register takes the name of a register if that comes next; bpf_asm also writes %x.
func (a *assembler) register(name string) bool {
	percent := 0
	if a.peek().text == "%" {
		percent = 1
	}
	if !strings.EqualFold(a.tokens[percent].text, name) {
		return false
	}
	a.tokens = a.tokens[percent+1:]
	return true
}

// branch reads #k or x and one or two targets.
func (a *assembler) branch(ins Instruction, invert bool) (Instruction, error) {
	ins, err := a.constantOrX(ins)
	if err != nil {
		return ins, err
	}
	if err := a.expect(",", "and where to jump"); err != nil {
		return ins, err
	}
	j := jump{pc: len(a.program)}
	if j.targets[0], err = a.target(); err != nil {
		return ins, err
	}
	if a.accept(",") {
		if j.targets[1], err = a.target(); err != nil {
			return ins, err
		}
	}
	if invert {
		j.targets[0], j.targets[1] = j.targets[1], j.targets[0]
	}
	a.jumps = append(a.jumps, j)
	return ins, nil
}

func (a *assembler) target() (target, error) {
	switch t := a.peek(); t.kind {
	case tokenWord:
		a.next()
		return target{name: t.text, at: t.at}, nil
	case tokenNumber:
		n, err := a.number("a target")
		return target{number: n, at: t.at}, err
	default:
		return target{}, a.errorf(t.at, "expected a label or the number of a line, found %v", t)
	}
}

// actionNames are what retOperand reads, beside numbers.
func actionNames() (names []string) {
	for _, a := range Actions() {
		names = append(names, a.Name())
	}
	return names
}

// retOperand reads #k, a, or an action by name.
func (a *assembler) retOperand(ins Instruction) (Instruction, error) {
	if a.register("a") {
		ins.Code |= A
		return ins, nil
	}
	t := a.peek()
	if t.kind != tokenWord {
		k, err := a.constant()
		ins.K = k
		return ins, err
	}
	a.next()
	action, ok := ParseAction(t.text)
	if !ok {
		return ins, a.errorf(t.at, "unknown action %q%s", t.text, nearest.Hint(t.text, actionNames()))
	}
	ins.K = uint32(action)
	if action.MaxData() == 0 {
		return ins, nil
	}
	if err := a.expect("(", "and a number, as in "+t.text+"(1)"); err != nil {
		return ins, err
	}
	at := a.peek().at
	n, err := a.number("the data of " + t.text)
	if err != nil {
		return ins, err
	}
	if limit := uint32(action.MaxData()); n > limit {
		return ins, a.errorf(at, "%s(%d): the number is at most %d", t.text, n, limit)
	}
	ins.K |= n
	return ins, a.expect(")", "after the data of "+t.text)
}

// rawOperands reads the four fields of an instruction as numbers.
func (a *assembler) rawOperands() (Instruction, error) {
	fields := [4]struct {
		name  string
		limit uint32
	}{{"code", math.MaxUint16}, {"jt", math.MaxUint8}, {"jf", math.MaxUint8}, {"k", math.MaxUint32}}
	var v [4]uint32
	for i, f := range fields {
		if i > 0 {
			if err := a.expect(",", "and "+f.name); err != nil {
				return Instruction{}, err
			}
		}
		at := a.peek().at
		n, err := a.number(f.name)
		if err != nil {
			return Instruction{}, err
		}
		if n > f.limit {
			return Instruction{}, a.errorf(at, "%s is %d, and the field holds at most %d", f.name, n, f.limit)
		}
		v[i] = n
	}
	return Instruction{Code: uint16(v[0]), Jt: uint8(v[1]), Jf: uint8(v[2]), K: v[3]}, nil
}

// constant reads #k; # may be left out and the number may be negative.
func (a *assembler) constant() (uint32, error) {
	a.accept("#")
	at := a.peek().at
	negative := a.accept("-")
	if t := a.peek(); t.kind == tokenWord {
		return 0, a.errorf(t.at, "%q is not a number: names of calls and constants stand in comments only", t.text)
	}
	n, err := a.number("a number")
	if err != nil || !negative {
		return n, err
	}
	if n > 1<<31 {
		return 0, a.errorf(at, "-%d does not fit in 32 bits", n)
	}
	return -n, nil
}

// number reads an unsigned number of 32 bits.
func (a *assembler) number(what string) (uint32, error) {
	t := a.peek()
	if t.kind != tokenNumber {
		return 0, a.errorf(t.at, "expected %s, found %v", what, t)
	}
	a.next()
	digits, base := t.text, 10
	if hex, ok := strings.CutPrefix(strings.ToLower(digits), "0x"); ok {
		digits, base = hex, 16
	} else if len(digits) > 1 && digits[0] == '0' {
		return 0, a.errorf(t.at, "%s starts with 0: write it in decimal, or in hexadecimal with 0x", t.text)
	}
	n, err := strconv.ParseUint(digits, base, 32)
	if errors.Is(err, strconv.ErrRange) {
		return 0, a.errorf(t.at, "%s does not fit in 32 bits", t.text)
	}
	if err != nil {
		return 0, a.errorf(t.at, "%s is not a number", t.text)
	}
	return uint32(n), nil
}
