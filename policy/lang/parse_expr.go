package lang

import (
	"strconv"

	"monban/policy"
)

// maxDepth bounds how deep conditions nest.
const maxDepth = 200

// condition parses ||, which binds weakest, then && and !, as in Go.
func (p *parser) condition() policy.Expr {
	p.nest(p.peek())
	defer func() { p.depth-- }()
	or := policy.Or{p.conjunction()}
	for p.accept("||") {
		or = append(or, p.conjunction())
	}
	if len(or) == 1 {
		return or[0]
	}
	return or
}

func (p *parser) nest(t token) {
	p.depth++
	if p.depth > maxDepth {
		p.fail(t, "conditions nest more than %d deep", maxDepth)
	}
}

func (p *parser) conjunction() policy.Expr {
	and := policy.And{p.negation()}
	for p.accept("&&") {
		and = append(and, p.negation())
	}
	if len(and) == 1 {
		return and[0]
	}
	return and
}

func (p *parser) negation() policy.Expr {
	t := p.peek()
	switch {
	case t.is("!"):
		p.nest(t)
		defer func() { p.depth-- }()
		p.i++
		return policy.Not{X: p.negation()}
	case t.is("(") && p.conditionInside():
		p.i++
		e := p.condition()
		p.expect(")")
		return e
	}
	return p.comparison()
}

// conditionInside tells a condition in parentheses from a value in parentheses: only the first has a relation inside.
func (p *parser) conditionInside() bool {
	level := 0
	for _, t := range p.tokens[p.i:] {
		switch {
		case t.is("(") || t.is("{"):
			level++
		case t.is(")") || t.is("}"):
			if level--; level == 0 {
				return false
			}
		case t.kind == end:
			return false
		case t.is("==") || t.is("!=") || t.is("<") || t.is("<=") || t.is(">") || t.is(">=") || t.is("!") || t.is("&&") || t.is("||"),
			t.kind == word && t.text == "in":
			return true
		}
	}
	return false
}

var relations = map[string]policy.Op{"==": policy.EQ, "!=": policy.NE, "<": policy.LT, "<=": policy.LE, ">": policy.GT, ">=": policy.GE}

// mirrored is the relation with its sides exchanged.
var mirrored = map[policy.Op]policy.Op{policy.EQ: policy.EQ, policy.NE: policy.NE, policy.LT: policy.GT, policy.LE: policy.GE, policy.GT: policy.LT, policy.GE: policy.LE}

func (p *parser) comparison() policy.Expr {
	left := p.value()
	t := p.peek()
	if t.kind == word && t.text == "in" {
		p.i++
		x := p.operandOf(left, t)
		return policy.In{X: x, Set: p.set()}
	}
	op, ok := relations[t.text]
	if t.kind != symbol || !ok {
		hint := ""
		if left.operand != nil {
			hint = " (a value alone is not a condition: write != 0 after it)"
		}
		p.fail(t, "expected a comparison (== != < <= > >= in), found %s%s", t.describe(), hint)
	}
	p.i++
	right := p.value()
	if again := p.peek(); again.kind == symbol {
		if _, ok := relations[again.text]; ok {
			p.fail(again, "comparisons do not chain: join them with &&")
		}
	}
	switch {
	case left.operand != nil && right.operand != nil:
		p.fail(t, "a filter can compare an argument with constants only, not with another argument")
	case left.operand == nil && right.operand == nil:
		p.fail(t, "this compares two constants: one side must be an argument")
	case left.operand != nil:
		return policy.Compare{X: *left.operand, Op: op, Y: right.constant}
	}
	return policy.Compare{X: *right.operand, Op: mirrored[op], Y: left.constant}
}

func (p *parser) operandOf(v value, in token) policy.Operand {
	if v.operand == nil {
		p.fail(in, "the left side of in must be an argument")
	}
	return *v.operand
}

func (p *parser) set() []policy.Range {
	if !p.peek().is("{") {
		return []policy.Range{p.span()}
	}
	p.i++
	p.depth++
	defer func() { p.depth-- }()
	var set []policy.Range
	for !p.peek().is("}") {
		set = append(set, p.span())
		if !p.accept(",") {
			break
		}
	}
	p.expect("}")
	if len(set) == 0 {
		p.fail(p.tokens[p.i-1], "an empty set: nothing is in it")
	}
	return set
}

func (p *parser) span() policy.Range {
	r := policy.Range{Lo: p.constant()}
	if p.accept("..") {
		r.Hi = p.constant()
	}
	return r
}

