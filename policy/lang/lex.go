package lang

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"monban/internal/plain"
	"monban/policy"
)

func errorf(pos policy.Pos, format string, args ...any) error {
	return &policy.Error{Pos: pos, Msg: fmt.Sprintf(format, args...)}
}

type kind uint8

const (
	word    kind = iota // read, AF_UNIX, x86_64
	number              // 12, 0x1f, 6.12
	name                // @basic-io
	quoted              // "base.gate"
	symbol              // ( ) { } , : .. == && …
	comment             // # to the end of the line
	newline
	end
)

type token struct {
	kind kind
	text string // as written; of a quoted token, what is between the quotes
	pos  policy.Pos
}

func (t token) is(text string) bool { return t.kind == symbol && t.text == text }

// describe names the token in an error.
func (t token) describe() string {
	switch t.kind {
	case newline, comment:
		return "the end of the line"
	case end:
		return "the end of the file"
	case quoted:
		return fmt.Sprintf("%q", t.text)
	}
	return t.text
}

var symbols = []string{"..", "==", "!=", "<=", ">=", "&&", "||", "<", ">", "&", "|", "^", "~", "!", "(", ")", "{", "}", ",", ":", "-", "/"}

// lex splits a policy's text into tokens; newlines inside brackets are kept, the parser passes over them.
func lex(file string, src []byte) ([]token, error) { return lexWith(symbols, file, src) }

func lexWith(symbols []string, file string, src []byte) ([]token, error) {
	if len(src) > MaxSize {
		return nil, errorf(policy.Pos{File: file}, "a policy of %d bytes: the limit is %d", len(src), MaxSize)
	}
	src = bytes.TrimPrefix(src, []byte("\ufeff")) // some editors put it there
	tokens := make([]token, 0, len(src)/6)
	line, col, counted := 1, 1, 0 // col is the column of src[counted]
	for i := 0; i < len(src); {
		c := src[i]
		col += utf8.RuneCount(src[counted:i])
		counted = i
		pos := policy.Pos{File: file, Line: line, Col: col}
		if len(tokens) == MaxTokens {
			return nil, errorf(pos, "more than %d words and signs: that is no gate", MaxTokens)
		}
		add := func(k kind, n int) {
			tokens = append(tokens, token{k, string(src[i : i+n]), pos})
			i += n
		}
		rest := src[i:]
		switch {
		case c == '\n':
			add(newline, 1)
			line, col, counted = line+1, 1, i
		case c == '\r' && (i+1 == len(src) || src[i+1] != '\n'):
			return nil, errorf(pos, "a carriage return inside a line: some editors end a line here, Monban does not (take it out)")
		case c == ' ' || c == '\t' || c == '\r':
			i++
		case c == '#':
			n := bytes.IndexByte(rest, '\n')
			if n < 0 {
				n = len(rest)
			}
			if cr := bytes.IndexByte(rest[:n], '\r'); cr >= 0 && cr < n-1 {
				return nil, errorf(pos, "a carriage return inside this comment: some editors end the line there, Monban does not (take it out)")
			}
			add(comment, n)
			last := &tokens[len(tokens)-1]
			last.text = strings.TrimRight(last.text, " \t\r")
		case c == '"':
			n := 1
			for n < len(rest) && rest[n] != '"' && rest[n] != '\n' {
				n++
			}
			if n == len(rest) || rest[n] == '\n' {
				return nil, errorf(pos, `this string does not end: write a closing "`)
			}
			add(quoted, n+1)
			last := &tokens[len(tokens)-1]
			last.text = last.text[1 : len(last.text)-1]
			if shown := plain.Text(last.text); shown != last.text {
				return nil, errorf(pos, `"%s": a name with characters that nobody sees, or that a terminal obeys (give the file another one)`, shown)
			}
		case c == '@':
			add(name, 1+span(rest[1:], "-_."))
		case c >= '0' && c <= '9':
			n := span(rest, "_")
			// A version has a dot, a range has two.
			for n+1 < len(rest) && rest[n] == '.' && rest[n+1] >= '0' && rest[n+1] <= '9' {
				n += 1 + span(rest[n+1:], "_")
			}
			add(number, n)
		case isWord(c):
			add(word, span(rest, "_"))
		default:
			found := false
			for _, s := range symbols {
				if strings.HasPrefix(string(rest[:min(2, len(rest))]), s) {
					add(symbol, len(s))
					found = true
					break
				}
			}
			if !found {
				r, _ := utf8.DecodeRune(rest)
				if r == utf8.RuneError || c < ' ' {
					return nil, errorf(pos, "a byte 0x%02x is not policy text: is this a .gate file?", c)
				}
				hint := ""
				if c == '=' {
					hint = " (did you mean ==?)"
				}
				return nil, errorf(pos, "unexpected %q%s", r, hint)
			}
		}
	}
	return append(tokens, token{end, "", policy.Pos{File: file, Line: line, Col: col + utf8.RuneCount(src[counted:])}}), nil
}

func isWord(c byte) bool {
	return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

func span(b []byte, also string) int {
	n := 0
	for n < len(b) && (isWord(b[n]) || strings.IndexByte(also, b[n]) >= 0) {
		n++
	}
	return n
}
