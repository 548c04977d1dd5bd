package policy

import (
	"fmt"
	"math/bits"
	"strings"

	"monban/abi"
	"monban/bpf"
)

// A Call is one system call to ask about, or many of one number: some of its arguments may be left open.
type Call struct {
	Arch  abi.Arch
	Name  string // "" where the number has none
	Data  bpf.Data
	Open  [6]bool // the registers that may hold anything, but for
	Among And     // the ranges and sets that arguments were asked about in
	args  [6]string
}

// Set gives an argument a value. Errors name pos, where that stands in what was asked.
func (c *Call) Set(arg abi.Arg, value Const, pos Pos) error {
	v, err := c.binder().value(value, pos)
	if err != nil {
		return err
	}
	if err := c.put(arg, v); err != nil {
		return errorf(pos, "%v", err)
	}
	return nil
}

// Limit lets an argument be any value of a set. Errors name pos, where that stands in what was asked.
func (c *Call) Limit(arg abi.Arg, set []Range, pos Pos) error {
	in := In{X: Operand{Name: arg.Name, Pos: pos}}
	if _, taken := Position(arg.Name); taken || arg.Name == "" {
		in.X = Operand{Arg: arg.Index, Wide: true, Pos: pos}
	}
	var parts []string
	for _, r := range set {
		spans, err := c.span(arg, r, pos)
		if err != nil {
			return err
		}
		in.Set = append(in.Set, spans...)
		parts = append(parts, r.String())
	}
	c.Among = append(c.Among, in)
	c.args[arg.Index] = "{" + strings.Join(parts, ", ") + "}"
	return nil
}

// binder resolves the constants that the call is asked about with.
func (c *Call) binder() *binder { return &binder{arch: c.Arch, call: c.Name} }

// span is a range as registers hold it: what a program passes in an int register, zeros above. One across 0 becomes
// two.
func (c *Call) span(arg abi.Arg, r Range, pos Pos) ([]Range, error) {
	width := ^uint64(0)
	if arg.High < 0 {
		width >>= 64 - min(arg.Bits, c.Arch.Bits())
	}
	b := c.binder()
	lo, err := b.value(r.Lo, pos)
	if err != nil {
		return nil, err
	}
	hi := lo
	if r.Hi != nil {
		if hi, err = b.value(r.Hi, pos); err != nil {
			return nil, err
		}
	}
	for _, v := range []uint64{lo, hi} {
		if high := v &^ width; high != 0 && high != ^width {
			return nil, errorf(pos, "%#x does not fit: the argument has %d bits on %s", v, min(arg.Bits, c.Arch.Bits()), c.Arch)
		}
	}
	if arg.Signed {
		bits := 64 - bits.Len64(width)
		lo, hi = uint64(int64(lo<<bits)>>bits), uint64(int64(hi<<bits)>>bits)
		if int64(lo) > int64(hi) {
			return nil, errEmpty(r, pos)
		}
		return []Range{{Num(lo), Num(hi)}}, nil
	}
	switch {
	case int64(lo) < 0 && int64(hi) >= 0:
		return []Range{{Num(lo & width), Num(width)}, {Num(0), Num(hi)}}, nil
	case lo&width > hi&width:
		return nil, errEmpty(r, pos)
	}
	return []Range{{Num(lo & width), Num(hi & width)}}, nil
}

func errEmpty(r Range, pos Pos) error {
	return errorf(pos, "the range %s..%s is empty: its ends are the wrong way round", r.Lo, r.Hi)
}

// put lays a value into its registers as the calling convention does. The error says that it does not fit.
func (c *Call) put(arg abi.Arg, v uint64) error {
	c.Open[arg.Index] = false
	switch {
	case arg.High >= 0:
		c.Open[arg.High] = false
		c.Data.Args[arg.Index], c.Data.Args[arg.High] = v&0xffffffff, v>>32
	case c.Arch.Bits() == 32:
		if v>>32 != 0 && v != uint64(int64(int32(v))) {
			return fmt.Errorf("%#x does not fit: an argument has 32 bits on %s", v, c.Arch)
		}
		c.Data.Args[arg.Index] = v & 0xffffffff
	case arg.Bits < 64:
		// What a program passes in an int register: its low bits, the rest as compilers leave it, zero.
		c.Data.Args[arg.Index] = v & (1<<arg.Bits - 1)
		if v>>arg.Bits != 0 && v>>arg.Bits != ^uint64(0)>>arg.Bits {
			c.Data.Args[arg.Index] = v
		}
	default:
		c.Data.Args[arg.Index] = v
	}
	return nil
}

// Label names the call, or its number where that has no name.
func (c *Call) Label() string {
	if c.Name != "" {
		return c.Name
	}
	return fmt.Sprintf("call %d", c.Data.Nr)
}

// String writes the call as ParseCall reads it, open arguments as _.
func (c Call) String() string {
	return formatCall(c.Arch, &c.Data, func(i int) string {
		switch {
		case !c.Open[i]:
			return ""
		case c.args[i] != "":
			return c.args[i]
		}
		return "_"
	})
}

// FormatCall writes a call with its arguments' names and constants: socket(family=AF_INET, type=SOCK_STREAM,
// protocol=0).
func FormatCall(arch abi.Arch, d *bpf.Data) string {
	return formatCall(arch, d, func(int) string { return "" })
}

// formatCall writes what open says of a register, where that is something, in place of its value.
func formatCall(arch abi.Arch, d *bpf.Data, open func(int) string) string {
	name, ok := arch.Name(d.Nr)
	if !ok {
		name = fmt.Sprint(d.Nr)
		if _, last := abi.X86_64.Numbers(); d.Nr > last {
			name = fmt.Sprintf("%#x", d.Nr)
		}
	}
	args, known := arch.Args(name)
	if !known {
		for i := range 6 {
			args = append(args, abi.Arg{Index: i, Bits: arch.Bits(), High: -1, Pointer: true})
		}
	}
	var parts []string
	for _, a := range args {
		value := open(a.Index)
		if value == "" {
			value = argumentValue(arch, name, a, d)
		}
		if a.Name != "" {
			value = a.Name + "=" + value
		}
		parts = append(parts, value)
	}
	return name + "(" + strings.Join(parts, ", ") + ")"
}

func argumentValue(arch abi.Arch, call string, a abi.Arg, d *bpf.Data) string {
	v := d.Args[a.Index]
	if a.High >= 0 {
		v = v&0xffffffff | d.Args[a.High]<<32
	} else if a.Bits < 64 {
		if high := v >> a.Bits; high != 0 && high != ^uint64(0)>>a.Bits {
			return fmt.Sprintf("%#x", v) // the kernel looks at the low bits only, but a filter may look at all
		}
		v &= 1<<a.Bits - 1
	}
	if a.High < 0 {
		if s := arch.ConstantName(call, a.Index, v); s != "" {
			return s
		}
	}
	if a.Pointer && v != 0 {
		return fmt.Sprintf("%#x", v)
	}
	if a.Signed && a.Bits < 64 && v>>(a.Bits-1) == 1 {
		return fmt.Sprint(int64(v | ^uint64(0)<<a.Bits))
	}
	return printNum(v)
}
