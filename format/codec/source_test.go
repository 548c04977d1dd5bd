package codec

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"monban/internal/hostile"
	"monban/policy"
)

// Places count lines and runes from 1; one behind the end of the text is the end.
func TestSourcePos(t *testing.T) {
	const text = "ab\nü名x\n\n\xff\xfeend"
	for _, c := range []struct{ off, line, col int }{
		{0, 1, 1}, {1, 1, 2}, {2, 1, 3}, // the line's end belongs to it
		{3, 2, 1}, {5, 2, 2}, {8, 2, 3}, {9, 2, 4},
		{10, 3, 1},
		{11, 4, 1}, {12, 4, 2}, {13, 4, 3}, // bytes that are not UTF-8 count as one each
		{16, 4, 6}, {math.MaxInt, 4, 6},
	} {
		got := NewSource("a.json", []byte(text)).Pos(c.off)
		if want := (policy.Pos{File: "a.json", Line: c.line, Col: c.col}); got != want {
			t.Errorf("byte %d is at %v, want %v", c.off, got, want)
		}
	}
	if got := NewSource("empty", nil).Pos(7).String(); got != "empty:1:1" {
		t.Errorf("in an empty text: %s", got)
	}
}

// Places in a text of several blocks are those that counting from the start finds.
func TestSourcePosLong(t *testing.T) {
	text := []byte(strings.Repeat("名", block) + "\n" + strings.Repeat("x\n\x80", block) + strings.Repeat("é", block/2))
	s := NewSource("long", text)
	line, col := 1, 1
	for off, b := range text {
		if utf8.RuneStart(b) {
			if got := s.Pos(off); got.Line != line || got.Col != col {
				t.Fatalf("byte %d is at %d:%d, want %d:%d", off, got.Line, got.Col, line, col)
			}
			col++
		}
		if b == '\n' {
			line, col = line+1, 1
		}
	}
}

// Errors are of the type that says where.
func TestErrorf(t *testing.T) {
	src := []byte("{\n  \"a\": 1\n}")
	at := bytes.IndexByte(src, '1')
	in := &Input{Name: "a.json", Src: src}
	for _, err := range []error{in.Errorf(at, "%s is not a %s", "1", "name"), NewSource(in.Name, src).Errorf(at, "%s is not a %s", "1", "name")} {
		e, ok := errors.AsType[*policy.Error](err)
		if !ok || e.Pos != (policy.Pos{File: "a.json", Line: 2, Col: 8}) || e.Msg != "1 is not a name" || err.Error() != "a.json:2:8: 1 is not a name" {
			t.Errorf("%#v", err)
		}
	}
	// Whatever a file's name is, the place has it as it stands: whoever prints it makes it harmless.
	for _, name := range hostile.Names() {
		if got := (&Input{Name: name, Src: src}).Errorf(0, "x").(*policy.Error).Pos.File; got != name {
			t.Errorf("%q became %q", name, got)
		}
	}
}

func TestWrites(t *testing.T) {
	rules := Format{Write: func(*Meaning) (*Text, error) { return nil, nil }}
	programs := Format{WriteProgram: func(*Program) (*Text, error) { return nil, nil }}
	if (Format{}).Writes() || !rules.Writes() || !programs.Writes() {
		t.Errorf("without a writer %v, of rules %v, of programs %v", Format{}.Writes(), rules.Writes(), programs.Writes())
	}
}

// A lazy expression is compiled when it is asked for, once; a wrong one not before.
func TestLazy(t *testing.T) {
	re := Lazy(`^a(b+)$`)
	if first := re(); re() != first || !re().MatchString("abb") || re().MatchString("a") {
		t.Error(re())
	}
	wrong := Lazy(`(`)
	defer func() {
		if said := fmt.Sprint(recover()); !strings.Contains(said, "missing closing )") {
			t.Errorf("a wrong expression: %s", said)
		}
	}()
	wrong()
}
