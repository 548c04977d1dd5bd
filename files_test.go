package monban_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// opensItself lists who may open what others name without package regular, and why.
var opensItself = map[string]string{
	"internal/regular":             "it is the package",
	"abi/gen":                      "it runs by go generate, on the tables of its own",
	"bench":                        "it is a module of its own, on its own files",
	"record/attach_linux_amd64.go": "files of control groups",
	"internal/sys":                 "files of /proc",
	"sandbox/strict_linux.go":      "the file that a process runs, by its link in /proc",
	"internal/peek/btf_linux.go":   "a file of /sys",
}

// Who opens a file by a name that a document or a user chose does it by package regular: a pipe would make him wait,
// and what is read from /proc/kmsg is gone. Names that begin with /proc, /sys or /dev in the source are nobody else's.
func TestFilesAreRegular(t *testing.T) {
	opens := map[string]bool{"os.Open": true, "os.OpenFile": true, "os.ReadFile": true, "elf.Open": true, "os.DirFS": true, "fs.ReadFile": true}
	used := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != "." || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			f, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			pkg, ok := f.X.(*ast.Ident)
			if !ok || !opens[pkg.Name+"."+f.Sel.Name] || system(call.Args[0]) {
				return true
			}
			for who := range opensItself {
				if path == who || strings.HasPrefix(path, who+"/") {
					used[who] = true
					return true
				}
			}
			t.Errorf("%s: %s.%s of a name that may be anybody's: use package regular", fset.Position(n.Pos()), pkg.Name, f.Sel.Name)
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for who, why := range opensItself {
		if _, err := os.Stat(who); err != nil || !used[who] {
			t.Errorf("%s (%s) opens nothing by itself: take it off the list", who, why)
		}
	}
}

// system says whether a file's name begins with a directory of the kernel's in the source.
func system(name ast.Expr) bool {
	switch e := name.(type) {
	case *ast.BasicLit:
		text, _ := strconv.Unquote(e.Value)
		return strings.HasPrefix(text, "/proc/") || strings.HasPrefix(text, "/sys/") || strings.HasPrefix(text, "/dev/")
	case *ast.SelectorExpr: // os.DevNull
		return e.Sel.Name == "DevNull"
	case *ast.BinaryExpr:
		return system(e.X)
	case *ast.CallExpr: // fmt.Sprintf
		return len(e.Args) > 0 && system(e.Args[0])
	}
	return false
}
