package policy

import (
	"fmt"
	"slices"
	"strings"

	"monban/abi"
	"monban/bpf"
)

// String writes the action as the language does.
func (a Action) String() string {
	if a.Errno != "" {
		return "errno(" + a.Errno + ")"
	}
	return (a.Kind | bpf.Action(a.Data)).String()
}

// ActionOn is the policy language's action for a filter's answer, errno values named as on arch.
func ActionOn(arch abi.Arch, a bpf.Action) Action {
	a = a.Canonical()
	out := Action{Kind: a.Kind(), Data: a.Data()}
	if a.Kind() == bpf.Errno {
		if name, ok := arch.ErrnoName(a.Data()); ok {
			out.Errno, out.Data = name, 0
		}
	}
	return out
}

// lineWidth is how long the printer lets a line grow before it starts another.
const lineWidth = 100

// String is the policy as text that Load reads back to the same meaning.
func (p *Policy) String() string {
	var b strings.Builder
	head := func(word, rest string) { fmt.Fprintf(&b, "%-*s%s\n", keywordWidth, word, rest) }
	if !p.Kernel.IsZero() {
		head("kernel", p.Kernel.String())
	}
	var archs []string
	for _, a := range p.Archs {
		archs = append(archs, a.String())
	}
	head("arch", strings.Join(archs, " "))
	head("default", p.Default.String())
	head("unknown", p.Unknown.String())
	head("badarch", p.BadArch.String())
	if p.Compare64 {
		head("compare", "64")
	}
	if len(p.Rules) > 0 {
		b.WriteByte('\n')
	}
	for i := 0; i < len(p.Rules); {
		r := &p.Rules[i]
		start := ""
		if len(r.Archs) > 0 {
			start = "on " + strings.ReplaceAll(fmtArchs(r.Archs), ",", "") + ": "
		}
		start += r.Action.String()
		line := fmt.Sprintf("%-*s", keywordWidth-1, start)
		n := 0
		for ; i < len(p.Rules) && sameLine(&p.Rules[i], r); i++ {
			item := printItem(&p.Rules[i], p.Compare64)
			if n > 0 {
				item = strings.TrimPrefix(item, "optional ")
			}
			if n > 0 && len(line)+1+len(item) > lineWidth {
				break
			}
			line += " " + item
			n++
		}
		b.WriteString(wrapped(line) + "\n")
	}
	return b.String()
}

// wrapped breaks a long line at spaces inside its brackets, where the language allows it.
func wrapped(line string) string {
	const indent = "    "
	var b strings.Builder
	depth, start, last := 0, 0, -1 // start of the row, last space to break at
	width := lineWidth
	for i := range line {
		switch line[i] {
		case '(', '{':
			depth++
		case ')', '}':
			depth--
		case ' ':
			if depth > 0 {
				last = i
			}
		}
		if i-start >= width && last > start {
			b.WriteString(line[start:last] + "\n" + indent)
			start, last, width = last+1, -1, lineWidth-len(indent)
		}
	}
	return b.String() + line[start:]
}

// sameLine says that two rules can share a line.
func sameLine(a, b *Rule) bool {
	return a.Action == b.Action && a.Optional == b.Optional && slices.Equal(a.Archs, b.Archs) && (a.Cond == nil && b.Cond == nil || a == b)
}

func printItem(r *Rule, wide bool) string {
	s := r.Call
	if s == "" {
		s = anyCall
	}
	if r.Optional {
		s = "optional " + s
	}
	if r.Cond == nil {
		return s
	}
	return s + "(" + printExpr(r.Cond, 0, wide) + ")"
}

// Precedences of printing, as the parser binds.
const (
	precOr = iota + 1
	precAnd
	precNot
)

// PrintExpr writes a condition as the language does.
func PrintExpr(e Expr) string { return printExpr(e, 0, false) }

func printExpr(e Expr, outer int, wide bool) string {
	join := func(es []Expr, op string, prec int, empty string) string {
		switch len(es) {
		case 0:
			return empty
		case 1:
			return printExpr(es[0], outer, wide)
		}
		var parts []string
		for _, x := range es {
			parts = append(parts, printExpr(x, prec+1, wide))
		}
		s := strings.Join(parts, op)
		if outer > prec {
			return "(" + s + ")"
		}
		return s
	}
	switch e := e.(type) {
	case And:
		return join(e, " && ", precAnd, "ip >= 0") // always
	case Or:
		return join(e, " || ", precOr, "ip < 0") // never
	case Not:
		return "!(" + printExpr(e.X, 0, wide) + ")"
	case Compare:
		return printOperand(e.X, wide) + " " + opText[e.Op] + " " + printConst(e.Y, 0)
	case In:
		var parts []string
		for _, r := range e.Set {
			s := printConst(r.Lo, 0)
			if r.Hi != nil {
				s += ".." + printEnd(r)
			}
			parts = append(parts, s)
		}
		switch {
		case len(parts) == 1 && e.Set[0].Hi == nil:
			return printOperand(e.X, wide) + " == " + parts[0]
		case len(parts) == 1:
			return printOperand(e.X, wide) + " in " + parts[0]
		}
		return printOperand(e.X, wide) + " in {" + strings.Join(parts, ", ") + "}"
	}
	panic("policy: unknown expression")
}

var opText = [...]string{EQ: "==", NE: "!=", LT: "<", LE: "<=", GT: ">", GE: ">="}

func operandName(x Operand) string {
	if x.Name != "" {
		return x.Name
	}
	return fmt.Sprintf("arg%d", x.Arg)
}

func printOperand(x Operand, wide bool) string {
	s := operandName(x)
	if x.Wide && !wide && x.Name != "ip" {
		s = "u64(" + s + ")"
	}
	if x.Mask != nil {
		s += " & " + printMask(x.Mask)
	}
	if x.Xor != nil {
		s += " ^ " + printConst(x.Xor, 2)
	}
	return s
}

// printConst writes a constant expression; outer is how tightly its surroundings bind: 0 not at all, 1 |, 2 ^, 3 &, 4 unary.
func printConst(c Const, outer int) string {
	switch c := c.(type) {
	case Num:
		return printNum(uint64(c))
	case Sym:
		return c.Name
	case Unary:
		return string(c.Op) + printConst(c.X, 4)
	case Binary:
		prec := map[byte]int{'|': 1, '^': 1, '&': 3}[c.Op]
		// The right side of an operator binds one tighter: they group to the left.
		s := printConst(c.X, prec) + " " + string(c.Op) + " " + printConst(c.Y, prec+1)
		if outer > prec {
			return "(" + s + ")"
		}
		return s
	}
	panic("policy: unknown constant")
}

// printMask writes numbers as bit patterns.
func printMask(c Const) string {
	if n, ok := c.(Num); ok && n > 9 && -n > 1<<12 {
		return fmt.Sprintf("%#x", uint64(n))
	}
	return printConst(c, 3)
}

// printEnd writes the upper end of a range: a bit pattern where a small negative number would stand behind a positive one.
func printEnd(r Range) string {
	lo, ok := r.Lo.(Num)
	hi, also := r.Hi.(Num)
	if ok && also && int64(lo) >= 0 && int64(hi) < 0 {
		return fmt.Sprintf("%#x", uint64(hi))
	}
	return printConst(r.Hi, 0)
}

// printNum writes small numbers in decimal, small negative ones with their sign, and bit patterns in hexadecimal.
func printNum(v uint64) string {
	switch {
	case v < 1<<12:
		return fmt.Sprint(v)
	case -v < 1<<12:
		return fmt.Sprintf("-%d", -v)
	}
	return fmt.Sprintf("%#x", v)
}
