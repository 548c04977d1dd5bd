package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// An error is as many lines as were joined, and no name in it makes more.
func TestErrorLines(t *testing.T) {
	one, two := errors.New("a.gate:1:1: x\nPWN"), fmt.Errorf("b: %w", errors.New("c"))
	joined := errors.Join(one, two)
	for _, test := range []struct {
		err  error
		want []string
	}{
		{one, []string{"a.gate:1:1: x\nPWN"}},
		{exit{2, one}, []string{"a.gate:1:1: x\nPWN"}},
		{fmt.Errorf("d: %w (e)", one), []string{"d: a.gate:1:1: x\nPWN (e)"}},
		{joined, []string{"a.gate:1:1: x\nPWN", "b: c"}},
		{exit{2, joined}, []string{"a.gate:1:1: x\nPWN", "b: c"}},
		{errors.Join(joined, two), []string{"a.gate:1:1: x\nPWN", "b: c", "b: c"}},
		{exit{2, fmt.Errorf("d: %w (e)", joined)}, []string{"d: a.gate:1:1: x\nPWN", "b: c (e)"}},
		{fmt.Errorf("%w and %w", one, two), []string{"a.gate:1:1: x\nPWN and b: c"}},
		{exit{2, nil}, []string{"status 2"}},
	} {
		if got := errorLines(test.err); !slices.Equal(got, test.want) {
			t.Errorf("%q: %q, want %q", test.err, got, test.want)
		}
	}
}

// formatAt is which argument of what prints is the format.
var formatAt = map[string]int{"plain.Fprintf": 1, "plain.Sprintf": 0, "plain.Paragraph": 2, "say": 0,
	"p.Printf": 0, "p.Paragraph": 1, "p.Shortened": 1, "p.heading": 0}

// called is what a call's function is named.
func called(f ast.Expr) string {
	switch f := f.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return fmt.Sprint(f.X, ".", f.Sel)
	}
	return ""
}

// ours says that a format is written where it is used: a literal, or a constant or parameter that is called format.
func ours(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return true
	case *ast.BinaryExpr:
		return ours(e.X) && ours(e.Y)
	case *ast.Ident:
		return e.Name == "format"
	}
	return false
}

// Nothing but door.go knows standard output and standard error, and nothing prints but through it: neither here nor in
// any package that the command is made of. What is neither is named below.
func TestOneDoor(t *testing.T) {
	elsewhere := map[string]int{
		"live.go: Raw":   2, // moves the cursor
		"output.go: Raw": 1, // a program
		"learnt.go: Raw": 1,
	}
	seen := map[string]int{}
	files := token.NewFileSet()
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch name := d.Name(); {
		case err != nil:
			return err
		case d.IsDir() && (slices.Contains([]string{"testdata", "examples", "bench", "gen"}, name) || len(name) > 2 && strings.HasPrefix(name, ".")):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || name == "door.go":
			return nil
		}
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		command := filepath.Base(filepath.Dir(path)) == "monban"
		ast.Inspect(file, func(n ast.Node) bool {
			what := ""
			switch n := n.(type) {
			case *ast.CallExpr:
				if i, ok := formatAt[called(n.Fun)]; ok && !ours(n.Args[i]) {
					t.Errorf("%s: the format of %s is not written here: give it as an argument of %%s", files.Position(n.Pos()), called(n.Fun))
				}
				if f, ok := n.Fun.(*ast.Ident); ok && (f.Name == "print" || f.Name == "println") {
					what = f.Name
				}
			case *ast.SelectorExpr:
				x, _ := n.X.(*ast.Ident)
				switch whole := fmt.Sprint(x, ".", n.Sel); {
				case whole == "os.Stdout", whole == "os.Stderr", whole == "fmt.Print", whole == "fmt.Printf", whole == "fmt.Println",
					x != nil && x.Name == "log", command && x != nil && x.Name == "fmt" && strings.HasPrefix(n.Sel.Name, "Fprint"):
					what = whole
				case n.Sel.Name == "Raw" && command:
					what = "Raw"
				}
			case *ast.ImportSpec:
				if n.Name != nil && (n.Name.Name == "." || strings.Contains(`"fmt" "os" "log"`, n.Path.Value)) {
					what = "import " + n.Name.Name
				}
			}
			if what == "" {
				return true
			}
			key := filepath.Base(path) + ": " + what
			if seen[key]++; seen[key] > elsewhere[key] {
				t.Errorf("%s: %s is not for here: use the door (door.go), so that names are escaped", files.Position(n.Pos()), what)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for key, n := range elsewhere {
		if seen[key] != n {
			t.Errorf("%s: there are %d now, not %d", key, seen[key], n)
		}
	}
}
