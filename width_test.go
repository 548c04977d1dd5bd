package monban_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// A line that is a comment has 120 columns at most, a tab being four. Directives to tools have no width.
func TestCommentWidth(t *testing.T) {
	const most, tab = 120, 4
	files := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && path != "."):
			return fs.SkipDir
		case filepath.Ext(path) != ".go":
			return nil
		}
		files++
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		n := 0
		for line := range strings.Lines(string(src)) {
			n++
			text := strings.TrimLeft(line, "\t")
			if !strings.HasPrefix(text, "//") || strings.HasPrefix(text, "//go:") {
				continue
			}
			if wide := tab*(len(line)-len(text)) + utf8.RuneCountInString(strings.TrimRight(text, "\n")); wide > most {
				t.Errorf("%s:%d: a comment of %d columns", path, n, wide)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 300 {
		t.Errorf("only %d files", files)
	}
}
