package policy

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"monban/abi"
	"monban/bpf"
	"monban/internal/nearest"
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

// callSymbols are those of the language, and two more.
var callSymbols = append(slices.Clone(symbols), "=", "?")

// ParseCall reads a call as a person writes it: socket(AF_INET, SOCK_STREAM, 0), socket(AF_INET), socket(type=SOCK_RAW), socket, 41, or
// 41(2, _). Arguments that are missing, ? or _ are left open; 1..5 and {AF_INET, AF_INET6} stand for any value among them. A name
// is of a call on arch; a number may be of another architecture that shares its token, x32, and the call then is that one's. Errors
// name the place in the text and the mend.
func ParseCall(arch abi.Arch, text string) (Call, error) {
	c := Call{Arch: arch, Data: bpf.Data{Arch: arch.Token()}, Open: [6]bool{true, true, true, true, true, true}}
	const here = "call"
	tokens, err := lexWith(callSymbols, here, []byte(text))
	if err != nil {
		return c, err
	}
	p := &parser{tokens: tokens, depth: 1}
	err = p.catch(func() { p.call(&c) })
	if e, ok := errors.AsType[*Error](err); ok {
		e.Msg = strings.ReplaceAll(e.Msg, "the end of the file", "the end of the call")
	}
	return c, err
}

// catch turns a syntax error into an error.
func (p *parser) catch(parse func()) (err error) {
	defer func() {
		switch e := recover().(type) {
		case nil:
		case syntaxError:
			err = e.err
		default:
			panic(e)
		}
	}()
	parse()
	return nil
}

func (p *parser) call(c *Call) {
	t := p.next()
	switch t.kind {
	case word:
		nr, ok := c.Arch.Number(t.text)
		if !ok {
			if m, muxed := c.Arch.Mux(t.text); muxed {
				p.fail(t.pos, "%s has no number of its own on %s: ask about %s(%d)", t.text, c.Arch, m.Call, m.Sub)
			}
			if abi.Known(t.text) {
				p.fail(t.pos, "%s has no system call %s: try --arch, and monban syscalls %s", c.Arch, t.text, t.text)
			}
			p.fail(t.pos, "unknown system call %s%s", t.text, nearest.Hint(t.text, abi.Calls()))
		}
		c.Name, c.Data.Nr = t.text, nr
	case number:
		n, err := strconv.ParseUint(t.text, 0, 32)
		if err != nil {
			p.fail(t.pos, "%s is no call number: it must fit 32 bits", t.text)
		}
		c.Data.Nr = uint32(n)
		c.Arch, _ = abi.Of(c.Data.Arch, c.Data.Nr)
		c.Name, _ = c.Arch.Name(c.Data.Nr)
	default:
		p.fail(t.pos, "expected a system call such as socket(AF_INET, SOCK_STREAM, 0), found %s", t.describe())
	}
	if p.accept("(") {
		p.arguments(c)
	}
	if t := p.peek(); t.kind != end {
		p.fail(t.pos, "unexpected %s after the call", t.describe())
	}
}

func (p *parser) arguments(c *Call) {
	b := binder{arch: c.Arch, call: c.Name}
	args, known := c.Arch.Args(c.Name)
	given := map[int]bool{}
	named := false
	for i := 0; !p.accept(")"); i++ {
		t := p.peek()
		if i > 0 {
			p.expect(",")
			t = p.peek()
		}
		at := i
		if t.kind == word && p.tokens[p.i+1].is("=") {
			at = p.argumentNamed(c, args, t)
			named = true
			p.i += 2
			t = p.peek()
		} else if named {
			p.fail(t.pos, "an argument by position cannot stand after one by name")
		}
		if at == 6 || known && at >= len(args) {
			p.fail(t.pos, "%s takes %d arguments", c.describe(), min(at, 6))
		}
		if given[at] {
			p.fail(t.pos, "this argument is given twice")
		}
		given[at] = true
		arg := abi.Arg{Index: at, Bits: c.Arch.Bits(), High: -1}
		if known {
			arg = args[at]
		}
		p.argument(c, b, arg)
	}
}

// argumentNamed finds the position of an argument by its name.
func (p *parser) argumentNamed(c *Call, args []abi.Arg, t token) int {
	for i, a := range args {
		if a.Is(t.text) {
			return i
		}
	}
	if i, ok := position(t.text); ok {
		return i
	}
	var names []string
	for _, a := range args {
		names = append(names, a.Name)
	}
	p.fail(t.pos, "%s has no argument %s%s", c.describe(), t.text, nearest.Hint(t.text, names))
	panic("not reached")
}

// argument reads what is asked of one argument: anything, a value, or one of several.
func (p *parser) argument(c *Call, b binder, arg abi.Arg) {
	t := p.peek()
	if t.kind == word && t.text == "_" || t.is("?") {
		p.i++
		return
	}
	set := p.set()
	if len(set) == 1 && set[0].Hi == nil && !t.is("{") {
		value, err := b.value(set[0].Lo, t.pos)
		if err != nil {
			panic(syntaxError{err})
		}
		if err := c.put(arg, value); err != nil {
			p.fail(t.pos, "%v", err)
		}
		return
	}
	x := Operand{Name: arg.Name, Pos: t.pos}
	if _, taken := position(arg.Name); taken || arg.Name == "" {
		x = Operand{Arg: arg.Index, Wide: true, Pos: t.pos}
	}
	in := In{X: x}
	for _, r := range set {
		spans, err := c.span(b, arg, r, t.pos)
		if err != nil {
			panic(syntaxError{err})
		}
		in.Set = append(in.Set, spans...)
	}
	c.Among = append(c.Among, in)
	var parts []string
	for _, r := range set {
		s := printConst(r.Lo, 0)
		if r.Hi != nil {
			s += ".." + printEnd(r)
		}
		parts = append(parts, s)
	}
	c.args[arg.Index] = "{" + strings.Join(parts, ", ") + "}"
}

// span is a range as registers hold it: what a program passes in an int register, zeros above. One across 0 becomes two.
func (c *Call) span(b binder, arg abi.Arg, r Range, pos Pos) ([]Range, error) {
	width := ^uint64(0)
	if arg.High < 0 {
		width >>= 64 - min(arg.Bits, c.Arch.Bits())
	}
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
	return errorf(pos, "the range %s..%s is empty: its ends are the wrong way round", printConst(r.Lo, 0), printConst(r.Hi, 0))
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

// describe names the call, or its number where that has no name.
func (c *Call) describe() string {
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

// FormatCall writes a call with its arguments' names and constants: socket(family=AF_INET, type=SOCK_STREAM, protocol=0).
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
