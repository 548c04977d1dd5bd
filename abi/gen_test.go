package abi

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// What go generate makes is what is here: nobody edits data by hand, and no table is left over.
func TestGenerated(t *testing.T) {
	unixDir(t) // skips where the generator could not run
	dir := t.TempDir()
	if out, err := exec.Command("go", "run", "./gen", "-out", dir).CombinedOutput(); err != nil {
		t.Fatalf("go run ./gen: %v\n%s", err, out)
	}
	files := 0
	for _, pair := range [][2]string{{dir, "data"}, {"data", dir}} {
		err := filepath.WalkDir(pair[0], func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			files++
			rel, _ := filepath.Rel(pair[0], path)
			here, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			there, err := os.ReadFile(filepath.Join(pair[1], rel))
			if err != nil || !bytes.Equal(here, there) {
				t.Errorf("%s isn't what go generate makes (%v)", rel, err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 2*(archCount+6) {
		t.Errorf("%d files", files)
	}
}
