package sandbox

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Who imports a package of this module, a set-user-ID program perhaps, must not run anything by that: no package has an
// init function, and no variable is initialised by the means to have an effect.
func TestImportHasNoEffect(t *testing.T) {
	effects := []string{"os", "os/exec", "syscall", "golang.org/x/sys/unix", "net", "monban/internal/child", "monban/internal/ptrace",
		"monban/seccomp"}
	files, functions := 0, 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (path == "../bench" || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && len(d.Name()) > 2):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files++
		imported := map[string]string{} // the name in this file, and the path
		for _, imp := range f.Imports {
			p, _ := strconv.Unquote(imp.Path.Value)
			name := p[strings.LastIndexByte(p, '/')+1:]
			if imp.Name != nil {
				name = imp.Name.Name
			}
			imported[name] = p
		}
		for _, decl := range f.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				functions++
				if decl.Recv == nil && decl.Name.Name == "init" {
					t.Errorf("%s: an init function", set.Position(decl.Pos()))
				}
			case *ast.GenDecl:
				if decl.Tok != token.VAR {
					continue
				}
				for _, spec := range decl.Specs {
					for _, value := range spec.(*ast.ValueSpec).Values {
						ast.Inspect(value, func(n ast.Node) bool {
							if lit, ok := n.(*ast.FuncLit); ok && !called(value, lit) {
								return false // runs when somebody calls it
							}
							call, ok := n.(*ast.CallExpr)
							if !ok {
								return true
							}
							if fun, ok := call.Fun.(*ast.SelectorExpr); ok {
								if pkg, ok := fun.X.(*ast.Ident); ok && slices.Contains(effects, imported[pkg.Name]) &&
									!conversion(fun.Sel.Name) {
									t.Errorf("%s: a variable is initialised by %s.%s", set.Position(call.Pos()), pkg.Name, fun.Sel.Name)
								}
							}
							return true
						})
					}
				}
			}
		}
		return nil
	})
	if err != nil || files < 100 || functions < 1000 {
		t.Fatalf("%d files with %d functions: %v", files, functions, err)
	}
}

// called says whether a function literal is called where it is written.
func called(in ast.Expr, lit *ast.FuncLit) bool {
	found := false
	ast.Inspect(in, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		found = found || ok && call.Fun == lit
		return !found
	})
	return found
}

// conversion says whether a name is that of a type that numbers are converted to.
func conversion(name string) bool { return name == "Errno" || name == "Signal" || name == "WaitStatus" }
