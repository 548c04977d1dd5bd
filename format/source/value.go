package source

import (
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"monban/abi"
	"monban/format/codec"
)

// values are the names of linux/bpf_common.h and linux/seccomp.h.
var values = map[string]uint64{
	"BPF_LD": 0, "BPF_LDX": 1, "BPF_ST": 2, "BPF_STX": 3, "BPF_ALU": 4, "BPF_JMP": 5, "BPF_RET": 6, "BPF_MISC": 7,
	"BPF_W": 0, "BPF_H": 8, "BPF_B": 0x10, "BPF_IMM": 0, "BPF_ABS": 0x20, "BPF_IND": 0x40, "BPF_MEM": 0x60, "BPF_LEN": 0x80, "BPF_MSH": 0xa0,
	"BPF_ADD": 0, "BPF_SUB": 0x10, "BPF_MUL": 0x20, "BPF_DIV": 0x30, "BPF_OR": 0x40, "BPF_AND": 0x50, "BPF_LSH": 0x60, "BPF_RSH": 0x70,
	"BPF_NEG": 0x80, "BPF_MOD": 0x90, "BPF_XOR": 0xa0,
	"BPF_JA": 0, "BPF_JEQ": 0x10, "BPF_JGT": 0x20, "BPF_JGE": 0x30, "BPF_JSET": 0x40, "BPF_K": 0, "BPF_X": 8, "BPF_A": 0x10,
	"BPF_TAX": 0, "BPF_TXA": 0x80,
	"SECCOMP_RET_KILL_PROCESS": 0x80000000, "SECCOMP_RET_KILL_THREAD": 0, "SECCOMP_RET_KILL": 0, "SECCOMP_RET_TRAP": 0x00030000,
	"SECCOMP_RET_ERRNO": 0x00050000, "SECCOMP_RET_USER_NOTIF": 0x7fc00000, "SECCOMP_RET_TRACE": 0x7ff00000, "SECCOMP_RET_LOG": 0x7ffc0000,
	"SECCOMP_RET_ALLOW": 0x7fff0000, "SECCOMP_RET_DATA": 0xffff, "SECCOMP_RET_ACTION": 0x7fff0000, "SECCOMP_RET_ACTION_FULL": 0xffff0000,
	"__X32_SYSCALL_BIT": abi.X32Bit, "X32_SYSCALL_BIT": abi.X32Bit,
}

// fieldOffsets are those of struct seccomp_data.
var fieldOffsets = map[string]uint64{"nr": 0, "arch": 4, "instruction_pointer": 8, "args": 16}

// auditArchs are the names of linux/audit.h that differ from ours by more than case.
var auditArchs = map[string]abi.Arch{"I386": abi.X86, "ARM": abi.ARM, "S390": abi.S390}

const maxNested = 100

// precedence of C's operators.
var precedence = map[string]int{"|": 1, "^": 2, "&": 3, "<<": 4, "+": 5, "-": 5, "*": 6}

// expression reads a constant expression, as C reads it.
func (p *parser) expression() (uint64, error) { return p.binary(1) }

func (p *parser) binary(least int) (uint64, error) {
	x, err := p.unary()
	for err == nil {
		op := p.peek()
		level := precedence[op.text]
		if level < least || level == 0 {
			return x, nil
		}
		p.at++
		var y uint64
		if y, err = p.binary(level + 1); err != nil {
			return 0, err
		}
		lost := uint64(0) // what does not fit
		switch op.text {
		case "|":
			x |= y
		case "^":
			x ^= y
		case "&":
			x &= y
		case "<<":
			if y < 64 {
				lost = x >> (63 - y) >> 1
			} else {
				lost = x
			}
			x <<= min(y, 64)
		case "+":
			x, lost = bits.Add64(x, y, 0)
		case "-":
			x, lost = bits.Sub64(x, y, 0)
		case "*":
			lost, x = bits.Mul64(x, y)
		}
		if lost != 0 {
			return 0, p.in.Errorf(op.off, "the result of %s does not fit 64 bits, or is negative", op.text)
		}
	}
	return 0, err
}

