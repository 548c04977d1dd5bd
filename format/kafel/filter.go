package kafel

import (
	"math"
	"slices"

	"monban/abi"
	"monban/internal/nearest"
	"monban/policy"
)

// kernelNames are the names that Kafel has from the kernel's functions rather than from its tables.
var kernelNames = map[string]string{
	"newstat": "stat", "newfstat": "fstat", "newlstat": "lstat", "newuname": "uname", "sendfile64": "sendfile", "umount": "umount2",
}

// A call is what a rule is about: a number, or a name on each architecture.
type call struct {
	at    token
	nr    uint32
	named bool
	args  []string // as the policy names them; nil where it does not
}

// on finds the call's name and number.
func (c *call) on(a abi.Arch) (name string, nr uint32, ok bool) {
	name = c.at.text
	if nr, ok = a.Number(name); !ok {
		if name, ok = kernelNames[name]; ok {
			nr, ok = a.Number(name)
		}
	}
	return name, nr, ok
}

// filter reads one call with its condition.
func (p *parser) filter(do policy.Action) (out []entry) {
	c := call{at: p.tok}
	if p.accept("SYSCALL") {
		p.expect("[")
		n, _ := p.num()
		c.nr = uint32(n) // as an int of C
		p.expect("]")
	} else {
		p.ident("a system call")
		v, ok := p.consts[c.at.text]
		c.nr, c.named = uint32(v), !ok
	}
	if p.accept("(") {
		c.args = []string{}
		for p.err == nil && !p.is(")") {
			if len(c.args) > 0 {
				p.expect(",")
			}
			t := p.ident("an argument's name")
			switch {
			case slices.Contains(c.args, t.text):
				p.fail(t, "argument %s is named twice", t.text)
			case len(c.args) == 6:
				p.fail(t, "a system call has six arguments at most")
			}
			c.args = append(c.args, t.text)
		}
		p.expect(")")
	}
	guard := p.guard(nil)
	var cond expr
	if p.accept("{") {
		if !p.is("}") {
			cond = p.list(0)
		}
		p.expect("}")
		guard = p.guard(guard)
	}
	archs := slices.DeleteFunc(slices.Clone(p.names), func(a abi.Arch) bool { return guard != nil && !slices.Contains(guard, a) })
	for _, a := range archs {
		if p.err != nil {
			return nil
		}
		if p.rules++; p.rules > maxRules {
			p.fail(c.at, "more than %d rules", maxRules)
		}
		r := policy.Rule{Action: do, Archs: []abi.Arch{a}, Pos: c.at.src.Pos(c.at.off)}
		nr, name := c.nr, ""
		if c.named {
			var ok bool
			if name, nr, ok = c.on(a); !ok {
				p.fail(c.at, "%s has no system call %s%s", a, c.at.text, nearest.Hint(c.at.text, abi.Calls()))
			}
		} else if a == abi.X86_64 {
			r.Archs = append(r.Archs, abi.X32) // a number may be one of x32's
		}
		if cond != nil {
			r.Cond = cond(&scope{p, a, name, c.args})
		}
		if _, mux := a.Mux(name); name != "" && (!mux || r.Cond != nil) {
			r.Call = name
		} else { // a name without condition would reach through a multiplexer
			is := policy.Compare{X: policy.Operand{Name: "nr"}, Op: policy.EQ, Y: policy.Num(nr)}
			if r.Cond == nil {
				r.Cond = is
			} else {
				r.Cond = policy.And{is, r.Cond}
			}
		}
		out = append(out, entry{rule: r})
	}
	return out
}

// guard reads ON arch, or ON {arch, arch}.
func (p *parser) guard(out []abi.Arch) []abi.Arch {
	if !p.accept("ON") {
		return out
	}
	one := func() {
		t := p.ident("an architecture")
		a, err := abi.ParseArch(t.text)
		if err != nil {
			p.fail(t, "%v", err)
		}
		out = append(out, a)
	}
	if !p.accept("{") {
		one()
		return out
	}
	one()
	for p.err == nil && p.accept(",") {
		one()
	}
	p.expect("}")
	return out
}

