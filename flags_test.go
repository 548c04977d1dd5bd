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

// The library names no flag and no verb of the command: its errors are typed, and the command says what to type next.
func TestLibraryNamesNoFlag(t *testing.T) {
	verbs := "ask|asm|compile|convert|diff|disasm|doctor|dump|explain|fmt|learn|lint|merge|record|run|scan|syscalls|test"
	flag := regexp.MustCompile(`(^|[^-\w])--[a-z]|\bmonban (` + verbs + `)\b`)
	// What the words are for, where they must be.
	allowed := map[string]string{
		"report": "the words of the command", "learn": "gates say which command wrote them",
		"lint/catalogue.go": "the catalogue is for people at a terminal", "internal/hostile": "tests",
	}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := filepath.ToSlash(path)
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != "." || d.Name() == "testdata" || name == "cmd" || name == "bench" || name == "examples" || name == "abi/gen") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		for what := range allowed {
			if name == what || strings.HasPrefix(name, what+"/") {
				return nil
			}
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if text, _ := strconv.Unquote(lit.Value); flag.MatchString(text) {
					t.Errorf("%s: %s", fset.Position(lit.Pos()), lit.Value)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
