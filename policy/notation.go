package policy

import (
	"fmt"
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

// String is the rule as a line of the language.
func (r *Rule) String() string {
	s := r.Action.String() + " " + r.item()
	if len(r.Archs) > 0 {
		s = "on " + abi.Join(r.Archs, " ") + ": " + s
	}
	return s
}

// AnyCall is the word for a rule's call that stands for every number.
const AnyCall = "any"

// item is the rule's call with its condition.
func (r *Rule) item() string {
	s := r.Call
	if s == "" {
		s = AnyCall
	}
	if r.Optional {
		s = "optional " + s
	}
	if r.Cond != nil {
		s += "(" + r.Cond.String() + ")"
	}
	return s
}

// Precedences of printing, as the parser binds.
const (
	precOr = iota + 1
	precAnd
	precNot
)

func (e And) String() string     { return printExpr(e, 0) }
func (e Or) String() string      { return printExpr(e, 0) }
func (e Not) String() string     { return printExpr(e, 0) }
func (e Compare) String() string { return printExpr(e, 0) }
func (e In) String() string      { return printExpr(e, 0) }

func printExpr(e Expr, outer int) string {
	join := func(es []Expr, op string, prec int, empty string) string {
		switch len(es) {
		case 0:
			return empty
		case 1:
			return printExpr(es[0], outer)
		}
		var parts []string
		for _, x := range es {
			parts = append(parts, printExpr(x, prec+1))
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
		return "!(" + printExpr(e.X, 0) + ")"
	case Compare:
		return e.X.String() + " " + opText[e.Op] + " " + e.Y.String()
	case In:
		var parts []string
		for _, r := range e.Set {
			parts = append(parts, r.String())
		}
		switch {
		case len(parts) == 1 && e.Set[0].Hi == nil:
			return e.X.String() + " == " + parts[0]
		case len(parts) == 1:
			return e.X.String() + " in " + parts[0]
		}
		return e.X.String() + " in {" + strings.Join(parts, ", ") + "}"
	}
	panic("policy: unknown expression")
}

var opText = [...]string{EQ: "==", NE: "!=", LT: "<", LE: "<=", GT: ">", GE: ">="}

func (x Operand) name() string {
	if x.Name != "" {
		return x.Name
	}
	return fmt.Sprintf("arg%d", x.Arg)
}

// String writes the operand as the language does.
func (x Operand) String() string {
	s := x.name()
	if x.Wide && x.Name != "ip" {
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

// String is lo..hi, or the one value.
func (r Range) String() string {
	if r.Hi == nil {
		return r.Lo.String()
	}
	return r.Lo.String() + ".." + printEnd(r)
}

func (c Num) String() string    { return printNum(uint64(c)) }
func (c Sym) String() string    { return c.Name }
func (c Unary) String() string  { return printConst(c, 0) }
func (c Binary) String() string { return printConst(c, 0) }

// printConst writes a constant expression; outer is how tightly its surroundings bind: 0 not at all, 1 |, 2 ^, 3 &, 4
// unary.
func printConst(c Const, outer int) string {
	switch c := c.(type) {
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
	return c.String()
}

// printMask writes numbers as bit patterns.
func printMask(c Const) string {
	if n, ok := c.(Num); ok && n > 9 && -n > 1<<12 {
		return fmt.Sprintf("%#x", uint64(n))
	}
	return printConst(c, 3)
}

// printEnd writes the upper end of a range: a bit pattern where a small negative number would stand behind a positive
// one.
func printEnd(r Range) string {
	lo, ok := r.Lo.(Num)
	hi, also := r.Hi.(Num)
	if ok && also && int64(lo) >= 0 && int64(hi) < 0 {
		return fmt.Sprintf("%#x", uint64(hi))
	}
	return r.Hi.String()
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

// IsConstant tells constants from arguments: constants are in capitals.
func IsConstant(s string) bool {
	return strings.ToUpper(s) == s && strings.ContainsFunc(s, func(r rune) bool { return 'A' <= r && r <= 'Z' })
}

// Position reads arg0 to arg9. The manual page of prctl counts from 1: its arg2 is not ours.
func Position(s string) (int, bool) {
	n, ok := strings.CutPrefix(s, "arg")
	if !ok || len(n) != 1 || n[0] < '0' || n[0] > '9' {
		return 0, false
	}
	return int(n[0] - '0'), true
}
