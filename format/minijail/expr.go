package minijail

import (
	"errors"
	"strconv"
	"strings"

	"monban/policy"
)

// argument is the position that argN names, or -1.
func argument(s string) int {
	n, ok := strings.CutPrefix(s, "arg")
	if !ok || n == "" || run(n, isDigit) != len(n) {
		return -1
	}
	i, err := strconv.Atoi(n)
	if err != nil {
		return 6
	}
	return i
}

// expression reads CLAUSE || CLAUSE, clauses being ATOM && ATOM.
func (p *parser) expression() (policy.Expr, error) {
	var or policy.Or
	for {
		var and policy.And
		for {
			atom, err := p.atom()
			if err != nil {
				return nil, err
			}
			if and = append(and, atom); !p.take("&&") {
				break
			}
		}
		if or = append(or, and); !p.take("||") {
			return or, nil
		}
	}
}

var relations = map[string]policy.Op{
	"==": policy.EQ, "!=": policy.NE, "<": policy.LT, "<=": policy.LE, ">": policy.GT, ">=": policy.GE,
}

// atom reads argN OP VALUE. On 32 bits minijail looks at the low half of the register only.
func (p *parser) atom() (policy.Expr, error) {
	arg := p.next()
	n := argument(arg.text)
	if arg.kind != word || n < 0 || n > 5 {
		return nil, errorf(arg.pos, "expected arg0 to arg5, not %s", arg)
	}
	op := p.next()
	all := p.all()
	x := policy.Operand{Arg: n, Wide: true, Pos: arg.pos}
	if all != ^uint64(0) {
		x.Mask = policy.Num(all)
	}
	relation, ordered := relations[op.text]
	switch {
	case op.kind == symbol && (ordered || op.text == "&"), op.kind == word && op.text == "in":
	default:
		return nil, errorf(op.pos, "expected an operator (== != < <= > >= & in), not %s", op)
	}
	v, err := p.value()
	switch {
	case err != nil:
		return nil, err
	case op.text == "&": // any of these bits
		x.Mask = policy.Num(v)
		return policy.Compare{X: x, Op: policy.NE, Y: policy.Num(0)}, nil
	case op.text == "in": // no other bits
		x.Mask = policy.Num(all &^ v)
		return policy.Compare{X: x, Op: policy.EQ, Y: policy.Num(0)}, nil
	}
	return policy.Compare{X: x, Op: relation, Y: policy.Num(v)}, nil
}

// all is a word of the architecture with every bit set.
func (p *parser) all() uint64 { return ^uint64(0) >> (64 - p.arch.Bits()) }

// value reads constants joined by |.
func (p *parser) value() (v uint64, err error) {
	for {
		c, err := p.constant()
		if err != nil {
			return 0, err
		}
		if v |= c; !p.take("|") {
			return v, nil
		}
	}
}

func (p *parser) constant() (uint64, error) {
	if p.take("~") {
		if t := p.peek(); t.kind == symbol && t.text == "~" {
			return 0, errorf(t.pos, "~~ is not allowed (remove both)")
		}
		v, err := p.constant()
		return ^v & p.all(), err
	}
	t := p.next()
	switch {
	case t.kind == symbol && t.text == "(":
		if p.nested++; p.nested > maxNested {
			return 0, errorf(t.pos, "more than %d parentheses", maxNested)
		}
		v, err := p.value()
		if err != nil {
			return 0, err
		}
		return v, p.want(")")
	case t.kind == number:
		return p.number(t)
	case t.kind == word:
		v, err := p.constants.value(p.arch, t)
		return v & p.all(), err
	}
	return 0, errorf(t.pos, "expected a constant or a number, not %s", t)
}

// number reads a number as C's strtol does; negative ones are in two's complement.
func (p *parser) number(t token) (uint64, error) {
	digits, negative := strings.CutPrefix(t.text, "-")
	if strings.ContainsAny(digits, "_oObB") && !strings.HasPrefix(strings.ToLower(digits), "0x") || strings.Contains(digits, "_") {
		return 0, errorf(t.pos, "%s is not a number: write it decimal, 0x… or octal 0…", t)
	}
	v, err := strconv.ParseUint(digits, 0, 64)
	limit := p.all()
	if negative {
		limit = limit/2 + 1
	}
	switch {
	case err != nil && !errors.Is(err, strconv.ErrRange):
		return 0, errorf(t.pos, "%s is not a number: write it decimal, 0x… or octal 0…", t)
	case err != nil || v > limit:
		return 0, errorf(t.pos, "%s does not fit the %d bits of an argument on %s", t.text, p.arch.Bits(), p.arch)
	case negative:
		return -v & p.all(), nil
	}
	return v, nil
}
