package source

import (
	"go/ast"
	"go/constant"
	gotoken "go/token"
)

// maxBits is how large a constant may become on the way to a value.
const maxBits = 512

// A goType is the type of a constant; the zero value is that of one that has none.
type goType struct {
	name   string
	bits   int
	signed bool
}

var goTypes = map[string]goType{
	"uint8": {"uint8", 8, false}, "byte": {"uint8", 8, false}, "uint16": {"uint16", 16, false}, "uint32": {"uint32", 32, false},
	"uint64": {"uint64", 64, false}, "uint": {"uint", 64, false}, "uintptr": {"uintptr", 64, false},
	"int8": {"int8", 8, true}, "int16": {"int16", 16, true}, "int32": {"int32", 32, true}, "rune": {"int32", 32, true},
	"int64": {"int64", 64, true}, "int": {"int", 64, true},
}

// holds says whether a constant is one of the type's.
func (t goType) holds(c constant.Value) bool {
	switch {
	case t.bits == 0:
		return constant.BitLen(c) <= maxBits
	case !t.signed:
		return constant.Sign(c) >= 0 && constant.BitLen(c) <= t.bits
	case constant.Sign(c) < 0:
		return constant.BitLen(constant.UnaryOp(gotoken.XOR, c, 0)) < t.bits // of -1-c
	}
	return constant.BitLen(c) < t.bits
}

// value is a constant expression of Go's as a number.
func (r *goReader) value(x ast.Expr) (uint64, error) {
	c, _, err := r.constant(x)
	if err != nil {
		return 0, err
	}
	v, exact := constant.Uint64Val(c)
	if !exact {
		return 0, r.errorf(x.Pos(), "%s does not fit 64 bits, or is negative", c)
	}
	return v, nil
}

// constant evaluates an expression as Go does.
func (r *goReader) constant(x ast.Expr) (c constant.Value, of goType, err error) {
	if r.depth++; r.depth > maxNested {
		return nil, of, r.errorf(x.Pos(), "an expression nested more than %d deep", maxNested)
	}
	defer func() { r.depth-- }()
	switch x := x.(type) {
	case *ast.ParenExpr:
		return r.constant(x.X)
	case *ast.BasicLit:
		if x.Kind != gotoken.INT && x.Kind != gotoken.CHAR {
			return nil, of, r.errorf(x.Pos(), "an integer is expected here")
		}
		c = constant.MakeFromLiteral(x.Value, x.Kind, 0)
	case *ast.Ident:
		if r.declared[x.Name] {
			return nil, of, r.errorf(x.Pos(), "%s is the source's own: write its value", x.Name)
		}
		return r.known(x, x.Name)
	case *ast.SelectorExpr:
		if in, ok := x.X.(*ast.Ident); !ok || !r.isPackage(in.Name) {
			return nil, of, r.errorf(x.Pos(), "a constant is expected here")
		}
		return r.known(x, x.Sel.Name)
	case *ast.UnaryExpr:
		if c, of, err = r.constant(x.X); err != nil {
			return nil, of, err
		}
		switch x.Op {
		case gotoken.ADD, gotoken.SUB, gotoken.XOR:
			bits := uint(of.bits)
			if of.signed {
				bits = 0
			}
			c = constant.UnaryOp(x.Op, c, bits)
		default:
			return nil, of, r.errorf(x.Pos(), "%s is not read in constants", x.Op)
		}
	case *ast.BinaryExpr:
		if c, of, err = r.binary(x); err != nil {
			return nil, of, err
		}
	case *ast.CallExpr:
		id, ok := x.Fun.(*ast.Ident)
		if !ok || len(x.Args) != 1 || r.declared[id.Name] {
			return nil, of, r.errorf(x.Pos(), "a constant is expected here: calls are not made")
		}
		if of, ok = goTypes[id.Name]; !ok {
			return nil, of, r.errorf(x.Pos(), "a constant is expected here: calls are not made")
		}
		if c, _, err = r.constant(x.Args[0]); err != nil {
			return nil, of, err
		}
	default:
		return nil, of, r.errorf(x.Pos(), "a constant is expected here")
	}
	switch {
	case of.holds(c):
		return c, of, nil
	case of.bits > 0:
		return nil, of, r.errorf(x.Pos(), "the result, %s, does not fit the type %s", c, of.name)
	}
	return nil, of, r.errorf(x.Pos(), "the result does not fit 64 bits")
}

// known is the value of a name of the kernel's headers.
func (r *goReader) known(x ast.Expr, name string) (constant.Value, goType, error) {
	v, err := r.named(token{name, r.offset(x.Pos())})
	return constant.MakeUint64(v), goType{}, err
}

func (r *goReader) binary(x *ast.BinaryExpr) (c constant.Value, of goType, err error) {
	a, of, err := r.constant(x.X)
	if err != nil {
		return nil, of, err
	}
	b, other, err := r.constant(x.Y)
	if err != nil {
		return nil, of, err
	}
	if x.Op == gotoken.SHL || x.Op == gotoken.SHR {
		n, exact := constant.Uint64Val(b)
		if !exact || n > maxBits {
			return nil, of, r.errorf(x.OpPos, "the result of %s does not fit 64 bits", x.Op)
		}
		return constant.Shift(a, x.Op, uint(n)), of, nil
	}
	switch {
	case of.bits > 0 && other.bits > 0 && of != other:
		return nil, of, r.errorf(x.OpPos, "the two sides of %s have different types", x.Op)
	case of.bits == 0:
		of = other
	}
	if !of.holds(a) || !of.holds(b) {
		return nil, of, r.errorf(x.OpPos, "a side of %s does not fit the type of the other, %s", x.Op, of.name)
	}
	switch x.Op {
	case gotoken.ADD, gotoken.SUB, gotoken.MUL, gotoken.AND, gotoken.OR, gotoken.XOR, gotoken.AND_NOT:
		return constant.BinaryOp(a, x.Op, b), of, nil
	case gotoken.QUO, gotoken.REM:
		if constant.Sign(b) == 0 {
			return nil, of, r.errorf(x.OpPos, "division by zero")
		}
		op := x.Op
		if op == gotoken.QUO {
			op = gotoken.QUO_ASSIGN // of integers
		}
		return constant.BinaryOp(a, op, b), of, nil
	}
	return nil, of, r.errorf(x.OpPos, "%s is not read in constants", x.Op)
}
