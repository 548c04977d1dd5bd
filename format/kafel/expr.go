package kafel

import (
	"slices"

	"monban/format/codec"
	"monban/policy"
)

// chain reads parts with an operator between them.
func (p *parser) chain(op string, part func() expr, join func([]policy.Expr) policy.Expr) expr {
	parts := []expr{part()}
	for p.err == nil && p.accept(op) {
		parts = append(parts, part())
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return func(s *scope) policy.Expr {
		var all []policy.Expr
		for _, e := range parts {
			all = append(all, e(s))
		}
		return join(all)
	}
}

func anyOf(es []policy.Expr) policy.Expr { return policy.Or(es) }
func allOf(es []policy.Expr) policy.Expr { return policy.And(es) }

// list reads alternatives with commas between them, which bind the least.
func (p *parser) list(depth int) expr {
	return p.chain(",", func() expr {
		return p.chain("||", func() expr {
			return p.chain("&&", func() expr { return p.primary(depth) }, allOf)
		}, anyOf)
	}, anyOf)
}

var relations = map[string]policy.Op{
	"==": policy.EQ, "!=": policy.NE, "<": policy.LT, "<=": policy.LE, ">": policy.GT, ">=": policy.GE,
}

// deep refuses what is nested too deep.
func (p *parser) deep(depth int) bool {
	if depth > maxDepth {
		p.fail(p.tok, "more than %d parentheses or operators in one another", maxDepth)
	}
	return p.err != nil
}

func never(*scope) policy.Expr { return policy.Or{} }

func (p *parser) primary(depth int) expr {
	if p.deep(depth) {
		return never
	}
	if p.accept("!") {
		e := p.primary(depth + 1)
		return func(s *scope) policy.Expr { return policy.Not{X: e(s)} }
	}
	if p.is("(") && p.condition() {
		p.next()
		e := p.list(depth + 1)
		p.expect(")")
		return e
	}
	x := p.or(depth + 1)
	op, ok := relations[p.tok.text]
	if !ok || p.tok.kind != punct {
		p.fail(p.tok, "expected a comparison such as ==, not %s", p.tok)
	}
	p.next()
	y := p.or(depth + 1)
	return func(s *scope) policy.Expr { return s.compare(x(s), y(s), op) }
}

// A lookahead is what a look at a part of a file told: which parentheses in it hold a comparison. What those inside of
// them hold is known with it, so that no part is looked at twice.
type lookahead struct {
	from, to int   // the part, as places in the file
	holding  []int // where the parentheses begin whose content does; at most maxDepth+1 of them
}

// condition tells, at a parenthesis, whether what it holds is a condition: whether a comparison stands in it. A value
// has none.
func (p *parser) condition() bool {
	f := &p.files[len(p.files)-1]
	if f.off < f.ahead.from || f.off >= f.ahead.to {
		f.ahead = look(f.src, f.off)
	}
	return slices.Contains(f.ahead.holding, f.off)
}

// look looks ahead from behind a parenthesis, as far as the first comparison, the end of the parenthesis, or one nested
// so deep that it will be refused.
func look(src *codec.Source, from int) lookahead {
	open := []int{from}
	to := from
	for len(open) > 0 {
		t, next := lex(src, to)
		if t.kind == end || t.kind == broken {
			return lookahead{from, next + 1, nil}
		}
		to = next
		switch {
		case t.kind != punct || t.text == "&" || t.text == "|":
		case t.text == ")":
			open = open[:len(open)-1]
		case t.text == "(" && len(open) > maxDepth:
			return lookahead{from, to, nil}
		case t.text == "(":
			open = append(open, to)
		default:
			return lookahead{from, to, open}
		}
	}
	return lookahead{from, to, nil}
}

func (p *parser) or(depth int) term {
	x := p.and(depth)
	for n := depth; p.err == nil && p.accept("|"); n++ {
		p.deep(n)
		left, right := x, p.and(depth)
		x = func(s *scope) value { return s.combine(left(s), right(s), false) }
	}
	return x
}

func (p *parser) and(depth int) term {
	x := p.operand(depth)
	for n := depth; p.err == nil && p.accept("&"); n++ {
		p.deep(n)
		left, right := x, p.operand(depth)
		x = func(s *scope) value { return s.combine(left(s), right(s), true) }
	}
	return x
}

func (p *parser) operand(depth int) term {
	at := p.tok
	if p.deep(depth) {
		return func(*scope) value { return constant(0, at) }
	}
	if p.accept("(") {
		x := p.or(depth + 1)
		p.expect(")")
		return x
	}
	if _, isConst := p.consts[at.text]; at.kind == word && !isConst {
		p.ident("an argument")
		return func(s *scope) value { return s.argument(at) }
	}
	v, _ := p.num()
	return func(*scope) value { return constant(v, at) }
}
