// Package jsontree reads JSON as a tree whose every value knows its place, for errors that point.
package jsontree

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"monban/format/codec"
	"monban/policy"
)

const (
	maxDepth = 32 // of nesting; a config.json has fewer than ten
)

// A Value is a JSON value that knows its place.
type Value struct {
	Off     int    // of its first byte
	Text    string // a string's, or a number as it is written
	Kind    Kind
	Items   []*Value // of an array
	Members []Member // of an object, in order
}

// A Member is a key of an object and its value.
type Member struct {
	Key string
	Off int // of the key
	Val *Value
}

// A Kind is what a value is.
type Kind uint8

// The kinds.
const (
	Null Kind = iota
	Boolean
	Number
	String
	Array
	Object
)

// String is "an object" and so on.
func (k Kind) String() string {
	return [...]string{"null", "a boolean", "a number", "a string", "an array", "an object"}[k]
}

// Parse reads the one JSON value of a source. Unlike encoding/json it refuses duplicate keys and bytes that are not
// UTF-8. Messages call the text what: profile.
func Parse(s *codec.Source, what string) (*Value, error) {
	switch {
	case len(bytes.TrimSpace(s.Src)) == 0:
		return nil, &policy.Error{Pos: policy.Pos{File: s.Name}, Msg: "the file is empty (a seccomp " + what + " is a JSON object)"}
	case !utf8.Valid(s.Src):
		off := 0
		for r, n := utf8.DecodeRune(s.Src); r != utf8.RuneError || n > 1; r, n = utf8.DecodeRune(s.Src[off:]) {
			off += n
		}
		return nil, s.Errorf(off, "byte 0x%02x is not UTF-8 (JSON is UTF-8 text)", s.Src[off])
	}
	t := &reader{Source: s, what: what, dec: json.NewDecoder(bytes.NewReader(s.Src))}
	t.dec.UseNumber()
	v, err := t.value(0)
	if err != nil {
		return nil, err
	}
	if off := t.next(); off < len(s.Src) {
		return nil, s.Errorf(off, "unexpected text after the end of the %s (remove it)", what)
	}
	return v, nil
}

type reader struct {
	*codec.Source
	what string
	dec  *json.Decoder
}

// next is where the next token starts: after blanks and the punctuation that the decoder swallows.
func (t *reader) next() int {
	off := int(t.dec.InputOffset())
	for off < len(t.Src) && strings.IndexByte(" \t\r\n,:", t.Src[off]) >= 0 {
		off++
	}
	return off
}

func (t *reader) token() (off int, tok json.Token, err error) {
	off = t.next()
	tok, err = t.dec.Token()
	if err == nil {
		return off, tok, nil
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, nil, t.Errorf(len(t.Src), "the file ends in the middle of a value (is it truncated?)")
	}
	what := err.Error()
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		off, what = max(int(syntax.Offset)-1, 0), syntax.Error()
		// The decoder counts from the start of the token in some cases, from that of the input in others.
		if off < int(t.dec.InputOffset()) {
			off = t.next()
		}
	}
	return 0, nil, t.Errorf(off, "not JSON: %s (check the commas and quotes before this place)", what)
}

func (t *reader) value(depth int) (*Value, error) {
	off, tok, err := t.token()
	if err != nil {
		return nil, err
	}
	v := &Value{Off: off}
	switch tok := tok.(type) {
	case nil:
	case bool:
		v.Kind = Boolean
	case json.Number:
		v.Kind, v.Text = Number, tok.String()
	case string:
		v.Kind, v.Text = String, tok
	case json.Delim:
		if depth == maxDepth {
			return nil, t.Errorf(off, "nested more than %d deep (a %s needs six)", maxDepth, t.what)
		}
		v.Kind = Array
		if tok == '{' {
			v.Kind = Object
		}
		keys := map[string]int{} // of the object, with their places
		for t.dec.More() {
			if err := t.element(v, keys, depth); err != nil {
				return nil, err
			}
		}
		if _, _, err := t.token(); err != nil { // the closing bracket
			return nil, err
		}
	}
	return v, nil
}

// element reads one item or one member of v.
func (t *reader) element(v *Value, keys map[string]int, depth int) error {
	if v.Kind == Array {
		item, err := t.value(depth + 1)
		v.Items = append(v.Items, item)
		return err
	}
	off, tok, err := t.token()
	if err != nil {
		return err
	}
	key, ok := tok.(string)
	if !ok {
		return t.Errorf(off, "an object's key must be a string")
	}
	if first, dup := keys[key]; dup {
		return t.Errorf(off, "duplicate key %q (first in line %d: remove one)", key, t.Pos(first).Line)
	}
	keys[key] = off
	val, err := t.value(depth + 1)
	v.Members = append(v.Members, Member{key, off, val})
	return err
}

// Member is an object's member of that key, or nil.
func (v *Value) Member(key string) *Member {
	i := slices.IndexFunc(v.Members, func(m Member) bool { return m.Key == key })
	if i < 0 {
		return nil
	}
	return &v.Members[i]
}
