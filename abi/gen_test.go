package abi

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What go generate makes is what is here: nobody edits data by hand, and no table is left over.
func TestGenerated(t *testing.T) {
	unixDir(t) // skips where the generator could not run
	dir := t.TempDir()
	if out, err := exec.Command("go", "run", "./gen", "-out", dir).CombinedOutput(); err != nil {
		t.Fatalf("go run ./gen: %v\n%s", err, out)
	}
	made := files(t, dir, func(string) bool { return true })
	here := files(t, ".", func(name string) bool {
		return strings.HasPrefix(name, "data/") || name == "archs.go" || strings.HasPrefix(name, "internal/native/place_")
	})
	for name, text := range made {
		if !bytes.Equal(here[name], text) {
			t.Errorf("%s isn't what go generate makes", name)
		}
	}
	for name := range here {
		if _, ok := made[name]; !ok {
			t.Errorf("%s is left over: go generate does not make it", name)
		}
	}
	if len(made) < archCount+6 {
		t.Errorf("%d files", len(made))
	}
}

// files are those of a directory that are wanted, by their names in it.
func files(t *testing.T, dir string, want func(name string) bool) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err == nil && want(filepath.ToSlash(name)) {
			all[filepath.ToSlash(name)], err = os.ReadFile(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
