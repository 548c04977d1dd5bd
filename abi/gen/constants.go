package main

import (
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
)

// goConstants are the integer constants of Go files, with which of them are typed as errno or signal.
type goConstants struct {
	values map[string]int64
	kind   map[string]string // "Errno", "Signal"
}

// parseConstants evaluates the integer constants of generated Go files; those whose value hangs on a type's size are
// left out.
func parseConstants(paths ...string) (*goConstants, error) {
	out := &goConstants{values: map[string]int64{}, kind: map[string]string{}}
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, decl := range file.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != token.CONST {
				continue
			}
			for iota, spec := range gen.Specs {
				out.add(spec.(*ast.ValueSpec), iota)
			}
		}
	}
	return out, nil
}

func (c *goConstants) add(spec *ast.ValueSpec, iota int) {
	for i, name := range spec.Names {
		if i >= len(spec.Values) || !name.IsExported() {
			continue
		}
		expr, kind := spec.Values[i], ""
		if call, ok := expr.(*ast.CallExpr); ok && len(call.Args) == 1 {
			if sel, ok := call.Fun.(*ast.SelectorExpr); ok {
				expr, kind = call.Args[0], sel.Sel.Name // syscall.Errno(0x2)
			}
		}
		v := c.eval(expr, iota)
		if v == nil || v.Kind() != constant.Int {
			continue
		}
		n, exact := constant.Int64Val(v)
		if !exact {
			u, exact := constant.Uint64Val(v)
			if !exact {
				continue
			}
			n = int64(u)
		}
		c.values[name.Name] = n
		if kind != "" {
			c.kind[name.Name] = kind
		}
	}
}

// eval returns nil for what isn't an integer constant expression.
func (c *goConstants) eval(expr ast.Expr, iota int) constant.Value {
	switch e := expr.(type) {
	case *ast.BasicLit:
		return constant.MakeFromLiteral(e.Value, e.Kind, 0)
	case *ast.ParenExpr:
		return c.eval(e.X, iota)
	case *ast.Ident:
		if e.Name == "iota" {
			return constant.MakeInt64(int64(iota))
		}
		if v, ok := c.values[e.Name]; ok {
			return constant.MakeInt64(v)
		}
	case *ast.UnaryExpr:
		if x := c.eval(e.X, iota); x != nil && x.Kind() == constant.Int {
			return constant.UnaryOp(e.Op, x, 0)
		}
	case *ast.BinaryExpr:
		x, y := c.eval(e.X, iota), c.eval(e.Y, iota)
		if x == nil || y == nil || x.Kind() != constant.Int || y.Kind() != constant.Int {
			return nil
		}
		if e.Op == token.SHL || e.Op == token.SHR {
			n, _ := constant.Uint64Val(y)
			return constant.Shift(x, e.Op, uint(n))
		}
		return constant.BinaryOp(x, e.Op, y)
	}
	return nil
}
