package monban_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// Whoever imports a package finds an example of it beside its documentation. Commands have none, and neither have the
// rooms of the single formats, which package format opens.
func TestExamples(t *testing.T) {
	packages := goList(t, "-f", `{{if ne .Name "main"}}{{.ImportPath}}{{end}}`, "./...")
	checked := 0
	for _, p := range packages {
		dir, _ := strings.CutPrefix(strings.TrimPrefix(p, "monban"), "/")
		if strings.HasPrefix(dir, "format/") || strings.Contains("/"+p+"/", "/internal/") {
			continue
		}
		checked++
		files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, file := range files {
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range f.Decls {
				fun, ok := d.(*ast.FuncDecl)
				found = found || ok && fun.Recv == nil && strings.HasPrefix(fun.Name.Name, "Example")
			}
		}
		if !found {
			t.Errorf("%s has no Example", p)
		}
	}
	if checked < 18 {
		t.Errorf("only %d packages of %v", checked, packages)
	}
}
