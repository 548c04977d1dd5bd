package compile

import (
	"fmt"
	"strconv"
	"strings"

	"monban/abi"
	"monban/bpf"
)

// A gate is a random policy as a tree. Its text is all that the compiler sees of it; the tree answers calls by itself
// (see answer), so that no mistake of parsing, binding or diagrams can hide in what is expected.
type gate struct {
	archs             []abi.Arch
	kernel            abi.Version // zero: no header
	wide              bool        // compare 64
	def, unknown, bad action
	lines             []line
}

type action struct {
	text  string // "" where a header is left out
	do    bpf.Action
	errno string // a name, in place of the data
}

type line struct {
	on    []abi.Arch // nil: everywhere
	do    action
	items []item
}

type item struct {
	call     string // "any", a group or a system call
	optional bool
	cond     *cond // nil: always
}

// A cond is a comparison, or "&&", "||" or "!" over others.
type cond struct {
	op       string
	subs     []cond
	x        operand
	set      []interval // one for all but "in"
	mirrored bool       // the constant stands on the left
}

type operand struct {
	name string // of an argument, or arg0 to arg5, ip, nr
	wide bool   // u64()
	bits []bitop
}

// A bitop is ~, or & | ^ with a constant.
type bitop struct {
	op byte
	k  constant
}

type interval struct{ lo, hi constant }

type constant struct {
	name string // "" for a number
	n    uint64
}

// String is the gate in the policy language.
func (g *gate) String() string {
	var b strings.Builder
	if !g.kernel.IsZero() {
		fmt.Fprintf(&b, "kernel %s\n", g.kernel)
	}
	fmt.Fprintf(&b, "arch %s\n", names(g.archs))
	for _, h := range []struct {
		word string
		is   action
	}{{"default", g.def}, {"unknown", g.unknown}, {"badarch", g.bad}} {
		if h.is.text != "" {
			fmt.Fprintf(&b, "%s %s\n", h.word, h.is.text)
		}
	}
	if g.wide {
		b.WriteString("compare 64\n")
	}
	for _, l := range g.lines {
		if l.on != nil {
			fmt.Fprintf(&b, "on %s: ", names(l.on))
		}
		b.WriteString(l.do.text)
		for i, it := range l.items {
			if it.optional && (i == 0 || !l.items[i-1].optional) {
				b.WriteString(" optional")
			}
			b.WriteString(" " + it.call)
			if it.cond != nil {
				fmt.Fprintf(&b, "(%s)", it.cond)
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

func names(archs []abi.Arch) string {
	var s []string
	for _, a := range archs {
		s = append(s, a.String())
	}
	return strings.Join(s, " ")
}

func (c *cond) String() string {
	switch c.op {
	case "!":
		if sub := &c.subs[0]; len(sub.subs) == 0 {
			return "!" + sub.String() // binds weaker than comparisons
		}
		return "!(" + c.subs[0].String() + ")"
	case "&&", "||":
		var s []string
		for i := range c.subs {
			if sub := &c.subs[i]; len(sub.subs) == 0 || c.op == "||" && sub.op == "&&" {
				s = append(s, sub.String())
			} else {
				s = append(s, "("+sub.String()+")")
			}
		}
		return strings.Join(s, " "+c.op+" ")
	case "in":
		var s []string
		for _, i := range c.set {
			if s = append(s, i.lo.String()); i.lo != i.hi {
				s[len(s)-1] += ".." + i.hi.String()
			}
		}
		return c.x.String() + " in {" + strings.Join(s, ", ") + "}"
	}
	if c.mirrored {
		return c.set[0].lo.String() + " " + strings.NewReplacer("<", ">", ">", "<").Replace(c.op) + " " + c.x.String()
	}
	return c.x.String() + " " + c.op + " " + c.set[0].lo.String()
}

func (x operand) String() string {
	s := x.name
	if x.wide {
		s = "u64(" + s + ")"
	}
	for i, b := range x.bits {
		if i > 0 {
			s = "(" + s + ")"
		}
		if b.op == '~' {
			s = "~" + s
		} else {
			s = fmt.Sprintf("%s %c %s", s, b.op, b.k)
		}
	}
	return s
}

func (c constant) String() string {
	switch n := int64(c.n); {
	case c.name != "":
		return c.name
	case n < 0 && n > -1<<16:
		return strconv.FormatInt(n, 10)
	case c.n < 1<<16:
		return strconv.FormatUint(c.n, 10)
	}
	return fmt.Sprintf("%#x", c.n)
}
