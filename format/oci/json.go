package oci

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"monban/abi"
	"monban/format/codec"
	"monban/policy"
)

const (
	maxSource = 16 << 20 // bytes; Docker's default profile has 18 thousand
	maxDepth  = 32       // of nesting; a config.json has fewer than ten
)

// A value is a JSON value that knows its place.
type value struct {
	off     int // of its first byte
	text    string
	kind    kind
	items   []*value
	members []member
}

type member struct {
	key string
	off int
	val *value
}

type kind uint8

const (
	null kind = iota
	boolean
	number
	text
	array
	object
)

func (k kind) String() string {
	return [...]string{"null", "a boolean", "a number", "a string", "an array", "an object"}[k]
}

// tree reads the one JSON value of the source. Unlike encoding/json it refuses duplicate keys and bytes that are not
// UTF-8.
func (s source) tree() (*value, error) {
	switch {
	case len(bytes.TrimSpace(s.Src)) == 0:
		return nil, &policy.Error{Pos: policy.Pos{File: s.Name}, Msg: "the file is empty (a seccomp profile is a JSON object)"}
	case !utf8.Valid(s.Src):
		off := 0
		for r, n := utf8.DecodeRune(s.Src); r != utf8.RuneError || n > 1; r, n = utf8.DecodeRune(s.Src[off:]) {
			off += n
		}
		return nil, s.Errorf(off, "byte 0x%02x is not UTF-8 (JSON is UTF-8 text)", s.Src[off])
	}
	t := &treeReader{source: s, dec: json.NewDecoder(bytes.NewReader(s.Src))}
	t.dec.UseNumber()
	v, err := t.value(0)
	if err != nil {
		return nil, err
	}
	if off := t.next(); off < len(s.Src) {
		return nil, s.Errorf(off, "unexpected text after the end of the profile (remove it)")
	}
	return v, nil
}

// A source is the text that is read.
type source struct{ *codec.Source }

type treeReader struct {
	source
	dec *json.Decoder
}

// next is where the next token starts: after blanks and the punctuation that the decoder swallows.
func (t *treeReader) next() int {
	off := int(t.dec.InputOffset())
	for off < len(t.Src) && strings.IndexByte(" \t\r\n,:", t.Src[off]) >= 0 {
		off++
	}
	return off
}

func (t *treeReader) token() (off int, tok json.Token, err error) {
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

func (t *treeReader) value(depth int) (*value, error) {
	off, tok, err := t.token()
	if err != nil {
		return nil, err
	}
	v := &value{off: off}
	switch tok := tok.(type) {
	case nil:
	case bool:
		v.kind = boolean
	case json.Number:
		v.kind, v.text = number, tok.String()
	case string:
		v.kind, v.text = text, tok
	case json.Delim:
		if depth == maxDepth {
			return nil, t.Errorf(off, "nested more than %d deep (a profile needs six)", maxDepth)
		}
		v.kind = array
		if tok == '{' {
			v.kind = object
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
func (t *treeReader) element(v *value, keys map[string]int, depth int) error {
	if v.kind == array {
		item, err := t.value(depth + 1)
		v.items = append(v.items, item)
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
	v.members = append(v.members, member{key, off, val})
	return err
}

func (v *value) member(key string) *member {
	i := slices.IndexFunc(v.members, func(m member) bool { return m.key == key })
	if i < 0 {
		return nil
	}
	return &v.members[i]
}

// did is " (did you mean X?)" for the nearest of the names, or else the given hint.
func did(word string, among []string, otherwise string) string {
	if near := abi.Suggest(word, slices.Values(among)); near != "" {
		return " (did you mean " + near + "?)"
	}
	return otherwise
}
