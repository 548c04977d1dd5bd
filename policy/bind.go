package policy

import (
	"cmp"
	"slices"
	"strings"

	"monban/abi"
	"monban/bpf"
	"monban/internal/nearest"
	"monban/verdict"
)

// A bound is a condition with every name replaced by its value on one architecture.
type bound struct {
	kind   boundKind
	subs   []bound
	field  verdict.Field
	word   func(*bpf.Data) uint64 // the field before masking, for holds
	signed bool
	op     verdict.Op
	c      uint64
	set    [][2]uint64
}

type boundKind uint8

const (
	boundAnd boundKind = iota
	boundOr
	boundNot
	boundCompare
	boundIn
)

// A binder resolves the names of one call's conditions on one architecture.
type binder struct {
	arch abi.Arch
	call string // "" for any
	wide bool   // every comparison looks at the whole register
}

func (b *binder) bind(e Expr) (bound, error) {
	switch e := e.(type) {
	case And:
		return b.all(boundAnd, e)
	case Or:
		return b.all(boundOr, e)
	case Not:
		return b.all(boundNot, []Expr{e.X})
	case Compare:
		r, err := b.field(e.X)
		if err != nil {
			return bound{}, err
		}
		r.kind, r.op = boundCompare, verdict.Op(e.Op)
		r.c, err = b.fit(e.Y, r, e.X, e.Op != EQ && e.Op != NE)
		return r, err
	case In:
		r, err := b.field(e.X)
		if err != nil {
			return bound{}, err
		}
		r.kind = boundIn
		for _, s := range e.Set {
			lo, err := b.fit(s.Lo, r, e.X, s.Hi != nil)
			if err != nil {
				return bound{}, err
			}
			hi := lo
			if s.Hi != nil {
				if hi, err = b.fit(s.Hi, r, e.X, true); err != nil {
					return bound{}, err
				}
			}
			if r.order(hi) < r.order(lo) {
				return bound{}, errorf(e.X.Pos, "the range %s..%s is empty: its ends are the wrong way round", s.Lo, s.Hi)
			}
			r.set = append(r.set, [2]uint64{lo, hi})
		}
		return r, nil
	}
	panic("policy: unknown expression")
}

func (b *binder) all(k boundKind, es []Expr) (bound, error) {
	r := bound{kind: k, subs: make([]bound, len(es))}
	for i, e := range es {
		var err error
		if r.subs[i], err = b.bind(e); err != nil {
			return bound{}, err
		}
	}
	return r, nil
}

// field finds the words that an operand stands for.
func (b *binder) field(x Operand) (bound, error) {
	r := bound{field: verdict.Field{Bits: 64, Mask: ^uint64(0)}}
	f := &r.field
	switch {
	case x.Name == "nr" && b.call == "": // io_submit and others have an argument of that name
		*f = verdict.Single(verdict.Nr)
		r.word = func(d *bpf.Data) uint64 { return uint64(d.Nr) }
	case x.Name == "ip":
		f.Hi, f.Lo = verdict.IPHi, verdict.IPLo
		r.word = func(d *bpf.Data) uint64 { return d.IP }
	default:
		arg, err := b.argument(x)
		if err != nil {
			return bound{}, err
		}
		i := arg.Index
		f.Hi, f.Lo = verdict.ArgHi(i), verdict.ArgLo(i)
		r.word = func(d *bpf.Data) uint64 { return d.Args[i] }
		switch {
		case x.Wide || b.wide:
			if b.arch.Bits() == 32 {
				f.Mask = 0xffffffff // registers have no high half there
			}
		case arg.High >= 0:
			h := arg.High
			f.Hi = verdict.ArgLo(h)
			r.word = func(d *bpf.Data) uint64 { return d.Args[h]<<32 | d.Args[i]&0xffffffff }
			r.signed = arg.Signed
		default:
			f.Bits, r.signed = arg.Bits, arg.Signed
			f.Mask = ^uint64(0) >> (64 - f.Bits)
		}
	}
	for _, m := range []struct {
		c   Const
		put func(uint64)
	}{{x.Mask, func(v uint64) { f.Mask &= v }}, {x.Xor, func(v uint64) { f.Xor = v & (^uint64(0) >> (64 - f.Bits)) }}} {
		if m.c == nil {
			continue
		}
		v, err := b.value(m.c, x.Pos)
		if err != nil {
			return bound{}, err
		}
		// All ones above the width come from ~ and -, anything else was meant for bits that are not there.
		if top := v >> f.Bits; f.Bits < 64 && top != 0 && top != ^uint64(0)>>f.Bits {
			return bound{}, b.tooWide(m.c, x, f.Bits)
		}
		m.put(v)
	}
	return r, nil
}

// argument finds an argument by name or position.
func (b *binder) argument(x Operand) (abi.Arg, error) {
	args, known := b.arch.Args(b.call)
	if x.Name == "" {
		if x.Arg > 5 {
			return abi.Arg{}, errorf(x.Pos, "arg%d: a system call has arguments arg0 to arg5", x.Arg)
		}
		for _, a := range args {
			if a.Index == x.Arg && a.High < 0 {
				return a, nil
			}
		}
		return abi.Arg{Index: x.Arg, Bits: b.arch.Bits(), High: -1}, nil
	}
	if b.call == "" {
		return abi.Arg{}, errorf(x.Pos, "any() has no argument %s: write arg0 to arg5, nr or ip", x.Name)
	}
	var names []string
	for _, a := range args {
		if a.Name == x.Name || slices.Contains(a.Aliases, x.Name) {
			return a, nil
		}
		names = append(names, a.Name)
	}
	if !known {
		return abi.Arg{}, errorf(x.Pos, "the arguments of %s have no known names on %s: write arg0 to arg5", b.call, b.arch)
	}
	near, has := nearest.Word(x.Name, names), ""
	if near == "" && len(names) > 0 {
		has = " (it has " + strings.Join(names, ", ") + ")"
	}
	return abi.Arg{}, &Error{Pos: x.Pos, Msg: b.call + " has no argument " + x.Name + has, Near: near}
}

