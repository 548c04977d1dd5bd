package monban_test

import (
	"encoding/json"
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// docs/design.md lists exactly what go.mod requires, and each module is imported by the rooms that it names, and by all
// of them.
func TestDependencies(t *testing.T) {
	rooms := map[string][]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9./-]+\\.[a-z]+/[a-zA-Z0-9./-]+)` \\| ([^|]+) \\| [^|]+ \\|$").FindAllStringSubmatch(read(t, "docs/design.md"), -1) {
		for _, room := range strings.Split(m[2], ", ") {
			rooms[m[1]] = append(rooms[m[1]], strings.Trim(room, "`"))
		}
	}
	out, err := exec.Command("go", "mod", "edit", "-json").Output()
	if err != nil {
		t.Fatal(err)
	}
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatal(err)
	}
	required := map[string]bool{}
	for _, r := range mod.Require {
		if !r.Indirect {
			required[r.Path] = true
			if rooms[r.Path] == nil {
				t.Errorf("docs/design.md does not list %s", r.Path)
			}
		}
	}
	imported := map[string]map[string]bool{} // by module, the rooms of the list that import it
	for module := range rooms {
		imported[module] = map[string]bool{}
		if !required[module] {
			t.Errorf("docs/design.md lists %s, which go.mod does not require", module)
		}
	}
	err = filepath.WalkDir(".", func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && (path == "bench" || e.Name() == "testdata" || strings.HasPrefix(e.Name(), ".") && path != "."):
			return fs.SkipDir
		case filepath.Ext(path) != ".go":
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		dir := filepath.ToSlash(filepath.Dir(path))
		for _, spec := range f.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			for module := range rooms {
				if name != module && !strings.HasPrefix(name, module+"/") {
					continue
				}
				if strings.HasSuffix(path, "_test.go") {
					imported[module]["tests"] = true
					continue
				}
				i := slices.IndexFunc(rooms[module], func(r string) bool { return dir == r || strings.HasPrefix(dir, r+"/") })
				if i < 0 {
					t.Errorf("%s imports %s, which docs/design.md allows %s only", path, module, strings.Join(rooms[module], ", "))
					continue
				}
				imported[module][rooms[module][i]] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for module, list := range rooms {
		for _, room := range list {
			if !imported[module][room] {
				t.Errorf("docs/design.md says that %s imports %s: it does not", room, module)
			}
		}
	}
}
