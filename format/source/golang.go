package source

import (
	"errors"
	"go/ast"
	goparser "go/parser"
	"go/scanner"
	gotoken "go/token"
	"slices"
	"strings"

	"monban/bpf"
)

// A goReader finds filters in Go source, which Go's own parser has read: its operators bind in another way than C's.
type goReader struct {
	*parser
	files    *gotoken.FileSet
	before   int             // bytes that were put before the text
	declared map[string]bool // names that the source gives something of its own
	imports  map[string]bool // names that a package may go by; nil in a piece of a file, which does not say
	depth    int
}

// wraps are what makes a file of a piece of Go: nothing, or a list of declarations or of statements.
var wraps = [...]struct{ before, after string }{{"", ""}, {"package p\n", "\n"}, {"package p\nfunc _() {\n", "\n}\n"}}

// goFile parses a text as Go. ok is false where it is another language's; a text that begins with a package clause is
// Go.
func (p *parser) goFile() (r *goReader, file *ast.File, ok bool, err error) {
	for i, w := range wraps {
		r = &goReader{parser: p, files: gotoken.NewFileSet(), before: len(w.before), declared: map[string]bool{}}
		file, err = goparser.ParseFile(r.files, "", w.before+string(p.in.Src)+w.after, goparser.SkipObjectResolution)
		if err == nil {
			return r, file, true, nil
		}
		if i == 0 && p.peek().text == "package" {
			break
		}
	}
	if list, isList := errors.AsType[scanner.ErrorList](err); isList && p.peek().text == "package" {
		at := min(max(list[0].Pos.Offset-r.before, 0), len(p.in.Src))
		return nil, nil, true, p.in.Errorf(at, "this is not Go: %s", list[0].Msg)
	}
	return nil, nil, false, nil
}

func (r *goReader) errorf(at gotoken.Pos, format string, args ...any) error {
	return r.in.Errorf(r.offset(at), format, args...)
}

// offset is where in the text a place is.
func (r *goReader) offset(at gotoken.Pos) int {
	return min(max(r.files.Position(at).Offset-r.before, 0), len(r.in.Src))
}

// filters finds the arrays of instructions and of bytes that a variable or a field gets.
func (r *goReader) filters(file *ast.File) (all []found, err error) {
	ast.Inspect(file, r.declare)
	if r.before == 0 {
		r.imports = map[string]bool{}
		for _, i := range file.Imports {
			if i.Name != nil {
				r.imports[i.Name.Name] = true
				continue
			}
			for _, part := range strings.Split(strings.Trim(i.Path.Value, "`\""), "/") {
				r.imports[part] = true
			}
		}
	}
	add := func(name, value ast.Expr) {
		list, ok := value.(*ast.CompositeLit)
		if !ok || err != nil {
			return
		}
		array, ok := list.Type.(*ast.ArrayType)
		if !ok {
			return
		}
		f := found{off: r.offset(list.Pos()) + int(list.Lbrace-list.Pos())}
		if f.name = lastName(name); f.name == "" {
			return
		}
		switch of := lastName(array.Elt); {
		case slices.Contains(types, of):
			f.program, err = r.instructions(list)
		case slices.Contains(byteTypes, of):
			f.bytes, err = r.octets(list)
		default:
			return
		}
		all = append(all, f)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ValueSpec:
			for i := range min(len(n.Names), len(n.Values)) {
				add(n.Names[i], n.Values[i])
			}
		case *ast.AssignStmt:
			for i := range min(len(n.Lhs), len(n.Rhs)) {
				add(n.Lhs[i], n.Rhs[i])
			}
		case *ast.KeyValueExpr:
			add(n.Key, n.Value)
		}
		return err == nil
	})
	return all, err
}

// declare notes the names that the source itself declares.
func (r *goReader) declare(n ast.Node) bool {
	var names []*ast.Ident
	switch n := n.(type) {
	case *ast.ValueSpec:
		names = n.Names
	case *ast.Field:
		names = n.Names
	case *ast.TypeSpec:
		names = []*ast.Ident{n.Name}
	case *ast.FuncDecl:
		names = []*ast.Ident{n.Name}
	case *ast.AssignStmt:
		for _, x := range n.Lhs {
			if id, ok := x.(*ast.Ident); ok && n.Tok == gotoken.DEFINE {
				names = append(names, id)
			}
		}
	}
	for _, id := range names {
		r.declared[id.Name] = true
	}
	return true
}

// isPackage says whether a name before a dot is a package's.
func (r *goReader) isPackage(name string) bool {
	return !r.declared[name] && (r.imports == nil || r.imports[name])
}

// lastName is the name of x, or of pkg.x; "" for anything else.
func lastName(x ast.Expr) string {
	switch x := x.(type) {
	case *ast.Ident:
		return x.Name
	case *ast.SelectorExpr:
		return x.Sel.Name
	}
	return ""
}

func (r *goReader) instructions(list *ast.CompositeLit) (program bpf.Program, err error) {
	for _, x := range list.Elts {
		one, ok := x.(*ast.CompositeLit)
		if !ok {
			return nil, r.errorf(x.Pos(), "an instruction is expected here: {code, jt, jf, k}, with or without the fields' names")
		}
		if of := one.Type; of != nil && !slices.Contains(types, lastName(of)) {
			return nil, r.errorf(x.Pos(), "instructions of this type are not known: write {code, jt, jf, k}")
		}
		in, err := r.instruction(one)
		if err != nil {
			return nil, err
		}
		if program = append(program, in); len(program) > bpf.MaxInstructions {
			return nil, r.errorf(x.Pos(), "more than the %d instructions that the kernel takes", bpf.MaxInstructions)
		}
	}
	return program, nil
}

func (r *goReader) instruction(x *ast.CompositeLit) (in bpf.Instruction, err error) {
	var set [4]uint64
	for i, value := range x.Elts {
		if kv, ok := value.(*ast.KeyValueExpr); ok {
			if i, ok = fields[lastName(kv.Key)]; !ok {
				return in, r.errorf(kv.Pos(), "an instruction has no such field: they are code, jt, jf and k")
			}
			value = kv.Value
		}
		if i > 3 {
			return in, r.errorf(value.Pos(), "an instruction has four fields: code, jt, jf and k")
		}
		if set[i], err = r.value(value); err != nil {
			return in, err
		}
	}
	return instructionOf(r.in, r.offset(x.Pos()), set)
}

func (r *goReader) octets(list *ast.CompositeLit) (all []byte, err error) {
	for _, x := range list.Elts {
		v, err := r.value(x)
		if err != nil {
			return nil, err
		}
		if v > 0xff {
			return nil, r.errorf(x.Pos(), "%#x does not fit a byte", v)
		}
		all = append(all, byte(v))
	}
	if all == nil {
		all = []byte{}
	}
	return all, nil
}
