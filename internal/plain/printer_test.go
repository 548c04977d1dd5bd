package plain

import (
	"errors"
	"strings"
	"testing"
)

// full is a writer that takes some bytes.
type full struct{ left int }

var errFull = errors.New("it is full")

func (f *full) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

// A Printer has the width and styles that it was made with, and keeps its writer's first error.
func TestPrinter(t *testing.T) {
	for _, tt := range []struct {
		p    Printer
		want string
	}{
		{Printer{}, "one two three four\n"},
		{Printer{Width: 10}, "one two\n  three\n  four\n"},
		{Printer{Width: 10, Styles: true}, "\x1b[31mone\x1b[0m two\n  three\n  four\n"},
	} {
		var b strings.Builder
		tt.p.To = &b
		tt.p.Paragraph("  ", "%s two three four", tt.p.Styled(Red, "one"))
		if b.String() != tt.want || tt.p.Err() != nil {
			t.Errorf("%q, %v, want %q", b.String(), tt.p.Err(), tt.want)
		}
	}
	p := Printer{To: &full{5}}
	p.Printf("%s\n", "abc")
	if p.Err() != nil {
		t.Error(p.Err())
	}
	p.Text("too long for it\n")
	p.Printf("\n")
	if !errors.Is(p.Err(), errFull) {
		t.Errorf("%v, want %v", p.Err(), errFull)
	}
	var b strings.Builder
	text := Printer{To: &b}
	text.Text("a gate\n\tof \x1b[31m\n::error::\n")
	if want := "a gate\n\tof \\x1b[31m\n\\x3a:error::\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}
