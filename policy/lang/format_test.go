package lang_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"monban/abi"
	"monban/policy/lang"
	"monban/verdict"
)

var update = flag.Bool("update", false, "rewrite golden files")

// testdata/format/*.gate are what people write, *.golden what fmt makes of it.
func TestFormat(t *testing.T) {
	files, err := filepath.Glob("testdata/format/*.gate")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		got := formatTwice(t, f, src)
		golden := strings.TrimSuffix(f, ".gate") + ".golden"
		if *update {
			if err := os.WriteFile(golden, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: got\n%s", f, got)
		}
		for line := range strings.Lines(string(src)) {
			if _, comment, ok := strings.Cut(line, "#"); ok && !strings.Contains(string(got), "#"+strings.TrimSpace(comment)) && !strings.Contains(string(got), "# "+strings.TrimSpace(comment)) {
				t.Errorf("%s: lost the comment %q", f, comment)
			}
		}
	}
}

func formatTwice(t *testing.T, name string, src []byte) []byte {
	t.Helper()
	f, err := lang.Parse(name, src)
	if err != nil {
		t.Fatal(err)
	}
	got := []byte(f.String())
	g, err := lang.Parse(name, got)
	if err != nil {
		t.Fatalf("%v in\n%s", err, got)
	}
	if again := []byte(g.String()); !bytes.Equal(again, got) {
		t.Fatalf("formatting is not stable:\n%s\nbecomes\n%s", got, again)
	}
	return got
}

func TestPresets(t *testing.T) {
	for _, name := range lang.Presets() {
		src, err := lang.PresetSource(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(formatTwice(t, name, src), src) {
			t.Errorf("%s is not formatted", name)
		}
		for _, a := range abi.Archs() {
			p, err := lang.LoadPreset(name, lang.Options{Native: a})
			if err != nil {
				t.Errorf("%s on %s: %v", name, a, err)
				continue
			}
			if _, err := p.Verdict(verdict.NewSpace(verdict.DefaultBudget)); err != nil {
				t.Errorf("%s on %s: %v", name, a, err)
			}
		}
	}
}

// FuzzParse: no input panics; what parses can be formatted, stably; what loads keeps its meaning when printed and
// formatted.
func FuzzParse(f *testing.F) {
	for _, name := range lang.Presets() {
		src, err := lang.PresetSource(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src)
	}
	f.Add([]byte("kernel 6.12\nallow socket(family in {AF_UNIX, 5..9} && type & 0xf == ~1 # c\n || ip > 3)\non x86: errno(7) any(nr >= 3)\n"))
	f.Fuzz(func(t *testing.T, src []byte) {
		if len(src) > 10_000 {
			return
		}
		file, err := lang.Parse("fuzz", src)
		if err != nil {
			return
		}
		formatted := formatTwice(t, "fuzz", src)
		archs := []abi.Arch{abi.X86_64, abi.X86}
		p, err := file.Resolve(lang.Options{Archs: archs})
		if err != nil {
			return
		}
		s := verdict.NewSpace(200_000)
		v, err := p.Verdict(s)
		if err != nil {
			return
		}
		for _, text := range []string{lang.Print(p), string(formatted)} {
			q, err := lang.Load("again", []byte(text), lang.Options{Archs: archs})
			if err != nil {
				t.Fatalf("%v in\n%s", err, text)
			}
			w, err := q.Verdict(s)
			if err != nil {
				return
			}
			if v != w {
				t.Fatalf("%q came to mean something else as\n%s", src, text)
			}
		}
	})
}

// No comment is lost, wherever it stands in a line that goes on over several rows.
func TestCommentsInside(t *testing.T) {
	text := "default errno(EPERM)\nallow write( # one\n  # two\n  fd == 1 # three\n  || fd == 2) read( # four\n count < 9)  # five\n"
	f, err := lang.Parse("t.gate", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	out := f.String()
	for _, c := range []string{"# one", "# two", "# three", "# four", "# five"} {
		if strings.Count(out, c) != 1 {
			t.Errorf("%s is lost:\n%s", c, out)
		}
	}
}
