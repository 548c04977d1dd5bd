package monban_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// The library says what is wrong in errors of a type; flags and verbs are the command's, which adds them as hints.
func TestLibraryNamesNoFlags(t *testing.T) {
	ours := regexp.MustCompile(`(^|[ (])--[a-z]|\(monban [a-z]`)
	files := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (path == "cmd" || path == "bench" || d.Name() == "testdata" || strings.HasPrefix(path, ".") && path != "."):
			return fs.SkipDir
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		files++
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			text, err := strconv.Unquote(lit.Value)
			if err == nil && ours.MatchString(strings.ReplaceAll(text, "ausearch --raw", "")) && !strings.Contains(text, "(ausearch: with --raw)") {
				t.Errorf("%s: %q names a flag or a verb of the command", fset.Position(lit.Pos()), text)
			}
			return true
		})
		return nil
	})
	if err != nil || files < 100 {
		t.Errorf("%d files, %v", files, err)
	}
}
