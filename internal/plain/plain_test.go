package plain

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"monban/internal/hostile"
)

// Each hostile name is harmless in each place of a line, and stays so.
func TestText(t *testing.T) {
	for _, name := range hostile.Names() {
		got := Text(name)
		if err := hostile.Check("a: " + got + "\n"); err != nil {
			t.Errorf("Text(%q): %v", name, err)
		}
		if strings.ContainsAny(got, "\n\t") {
			t.Errorf("Text(%q) = %q has more than one line", name, got)
		}
		if again := Text(got); again != got {
			t.Errorf("Text(%q) = %q, and of that %q", name, got, again)
		}
	}
	for _, name := range hostile.Innocent {
		if got := Text(name); got != name {
			t.Errorf("Text(%q) = %q", name, got)
		}
	}
	for in, want := range map[string]string{
		"\x1b[2J\a\tx\x7f":                `\x1b[2J\x07\tx\x7f`,
		"\u009b\x9b31m":                   `\u009b\x9b31m`,
		"a\u202eb\U000e0041":              `a\u202eb\U000e0041`,
		"##vso[x]":                        `#\x23vso[x]`,
		"e" + strings.Repeat("\u0301", 6): "e\u0301\u0301\u0301\u0301" + `\u0301` + `\u0301`,
		" \u0301a\u0301":                  ` \u0301a` + "\u0301",
	} {
		if got := Text(in); got != want {
			t.Errorf("Text(%q) = %q, want %q", in, got, want)
		}
	}
}

type named string

func (n named) String() string { return string(n) }

// What comes as an argument is one line, however it is printed.
func TestSprintf(t *testing.T) {
	for _, name := range hostile.Names() {
		for _, got := range []string{
			Sprintf("%s\n", name), Sprintf("%v\n", errors.New(name)), Sprintf("%q\n", name), Sprintf("%-9s|\n", named(name)), Sprintf("%v\n", []string{name}),
			Sprintf("%s\n", Paint("", name)), Sprintf("%+v\n", struct{ A any }{name}), Sprintf("%*s\n", 9, name), Sprintf("%s\n", []byte(name)),
		} {
			var b strings.Builder
			if err := put(&b, got); err != nil {
				t.Fatal(err)
			}
			if err := hostile.Check(b.String()); err != nil {
				t.Errorf("%q: %v", name, err)
			}
			if strings.Count(got, "\n") != 1 {
				t.Errorf("%q is more than one line: %q", name, got)
			}
		}
		for _, print := range []func(*strings.Builder){
			func(b *strings.Builder) { Paragraph(b, "  ", "%s", strings.Repeat(name+" ", 30)) },
			func(b *strings.Builder) { (&Printer{To: b}).Shortened("  ", "%s", strings.Repeat(name+" ", 30)) },
			func(b *strings.Builder) {
				(&Printer{To: b, Width: 20}).Paragraph("  ", "%s", strings.Repeat(name+" ", 30))
			},
			func(b *strings.Builder) { Paragraph(b, "  ", "%s %s", strings.Repeat("y", Width-1), name) },
		} {
			var b strings.Builder
			print(&b)
			for n, line := range strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n") {
				if n > 0 && !strings.HasPrefix(line, "  ") {
					t.Errorf("%q begins a line of its own: %q", name, line)
				}
				if err := hostile.Check("| " + strings.TrimSpace(line)); err != nil {
					t.Errorf("%q: %v", name, err)
				}
			}
		}
	}
	if got := Sprintf("%-5s|%3d|%.1f|%#x|%*s", "a\n", 7, 0.25, uint32(255), 3, "b"); got != `a\n  |  7|0.2|0xff|  b` {
		t.Errorf("got %q", got)
	}
}

// A Writer lets a text's own line breaks through, and nothing of a name; a character may come in pieces.
func TestWriter(t *testing.T) {
	for _, name := range append(hostile.Names(), hostile.Innocent...) {
		for size := 1; size <= 4; size++ {
			var out bytes.Buffer
			w := NewWriter(&out)
			for rest := []byte("a\tb " + name + "\n"); len(rest) > 0; rest = rest[min(size, len(rest)):] {
				if n, err := w.Write(rest[:min(size, len(rest))]); err != nil || n != min(size, len(rest)) {
					t.Fatal(n, err)
				}
			}
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			if got, want := out.String(), disarmed(Document("a\tb "+name+"\n")); got != want {
				t.Errorf("%q in pieces of %d: %q, want %q", name, size, got, want)
			}
		}
	}
	var out bytes.Buffer
	w := NewWriter(&out)
	long := strings.Repeat("門", maxPart)
	if _, err := w.Write([]byte(long)); err != nil || out.Len() < maxPart {
		t.Errorf("%v: of a long line %d bytes were written", err, out.Len())
	}
	if Fprintf(w, "\n"); out.String() != long+"\n" {
		t.Error("a long line was changed")
	}
	out.Reset()
	Fprintf(w, "%s %s\n", Paint(Red, "a\x1b[0m"), "\x1b[31m")
	Fprintf(w, "%s\n", Paint("0m\x1b]0;x\a", "b"))
	if want := "\x1b[31ma\\x1b[0m\x1b[0m \\x1b[31m\nb\n"; out.String() != want {
		t.Errorf("styles: %q, want %q", out.String(), want)
	}
}

// JSON stays what it was.
func TestJSON(t *testing.T) {
	for _, name := range append(hostile.Names(), hostile.Innocent...) {
		text, err := json.MarshalIndent(map[string]string{name: name}, "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		safe := JSON(text)
		if err := hostile.Check(string(safe) + "\n"); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		var before, after map[string]string
		if err := errors.Join(json.Unmarshal(text, &before), json.Unmarshal(safe, &after)); err != nil {
			t.Fatalf("%q: %v", safe, err)
		}
		for key, value := range before {
			if after[key] != value {
				t.Errorf("%q became %q", before, after)
			}
		}
	}
}

// Lines are broken by what is seen of them.
func TestParagraph(t *testing.T) {
	long := strings.Repeat("x", 120)
	words := strings.TrimSpace(strings.Repeat("wörter ", 40))
	for _, s := range []string{"", "short", long, "# " + long, "#   " + long + " y", words, "  " + words} {
		var b strings.Builder
		Paragraph(&b, "#   ", "%s", s)
		got := b.String()
		if strings.Join(strings.Fields(strings.ReplaceAll(got, "\n#   ", " ")), " ") != strings.Join(strings.Fields(s), " ") {
			t.Errorf("%q became %q", s, got)
		}
		for line := range strings.Lines(got) {
			if strings.Contains(strings.TrimPrefix(line, "#   "), " ") && !strings.Contains(line, long) && columns(strings.TrimSuffix(line, "\n")) > Width {
				t.Errorf("too wide: %q", line)
			}
		}
	}
	var plainly, painted strings.Builder
	Paragraph(&plainly, "  ", "%s %s", "high", words)
	Paragraph(&painted, "  ", "%s %s", Paint(Red, "high"), words)
	if got := strings.NewReplacer("\x1b[31m", "", "\x1b[0m", "").Replace(painted.String()); got != plainly.String() {
		t.Errorf("a style moves the line break:\n%s\n%s", got, plainly.String())
	}
	var short strings.Builder
	(&Printer{To: &short}).Shortened("    ", "  %s", words+" "+words)
	if rows := strings.Split(strings.TrimSuffix(short.String(), "\n"), "\n"); len(rows) != 3 || !strings.HasSuffix(rows[2], " …") || columns(rows[2]) > Width {
		t.Errorf("shortened: %q", rows)
	}
}
