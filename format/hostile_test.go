package format

import (
	"go/ast"
	"go/parser"
	"go/token"
	"monban/gate"
	"regexp"
	"strings"
	"testing"

	"monban/abi"
	"monban/internal/hostile"
	"monban/policy/lang"
)

// A gate's name comes into what is written as a comment, as an identifier or as an object's name: nothing else becomes
// of it.
func TestWriteHostileNames(t *testing.T) {
	o := Options{Native: abi.X86_64}
	const text = "arch x86_64\ndefault kill_process\nunknown kill_process\nallow read write\n"
	shape := regexp.MustCompile(`[\w@./-]+`) // of words, which names are made of
	for _, f := range Formats() {
		if !f.Writes() || f.Binary {
			continue
		}
		want := ""
		for _, name := range append([]string{"plain.gate"}, hostile.Names()...) {
			p, err := lang.Load("plain.gate", []byte(text), policyOptions(o))
			if err != nil {
				t.Fatal(err)
			}
			out, err := Write(gate.OfPolicy(name, p), f, "", o)
			if err != nil {
				t.Errorf("%s: %q: %v", f.Name, name, err)
				continue
			}
			src := string(out.Bytes)
			if err := hostile.Check(src); err != nil {
				t.Errorf("%s: %q: %v", f.Name, name, err)
			}
			if f.Name == "go" {
				checkGo(t, name, src)
			}
			got := shape.ReplaceAllString(src, "x")
			if want == "" {
				want = got
			}
			if got != want {
				t.Errorf("%s: %q changes the text to\n%s", f.Name, name, src)
			}
		}
	}
}

// checkGo demands a package with a variable and a function.
func checkGo(t *testing.T, name, src string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "x.go", src, parser.ParseComments)
	if err != nil {
		t.Errorf("%q: %v", name, err)
		return
	}
	var decls []string
	for _, d := range file.Decls[1:] {
		switch d := d.(type) {
		case *ast.FuncDecl:
			decls = append(decls, d.Name.Name)
		case *ast.GenDecl:
			decls = append(decls, d.Specs[0].(*ast.ValueSpec).Names[0].Name)
		}
	}
	if got := strings.Join(decls, " "); got != "filter Enforce" {
		t.Errorf("%q: the package declares %s", name, got)
	}
}

// Words of a language are not names in it.
func TestWriteKeywords(t *testing.T) {
	for _, file := range []string{"int.gate", "func.gate", "type", "_", "package.json"} {
		p, err := lang.Load(file, []byte("arch x86_64\nallow read\n"), policyOptions(Options{Native: abi.X86_64}))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"c", "go"} {
			f, _ := Find(name)
			if _, err := Write(gate.OfPolicy(file, p), f, "", Options{Native: abi.X86_64}); err != nil {
				t.Errorf("%s as %s: %v", file, name, err)
			}
		}
	}
}