// fit is a constant's value at the field's width; one that cannot be equal to any value of the field is an error, and
// so is an unsigned reading of a negative number where order counts.
func (b *binder) fit(c Const, r bound, x Operand, ordered bool) (uint64, error) {
	v, err := b.value(c, x.Pos)
	if err != nil {
		return 0, err
	}
	width := r.field.Bits
	if width == 64 {
		return v, nil
	}
	top, sign := v>>width, v>>(width-1)&1 == 1
	if top != 0 && !(top == ^uint64(0)>>width && sign) {
		return 0, b.tooWide(c, x, width)
	}
	if ordered && r.signed && top == 0 && sign {
		return 0, errorf(x.Pos, "%s is not a signed %d-bit number, and %s is one in %s: write %d, or u64(%s) to compare unsigned",
			c, width, x.name(), b.callName(), int64(v|^uint64(0)<<width), x.name())
	}
	return v & (1<<width - 1), nil
}

func (b *binder) tooWide(c Const, x Operand, width int) error {
	return errorf(x.Pos, "%s does not fit: %s is %d bits wide in %s (u64(%s) looks at the whole register)",
		c, x.name(), width, b.callName(), x.name())
}

func (b *binder) callName() string {
	if b.call == "" {
		return "any call"
	}
	return b.call
}

// value computes a constant expression.
func (b *binder) value(c Const, pos Pos) (uint64, error) {
	switch c := c.(type) {
	case Num:
		return uint64(c), nil
	case Sym:
		v, ok := b.arch.Constant(c.Name)
		if ok {
			return v, nil
		}
		if e, ok := b.arch.Errno(c.Name); ok {
			return uint64(e), nil
		}
		for _, a := range abi.Archs() {
			if _, ok := a.Constant(c.Name); ok {
				return 0, errorf(c.Pos, "the value of %s is not known on %s: write the number, or limit the line with on %s: …", c.Name, b.arch, a)
			}
		}
		end := c.Pos
		end.Col += len(c.Name)
		return 0, &Error{Pos: c.Pos, End: end, Msg: "unknown constant " + c.Name, Near: nearest.Word(c.Name, slices.Collect(abi.Constants()))}
	case Unary:
		v, err := b.value(c.X, pos)
		if c.Op == '-' {
			return -v, err
		}
		return ^v, err
	case Binary:
		v, err := b.value(c.X, pos)
		if err != nil {
			return 0, err
		}
		w, err := b.value(c.Y, pos)
		switch c.Op {
		case '&':
			v &= w
		case '|':
			v |= w
		case '^':
			v ^= w
		}
		return v, err
	}
	panic("policy: unknown constant")
}

// order maps a field's value to a number that sorts as the field compares.
func (r *bound) order(v uint64) uint64 {
	if r.signed {
		return v ^ 1<<(r.field.Bits-1)
	}
	return v
}

// holds decides the condition for one call, without diagrams: the second judge of what a policy means.
func (r *bound) holds(d *bpf.Data) bool {
	if r == nil {
		return true
	}
	switch r.kind {
	case boundAnd:
		return !slices.ContainsFunc(r.subs, func(s bound) bool { return !s.holds(d) })
	case boundOr:
		return slices.ContainsFunc(r.subs, func(s bound) bool { return s.holds(d) })
	case boundNot:
		return !r.subs[0].holds(d)
	}
	v := r.order(r.word(d)&r.field.Mask ^ r.field.Xor)
	if r.kind == boundIn {
		return slices.ContainsFunc(r.set, func(s [2]uint64) bool { return r.order(s[0]) <= v && v <= r.order(s[1]) })
	}
	c := r.order(r.c)
	switch r.op {
	case verdict.EQ:
		return v == c
	case verdict.NE:
		return v != c
	case verdict.LT:
		return v < c
	case verdict.LE:
		return v <= c
	case verdict.GT:
		return v > c
	default:
		return v >= c
	}
}

// node is the condition as a diagram.
func (r *bound) node(s *verdict.Space) verdict.Node {
	if r == nil {
		return verdict.True
	}
	switch r.kind {
	case boundAnd:
		n := verdict.True
		for i := range slices.Backward(r.subs) {
			n = s.And(r.subs[i].node(s), n)
		}
		return n
	case boundOr:
		n := verdict.False
		for i := range slices.Backward(r.subs) {
			n = s.Or(r.subs[i].node(s), n)
		}
		return n
	case boundNot:
		return s.Not(r.subs[0].node(s))
	case boundCompare:
		return s.Compare(r.field, r.op, r.signed, r.c)
	}
	return s.In(r.field, r.unsigned())
}

// unsigned lists the set as disjoint ascending ranges of unsigned numbers; a signed range across zero is two of them.
func (r *bound) unsigned() [][2]uint64 {
	top := ^uint64(0) >> (64 - r.field.Bits)
	var all [][2]uint64
	for _, e := range r.set {
		if e[0] > e[1] { // from negative to positive
			all = append(all, [2]uint64{0, e[1]}, [2]uint64{e[0], top})
			continue
		}
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b [2]uint64) int { return cmp.Compare(a[0], b[0]) })
	out := all[:0]
	for _, e := range all {
		if n := len(out); n > 0 && e[0] <= out[n-1][1] {
			out[n-1][1] = max(out[n-1][1], e[1])
			continue
		}
		out = append(out, e)
	}
	return out
}
