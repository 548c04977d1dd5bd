package compile

import (
	"cmp"
	"slices"

	"monban/abi"
	"monban/bpf"
)

// The plain reading of a gate, written from docs/language.md alone: what the three judges are held against.

// answer is what the gate answers to a call.
func (g *gate) answer(d *bpf.Data) bpf.Action {
	for _, a := range g.archs {
		if a.Token() != d.Arch || a.Token() == abi.X86_64.Token() && (a == abi.X32) != (d.Nr >= abi.X32Bit) {
			continue
		}
		for i := range g.lines {
			l := &g.lines[i]
			if l.on != nil && !slices.Contains(l.on, a) {
				continue
			}
			for j := range l.items {
				if g.matches(&l.items[j], a, d) {
					return l.do.on(a)
				}
			}
		}
		if g.knows(a, d.Nr) {
			return g.def.on(a)
		}
		return g.unknown.on(a)
	}
	// Names of errors are those of the architecture that the call's token stands for, or of the first.
	for _, a := range g.archs {
		if a.Token() == d.Arch {
			return g.bad.on(a)
		}
	}
	return g.bad.on(g.archs[0])
}

func (a action) on(arch abi.Arch) bpf.Action {
	if a.errno != "" {
		n, _ := arch.Errno(a.errno)
		return a.do | bpf.Action(n)
	}
	return a.do
}

func (g *gate) knows(a abi.Arch, nr uint32) bool {
	call, ok := a.Name(nr)
	if !ok || g.kernel.IsZero() {
		return ok
	}
	since, ok := a.Since(call)
	return !ok || since.Compare(g.kernel) <= 0
}

// has says whether an architecture has the call, be it behind a multiplexer.
func has(a abi.Arch, call string) bool {
	_, direct := a.Number(call)
	_, muxed := a.Mux(call)
	return call == "any" || call[0] == '@' || direct || muxed
}

// scope is where a line's item matters.
func (g *gate) scope(l *line, call string) []abi.Arch {
	return slices.DeleteFunc(slices.Clone(g.archs), func(a abi.Arch) bool {
		return l.on != nil && !slices.Contains(l.on, a) || !has(a, call)
	})
}

func (g *gate) matches(it *item, a abi.Arch, d *bpf.Data) bool {
	if it.call == "any" {
		return it.cond == nil || g.holds(it.cond, a, it.call, d)
	}
	if it.call[0] == '@' {
		members, _ := abi.Group(it.call, g.kernel)
		return slices.ContainsFunc(members, func(call string) bool { return g.matches(&item{call: call}, a, d) })
	}
	if nr, ok := a.Number(it.call); ok && nr == d.Nr {
		return it.cond == nil || g.holds(it.cond, a, it.call, d)
	}
	// Without a condition the rule reaches through a multiplexer. ipc has a version in the upper half of its first
	// argument.
	mux, ok := a.Mux(it.call)
	if !ok || it.cond != nil {
		return false
	}
	which := uint32(d.Args[0])
	if mux.Call == "ipc" {
		which &= 0xffff
	}
	nr, ok := a.Number(mux.Call)
	return ok && nr == d.Nr && which == mux.Sub
}

func (g *gate) holds(c *cond, a abi.Arch, call string, d *bpf.Data) bool {
	switch c.op {
	case "!":
		return !g.holds(&c.subs[0], a, call, d)
	case "&&":
		for i := range c.subs {
			if !g.holds(&c.subs[i], a, call, d) {
				return false
			}
		}
		return true
	case "||":
		for i := range c.subs {
			if g.holds(&c.subs[i], a, call, d) {
				return true
			}
		}
		return false
	}
	f, _ := g.field(a, call, c.x)
	v := c.x.compute(f.of(d), a, f.bits)
	for _, i := range c.set {
		lo, _ := i.lo.on(a)
		hi, _ := i.hi.on(a)
		below, above := f.compare(v, lo), f.compare(v, hi)
		var yes bool
		switch c.op {
		case "==":
			yes = below == 0
		case "!=":
			yes = below != 0
		case "<":
			yes = below < 0
		case "<=":
			yes = below <= 0
		case ">":
			yes = below > 0
		case ">=":
			yes = below >= 0
		case "in":
			yes = below >= 0 && above <= 0
		}
		if yes {
			return true
		}
	}
	return false
}

// Registers of struct seccomp_data beyond the arguments' 0 to 5.
const (
	regIP     = 6
	regNr     = 7
	registers = 8
)

// A field is where an operand lies on one architecture: its registers, width and sign.
type field struct {
	lo, hi int // hi is -1 but for 64-bit values in two registers
	bits   int
	signed bool
	halved bool // registers have 32 bits
}

// field finds an operand; ok is false where the call has no such argument.
func (g *gate) field(a abi.Arch, call string, x operand) (f field, ok bool) {
	switch {
	case x.name == "ip":
		return field{lo: regIP, hi: -1, bits: 64}, true
	case x.name == "nr" && call == "any":
		return field{lo: regNr, hi: -1, bits: 32}, true
	}
	args, _ := a.Args(call)
	f = field{lo: -1, hi: -1, bits: a.Bits(), halved: a.Bits() == 32}
	if len(x.name) == 4 && x.name[:3] == "arg" && x.name[3] <= '5' {
		f.lo = int(x.name[3] - '0')
	}
	for _, arg := range args {
		switch {
		case f.lo == arg.Index && arg.High < 0: // by position
			f.bits, f.signed = arg.Bits, arg.Signed
		case f.lo < 0 && arg.Is(x.name):
			f.lo, f.hi, f.bits, f.signed = arg.Index, arg.High, arg.Bits, arg.Signed
		}
	}
	if x.wide || g.wide {
		f.hi, f.bits, f.signed = -1, 64, false
	}
	return f, f.lo >= 0
}

func (f field) of(d *bpf.Data) uint64 {
	switch f.lo {
	case regIP:
		return d.IP
	case regNr:
		return uint64(d.Nr)
	}
	v := d.Args[f.lo]
	if f.halved {
		v &= 0xffffffff
	}
	if f.hi >= 0 {
		v |= d.Args[f.hi] << 32
	}
	return v
}

// compute applies the bit operations one by one, at the operand's width.
func (x operand) compute(v uint64, a abi.Arch, bits int) uint64 {
	for _, b := range x.bits {
		k, _ := b.k.on(a)
		switch b.op {
		case '&':
			v &= k
		case '|':
			v |= k
		case '^':
			v ^= k
		case '~':
			v = ^v
		}
		v &= ^uint64(0) >> (64 - bits)
	}
	return v & (^uint64(0) >> (64 - bits))
}

// compare compares as the argument's type does: at its width, signed where it is.
func (f field) compare(x, y uint64) int {
	shift := 64 - f.bits
	if f.signed {
		return cmp.Compare(int64(x<<shift)>>shift, int64(y<<shift)>>shift)
	}
	return cmp.Compare(x<<shift>>shift, y<<shift>>shift)
}

// ascending says whether a..b is a range, not an empty one, everywhere.
func (g *gate) ascending(call string, scope []abi.Arch, x operand, a, b constant) bool {
	return !slices.ContainsFunc(scope, func(arch abi.Arch) bool {
		f, _ := g.field(arch, call, x)
		lo, _ := a.on(arch)
		hi, _ := b.on(arch)
		return f.compare(lo, hi) > 0
	})
}

// on is the constant's value.
func (c constant) on(a abi.Arch) (v uint64, known bool) {
	if c.name == "" {
		return c.n, true
	}
	return a.Constant(c.name)
}