// casts are the words of a cast that changes nothing here.
var casts = []string{"unsigned", "int", "long", "uint32_t", "uint16_t", "__u32", "__u16", "u32", "uint32", "uint16", "short", "char"}

func (p *parser) unary() (uint64, error) {
	if p.depth++; p.depth > maxNested {
		return 0, p.in.Errorf(p.peek().off, "an expression nested more than %d deep", maxNested)
	}
	defer func() { p.depth-- }()
	t := p.peek()
	p.at++
	switch {
	case t.text == "~":
		v, err := p.unary()
		return ^v & 0xffffffff, err
	case t.text == "(":
		cast := slices.Contains(casts, p.peek().text)
		for slices.Contains(casts, p.peek().text) {
			p.at++
		}
		if cast {
			if err := p.want(")"); err != nil {
				return 0, err
			}
			return p.unary()
		}
		v, err := p.binary(1)
		if err != nil {
			return 0, err
		}
		return v, p.want(")")
	case t.text == "offsetof":
		return p.offset()
	case t.text != "" && t.text[0] >= '0' && t.text[0] <= '9':
		v, err := strconv.ParseUint(strings.TrimRight(strings.ToLower(t.text), "ul"), 0, 64)
		if err != nil {
			return 0, p.in.Errorf(t.off, "%s is not a number", t.text)
		}
		return v, nil
	case isWord(firstByte(t.text)):
		return p.named(t)
	case t.text == "":
		return 0, p.in.Errorf(t.off, "the source ends where a value is expected (is it truncated?)")
	}
	return 0, p.in.Errorf(t.off, "expected a value, not %q", t.text)
}

// offset reads (struct seccomp_data, FIELD) after offsetof; args has an index.
func (p *parser) offset() (uint64, error) {
	if err := p.want("("); err != nil {
		return 0, err
	}
	p.take("struct")
	if err := p.want("seccomp_data"); err != nil {
		return 0, err
	}
	if err := p.want(","); err != nil {
		return 0, err
	}
	t := p.peek()
	p.at++
	off, ok := fieldOffsets[t.text]
	if !ok {
		return 0, p.in.Errorf(t.off, "struct seccomp_data has no field %q (nr, arch, instruction_pointer, args)", t.text)
	}
	if p.take("[") {
		where := p.peek()
		i, err := p.expression()
		if err != nil {
			return 0, err
		}
		if t.text != "args" || i > 5 {
			return 0, p.in.Errorf(where.off, "args[0] to args[5] are what has an index")
		}
		off += 8 * i
		if err := p.want("]"); err != nil {
			return 0, err
		}
	}
	return off, p.want(")")
}

// named is the value of a constant's name.
func (p *parser) named(t token) (uint64, error) {
	if v, ok := values[t.text]; ok {
		return v, nil
	}
	for _, prefix := range []string{"__NR_", "SYS_"} {
		if call, ok := strings.CutPrefix(t.text, prefix); ok {
			nr, ok := p.arch.Number(strings.ToLower(call))
			if !ok {
				return 0, &codec.OptionError{Option: codec.OptionArchs, Err: p.in.Errorf(t.off, "%s has no system call %s (is the source for another architecture?)", p.arch, call)}
			}
			return uint64(nr), nil
		}
	}
	if arch, ok := strings.CutPrefix(t.text, "AUDIT_ARCH_"); ok {
		a, known := auditArchs[arch]
		if !known {
			var err error
			if a, err = abi.ParseArch(strings.ToLower(arch)); err != nil {
				return 0, p.in.Errorf(t.off, "unknown architecture %s", t.text)
			}
		}
		return uint64(a.Token()), nil
	}
	if v, ok := p.arch.Errno(t.text); ok {
		return uint64(v), nil
	}
	if v, ok := p.arch.Constant(t.text); ok {
		return v, nil
	}
	return 0, p.in.Errorf(t.off, "unknown constant %s (only names of the kernel's headers are known: write its value)", t.text)
}
