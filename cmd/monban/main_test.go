package main

import "testing"

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"a.gate:1:1: größer": "a.gate:1:1: größer",
		"\x1b[2J\a\tx\x7f":   `\x1b[2J\a\tx\x7f`,
		"\u009b31m":          `\u009b31m`,
	} {
		if got := printable(in); got != want {
			t.Errorf("printable(%q) = %q, want %q", in, got, want)
		}
	}
}