// A scope is what names stand for in a condition: one call on one architecture.
type scope struct {
	p    *parser
	arch abi.Arch
	call string
	args []string
}

// An expr makes a condition of a scope; a term makes a value of one.
type (
	expr func(*scope) policy.Expr
	term func(*scope) value
)

// A value is a word made of one argument by & and |: every bit is that of zero where the argument's is 0, and that of
// ones where it is 1. In a constant the two are alike.
type value struct {
	zero, ones uint64
	arg        int // -1: none, or given up after an error
	wide       bool
	at         token
}

func constant(v uint64, at token) value { return value{v, v, -1, v > math.MaxUint32, at} }

// argument finds an argument: of the policy's own names, which are 64 bits wide, or of the kernel's.
func (s *scope) argument(t token) value {
	if s.args != nil {
		if i := slices.Index(s.args, t.text); i >= 0 {
			return value{0, math.MaxUint64, i, true, t}
		}
		s.p.fail(t, "there is no argument %s here%s", t.text, nearest.Hint(t.text, s.args))
		return constant(0, t)
	}
	var names []string
	args, _ := s.arch.Args(s.call)
	for _, a := range args {
		if a.Is(t.text) && a.High < 0 {
			return value{0, math.MaxUint64, a.Index, a.Bits == 64, t}
		}
		names = append(names, a.Name)
	}
	s.p.fail(t, "unknown argument or constant %s%s", t.text, nearest.Hint(t.text, names))
	return constant(0, t)
}

// combine is x & y, or x | y.
func (s *scope) combine(x, y value, and bool) value {
	if x.arg < 0 {
		x, y = y, x
	}
	if x.arg >= 0 && y.arg >= 0 && x.arg != y.arg {
		s.p.fail(y.at, "two arguments in one comparison (write rules that look at one argument at a time)")
	}
	op := func(a, b uint64) uint64 { return a | b }
	clobber := uint64(math.MaxUint64)
	if and {
		op, clobber = func(a, b uint64) uint64 { return a & b }, 0
	}
	if y.arg < 0 && x.arg >= 0 { // Kafel folds these before it looks at widths
		switch y.zero {
		case clobber:
			return constant(clobber, y.at)
		case ^clobber:
			return x
		}
	}
	if x.arg < 0 {
		return constant(op(x.zero, y.zero), x.at)
	}
	return value{op(x.zero, y.zero), op(x.ones, y.ones), x.arg, x.wide || y.wide, x.at}
}

var swapped = map[policy.Op]policy.Op{
	policy.EQ: policy.EQ, policy.NE: policy.NE, policy.LT: policy.GT, policy.LE: policy.GE, policy.GT: policy.LT, policy.GE: policy.LE,
}

func (s *scope) compare(x, y value, op policy.Op) policy.Expr {
	if x.arg < 0 {
		x, y, op = y, x, swapped[op]
	}
	low := uint64(math.MaxUint64)
	if !x.wide && !y.wide {
		low = math.MaxUint32
	}
	if y.arg >= 0 {
		if x.arg != y.arg || (x.zero^y.zero|x.ones^y.ones)&low != 0 {
			s.p.fail(y.at, "a comparison of two arguments (write rules that compare with constants)")
		}
		x.zero, y.zero, x.arg, y.arg = 0, 0, -1, -1 // of an argument with itself
	}
	if x.arg < 0 {
		c := map[policy.Op]bool{
			policy.EQ: x.zero == y.zero, policy.NE: x.zero != y.zero, policy.LT: x.zero < y.zero,
			policy.LE: x.zero <= y.zero, policy.GT: x.zero > y.zero, policy.GE: x.zero >= y.zero,
		}[op]
		if c {
			return policy.And{}
		}
		return policy.Or{}
	}
	o := policy.Operand{Arg: x.arg}
	if mask := (x.zero ^ x.ones) & low; mask != math.MaxUint64 {
		o.Mask = policy.Num(mask)
	}
	if set := x.zero & x.ones & low; set != 0 {
		o.Xor = policy.Num(set)
	}
	return policy.Compare{X: o, Op: op, Y: policy.Num(y.zero & low)}
}
