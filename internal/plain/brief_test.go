package plain

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestBrief(t *testing.T) {
	for _, c := range []struct {
		text string
		most int
		want string
	}{
		{"", 3, ""}, {"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"門番門", 3, "門番門"}, {"門番門番", 3, "門番…"}, {"ab", 1, "…"},
	} {
		if got := Brief(c.text, c.most); got != c.want {
			t.Errorf("%q in %d: %q, want %q", c.text, c.most, got, c.want)
		}
	}
}

func TestMessage(t *testing.T) {
	long := strings.Repeat("x", 4<<20)
	if got, want := Message("unknown action "+long+" (did you mean allow?)"), "unknown action "+long[:59]+"… (did you mean allow?)"; got != want {
		t.Errorf("%.300q, want %q", got, want)
	}
	for _, kept := range []string{"", "short", "no such file: " + long[:250], strings.Repeat("one of many ", 100), strings.Repeat("門", 255)} {
		if got := Message(kept); got != kept {
			t.Errorf("%q became %q", kept, got)
		}
	}
	for _, text := range []string{strings.Repeat("門番 ", 1<<20), strings.Repeat("\xff ", 1<<20), strings.Repeat("\x80", 4000)} {
		got := Message("begin " + text + " end")
		if len(got) > longLine+10 || !strings.HasPrefix(got, "begin ") || !strings.HasSuffix(got, " end") {
			t.Errorf("%d bytes: %.100q", len(got), got)
		}
		if utf8.ValidString(text) && !utf8.ValidString(got) {
			t.Errorf("a character was cut: %q", got)
		}
	}
}

func TestList(t *testing.T) {
	parts := strings.Fields(strings.Repeat("a ", 18))
	if got, want := List(parts[:16], " or "), strings.Repeat("a or ", 15)+"a"; got != want {
		t.Errorf("16 parts: %q", got)
	}
	if got, want := List(parts, " or "), strings.Repeat("a or ", 15)+"a … and 2 more"; got != want {
		t.Errorf("18 parts: %q", got)
	}
}