func (p *parser) constant() policy.Const {
	t := p.peek()
	v := p.value()
	if v.operand != nil {
		p.fail(t, "%s is not a constant", t.describe())
	}
	return v.constant
}

// A value is an operand or a constant, whichever is not nil.
type value struct {
	operand  *policy.Operand
	constant policy.Const
}

// value parses | and ^, then &, then ~ and -, binding as in Go.
func (p *parser) value() value {
	v := p.product()
	for t := p.peek(); t.is("|") || t.is("^"); t = p.peek() {
		p.count(t)
		p.i++
		v = p.combine(t, v, p.product())
	}
	return v
}

func (p *parser) product() value {
	v := p.unary()
	for t := p.peek(); t.is("&"); t = p.peek() {
		p.count(t)
		p.i++
		v = p.combine(t, v, p.unary())
	}
	return v
}

// maxOperators bounds the bit operations of one line, since each makes an expression deeper.
const maxOperators = 1000

func (p *parser) count(t token) {
	if p.operators++; p.operators > maxOperators {
		p.fail(t, "more than %d bit operations on one line", maxOperators)
	}
}

// combine applies a bit operation. On an argument it must come out as (argument & mask) ^ constant.
func (p *parser) combine(op token, a, b value) value {
	switch {
	case a.operand != nil && b.operand != nil:
		p.fail(op, "%s between two arguments: a filter can combine an argument with constants only", op.text)
	case a.operand == nil && b.operand == nil:
		return value{constant: policy.Binary{Op: op.text[0], X: a.constant, Y: b.constant}}
	case a.operand == nil:
		a, b = b, a
	}
	x := *a.operand
	switch op.text {
	case "&":
		x.Mask = both('&', x.Mask, b.constant)
		if x.Xor != nil {
			x.Xor = policy.Binary{Op: '&', X: x.Xor, Y: b.constant}
		}
	case "^":
		x.Xor = both('^', x.Xor, b.constant)
	case "|":
		// (x & m ^ c) | k: the bits of k are 1 whatever x is.
		x.Mask = both('&', x.Mask, policy.Unary{Op: '~', X: b.constant})
		if x.Xor == nil {
			x.Xor = b.constant
		} else {
			x.Xor = policy.Binary{Op: '|', X: x.Xor, Y: b.constant}
		}
	}
	return value{operand: &x}
}

func both(op byte, a, b policy.Const) policy.Const {
	if a == nil {
		return b
	}
	return policy.Binary{Op: op, X: a, Y: b}
}

func (p *parser) unary() value {
	t := p.peek()
	switch {
	case t.is("~") || t.is("-"):
		p.nest(t)
		defer func() { p.depth-- }()
		p.i++
		v := p.unary()
		if v.operand == nil {
			if n, ok := v.constant.(policy.Num); ok && t.is("-") {
				return value{constant: -n}
			}
			return value{constant: policy.Unary{Op: t.text[0], X: v.constant}}
		}
		if t.is("-") {
			p.fail(t, "a filter cannot negate an argument: compare it with a negative constant instead")
		}
		x := *v.operand
		x.Xor = both('^', x.Xor, policy.Unary{Op: '~', X: policy.Num(0)})
		return value{operand: &x}
	case t.is("("):
		p.nest(t)
		defer func() { p.depth-- }()
		p.i++
		v := p.value()
		p.expect(")")
		return v
	case t.kind == number:
		p.i++
		n, err := strconv.ParseUint(t.text, 0, 64)
		if err != nil {
			p.fail(t, "%s is not a number that fits 64 bits", t.text)
		}
		return value{constant: policy.Num(n)}
	case t.kind == word && t.text != "in":
		p.i++
		if t.text == "u64" && p.peek().is("(") {
			return p.wide()
		}
		if policy.IsConstant(t.text) {
			return value{constant: policy.Sym{Name: t.text, Pos: t.pos}}
		}
		return value{operand: operandNamed(t)}
	}
	p.fail(t, "expected an argument or a constant, found %s", t.describe())
	return value{}
}

func (p *parser) wide() value {
	open := p.next()
	v := p.value()
	p.expect(")")
	if v.operand == nil {
		p.fail(open, "u64() takes an argument")
	}
	v.operand.Wide = true
	return v
}

// operandNamed is the argument that a word names: argN is a position.
func operandNamed(t token) *policy.Operand {
	if n, ok := policy.Position(t.text); ok {
		return &policy.Operand{Arg: n, Pos: t.pos}
	}
	return &policy.Operand{Name: t.text, Pos: t.pos}
}
