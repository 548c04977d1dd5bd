package expect_test

import (
	"path/filepath"
	"testing"

	"monban/expect"
)

func TestRef(t *testing.T) {
	for _, tt := range []struct {
		gate, path string
		beside     []string
		want, err  string
	}{
		{"@libc", "d/a.expect", nil, "@libc", ""},
		{"web.gate", "d/a.expect", nil, filepath.Join("d", "web.gate"), ""},
		{"web.gate", "-", nil, "web.gate", ""},
		{"", "d/a.expect", []string{"d/a.json"}, "d/a.json", ""},
		{"", "-", []string{"d/a.json"}, "", `standard input: it must name its gate: gate "web.gate"`},
		{"", "d/a.expect", nil, "", `d/a.expect: there is no gate next to it: name one with a line  gate "web.gate", or call it d/a.gate`},
		{"", "d/a.expect", []string{"d/a.gate", "d/a.json"}, "", `d/a.expect: which gate is meant? there are d/a.gate and d/a.json: say it with a line  gate "a.gate"`},
	} {
		got, err := (&expect.File{Gate: tt.gate}).Ref(tt.path, tt.beside)
		if text := ""; err != nil {
			text = err.Error()
			if text != tt.err {
				t.Errorf("%+v: %s", tt, text)
			}
		} else if got != tt.want || tt.err != "" {
			t.Errorf("%+v: %s", tt, got)
		}
	}
}
