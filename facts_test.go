package monban_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Each of these facts has one place, and whoever writes it down a second time must say here why. What is listed are the
// files that may.
func TestOnePlace(t *testing.T) {
	for _, fact := range []struct {
		what    string
		pattern string
		files   []string
	}{
		{"whose number it is: abi.Of, Arch.Numbers, verdict.On", `X32Bit|0x4000_?0000\b|1 ?<< ?30\b`, []string{
			"abi/of.go", "abi/gen/archs.go", // its place; bit 30 of tokens
			"compile/numbers.go",                  // one tree for both tables, with the bit masked
			"format/oci/runc.go",                  // what runc's stub makes of it
			"format/source/value.go",              // the constant's names in C
			"report/page/tree.go",                 // a test of the bit in somebody's program
			"lint/bypass.go", "lint/catalogue.go", // the pitfall is about the bit
			"record/ebpf_programs_linux_amd64.go",         // the kernel's tables, in eBPF
			"seccomp/features_linux_amd64.go",             // makes an x32 call
			"bpf/flow.go", "scan/internal/image/image.go", // other bits and sizes
		}},
		{"whose token it is: abi.Of", `\.Token\(\) [=!]= |[=!]= \w+\.Token\(\)`, []string{
			"abi/of.go",
			"expect/live/live_linux.go",                       // what this machine can be asked for
			"policy/decide.go", "policy/decompile/headers.go", // errnos of badarch are of the architecture that shares the token
			"format/minijail/constants.go", // a file of constants names its token
		}},
		{"a token that nobody has: abi.NoToken, verdict.Elsewhere", `free\+\+`, nil},
		{"the rank of an action: bpf.Action.Compare", `int32\([\w.]*Kind`, []string{"bpf/action.go"}},
		{"an action's effect: bpf.Action.Effect", `(Kind\(\) [=!]=|case) bpf\.(Allow|KillProcess), ?bpf\.|bpf\.Allow (&&|\|\|) .*bpf\.Log|bpf\.Notify (&&|\|\|) .*bpf\.Trace`, []string{
			"format/oci/check.go", "format/oci/runc.go", // runc's own list
			"format/systemd/write.go", // what systemd can say
		}},
		{"what /proc says: internal/sys", `"/proc\b`, []string{
			"internal/sys/proc_linux.go",
			"seccomp/features_linux.go",    // starts this program once more
			"scan/internal/load/around.go", // a name that leads to no file of its own
		}},
		{"an error's kind: its type, never its text", `strings\.(Contains|HasPrefix|HasSuffix|EqualFold)\(\w+\.Error\(\)`, nil},
		{"a filter in memory: bpf.Program.Encode, sys.Filter", `\bSock(Filter|Fprog)\b`, []string{
			"format/source/read.go", "format/source/write.go", // names of types in source code
		}},
		{"the calls on a listener: internal/sys", `unix\.SECCOMP_(IOCTL_NOTIF|GET_NOTIF_SIZES)`, []string{"internal/sys/notify_linux.go"}},
		{"the word that was meant: nearest.Word", `func (distance|levenshtein|editDistance|suggest)\(`, []string{"internal/nearest/nearest.go"}},
	} {
		pattern := regexp.MustCompile(fact.pattern)
		found := map[string]bool{}
		err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && (d.Name() == "testdata" || d.Name() == "bench" || strings.HasPrefix(d.Name(), ".") && path != "."):
				return filepath.SkipDir
			case filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go"):
				return nil
			}
			src, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			file := filepath.ToSlash(path)
			for i, line := range strings.Split(string(src), "\n") {
				code, _, _ := strings.Cut(line, "//")
				if !pattern.MatchString(code) {
					continue
				}
				if found[file] = true; !slices.Contains(fact.files, file) {
					t.Errorf("%s:%d: %s\n\t%s", path, i+1, fact.what, strings.TrimSpace(line))
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range fact.files {
			if !found[file] {
				t.Errorf("%s: %s does not say it (any more)", fact.what, file)
			}
		}
	}
}

// An importer can change no variable of the library's. Errors, which are compared with, are variables as everywhere in
// Go.
func TestNoVariables(t *testing.T) {
	// What is left: tables.
	left := []string{"lint.Catalogue", "format/oci.Runtimes"}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (slices.Contains([]string{"testdata", "internal", "bench", "cmd", "examples"}, d.Name()) || strings.HasPrefix(d.Name(), ".") && path != "."):
			return filepath.SkipDir
		case filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			vars, ok := decl.(*ast.GenDecl)
			if !ok || vars.Tok != token.VAR {
				continue
			}
			for _, spec := range vars.Specs {
				for _, name := range spec.(*ast.ValueSpec).Names {
					what := filepath.ToSlash(filepath.Dir(path)) + "." + name.Name
					if name.IsExported() && !strings.HasPrefix(name.Name, "Err") && !slices.Contains(left, what) {
						t.Errorf("%s: %s can be changed by whoever imports it: make it a function", path, what)
					}
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
