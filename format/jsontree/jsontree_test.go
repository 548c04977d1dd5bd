package jsontree_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"monban/format/codec"
	"monban/format/jsontree"
	"monban/internal/hostile"
	"monban/policy"
)

func parse(src string) (*jsontree.Value, error) {
	return jsontree.Parse(codec.NewSource("f", []byte(src)), "profile")
}

// Every value knows its place and what it is.
func TestParse(t *testing.T) {
	v, err := parse(" {\"a\": [1, \"x\", null, true], \"ü\" :\n{} , \"n\":-1.5e3}")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	var walk func(name string, v *jsontree.Value)
	walk = func(name string, v *jsontree.Value) {
		got = append(got, fmt.Sprintf("%s %d %s %q", name, v.Off, v.Kind, v.Text))
		for _, item := range v.Items {
			walk("-", item)
		}
		for _, m := range v.Members {
			walk(fmt.Sprintf("%s@%d", m.Key, m.Off), m.Val)
		}
	}
	walk("", v)
	want := []string{
		` 1 an object ""`, `a@2 7 an array ""`, `- 8 a number "1"`, `- 11 a string "x"`, `- 16 null ""`, `- 22 a boolean ""`,
		`ü@29 36 an object ""`, `n@41 45 a number "-1.5e3"`,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if m := v.Member("n"); m == nil || m.Off != 41 || v.Member("b") != nil || v.Member("a").Val.Member("a") != nil {
		t.Errorf("member n is %+v, b %+v", m, v.Member("b"))
	}
}

// What is wrong is said with its place, in one line.
func TestParseErrors(t *testing.T) {
	for src, want := range map[string]string{
		"":                                "f: the file is empty (a seccomp profile is a JSON object)",
		" \n\t":                           "f: the file is empty",
		`{"a": 1} 2`:                      "f:1:10: unexpected text after the end of the profile (remove it)",
		"{}\n}":                           "f:2:1: unexpected text after the end of the profile",
		`{"a": 1, "b": 2, "a": 3}`:        `f:1:18: duplicate key "a" (first in line 1: remove one)`,
		"{\"a\": {\"x\": 1,\n\"x\": 1}}":  `f:2:1: duplicate key "x" (first in line 1`,
		"{\"\\u0061\": 1, \"a\": 1}":      `f:1:15: duplicate key "a"`,
		"[1, 2":                           "f:1:6: the file ends in the middle of a value",
		`{"a`:                             "f:1:4: the file ends in the middle of a value",
		`{"a":`:                           "f:1:6: the file ends in the middle of a value",
		`[1 2]`:                           "f:1:4: not JSON: ",
		`{"a" 1}`:                         "f:1:6: not JSON: ",
		`{1: 2}`:                          "f:1:2: not JSON: ",
		`[01]`:                            "f:1:3: not JSON: ",
		`nul`:                             "f:1:4: the file ends",
		`{"a": 'x'}`:                      "f:1:7: not JSON: ",
		`// x`:                            "f:1:1: not JSON: ",
		"{\"a\": \"\xff\"}":               "f:1:8: byte 0xff is not UTF-8",
		"\xfe":                            "f:1:1: byte 0xfe is not UTF-8",
		"[\"größe\", \xc3":                "f:1:11: byte 0xc3 is not UTF-8",
		"[\"\x00\"]":                      "f:1:2: not JSON: ",
		strings.Repeat("[", 33):           "f:1:33: nested more than 32 deep (a profile needs six)",
		strings.Repeat(`{"a":`, 1_000_00): "f:1:161: nested more than 32 deep",
	} {
		_, err := parse(src)
		if e, ok := errors.AsType[*policy.Error](err); !ok || !strings.HasPrefix(e.Error(), want) || strings.Contains(e.Error(), "\n") {
			t.Errorf("%.40q: %v, want %s", src, err, want)
		}
	}
	if _, err := parse(strings.Repeat("[", 32) + strings.Repeat("]", 32)); err != nil {
		t.Errorf("32 deep: %v", err)
	}
}

// A key or text is what was written, whatever that is, and never ends a message's line.
func TestParseHostile(t *testing.T) {
	for _, name := range hostile.Names() {
		quoted := fmt.Sprintf("%+q", strings.ToValidUTF8(name, "?"))
		if strings.Contains(quoted, `\x`) || strings.Contains(quoted, `\a`) || strings.Contains(quoted, `\v`) || strings.Contains(quoted, `\U`) {
			continue // Go's own escapes
		}
		v, err := parse("{" + quoted + ": " + quoted + "}")
		if err != nil || v.Members[0].Key != strings.ToValidUTF8(name, "?") || v.Members[0].Val.Text != v.Members[0].Key {
			t.Errorf("%q: %+v, %v", name, v, err)
		}
		if _, err := parse("{" + quoted + ": 1, " + quoted + ": 2}"); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q twice: %q", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, src := range []string{`{"a": [1, "x", null]}`, `{"a": 1, "a": 2}`, "[[[", "{\"\\ud800\": tru"} {
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src string) {
		v, err := parse(src)
		if (v == nil) == (err == nil) {
			t.Errorf("%q: %v, %v", src, v, err)
		}
		var check func(v *jsontree.Value, from, to int)
		check = func(v *jsontree.Value, from, to int) {
			if v.Off < from || v.Off >= to {
				t.Errorf("%q: %s at %d, not between %d and %d", src, v.Kind, v.Off, from, to)
			}
			for _, item := range v.Items {
				check(item, v.Off+1, to)
			}
			for _, m := range v.Members {
				check(m.Val, m.Off+1, to)
			}
		}
		if err == nil {
			check(v, 0, len(src))
		}
	})
}
