package bpf

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// A SyntaxError is a mistake in assembly text, at a line and column that count from 1, columns in characters.
type SyntaxError struct {
	File         string
	Line, Column int
	Message      string
	Err          error // a *CheckError if the text is well-formed and the kernel would refuse the program
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
}

func (e *SyntaxError) Unwrap() error { return e.Err }

type place struct{ line, column int }

type tokenKind uint8

const (
	tokenEnd     tokenKind = iota // of the text
	tokenNewline                  // end of a line that has something on it
	tokenWord                     // jeq, args, .lo, ip.lo, .order
	tokenNumber                   // starts with a digit: 12, 0xc000003e
	tokenMark                     // one of # [ ] ( ) , : - %
)

type token struct {
	kind tokenKind
	text string
	at   place
}

// String names the token in messages.
func (t token) String() string {
	switch t.kind {
	case tokenEnd:
		return "the end of the text"
	case tokenNewline:
		return "the end of the line"
	}
	return fmt.Sprintf("%q", t.text)
}

// lex cuts the text into tokens. Comments run from ; or // to the end of the line, or from /* to */.
func lex(src string) ([]token, error) {
	var out []token
	at := place{1, 1}
	advance := func(n int) {
		for _, r := range src[:n] {
			if at.column++; r == '\n' {
				at = place{at.line + 1, 1}
			}
		}
		src = src[n:]
	}
	for src != "" {
		n := 1
		switch c := src[0]; {
		case c == '\n':
			if len(out) > 0 && out[len(out)-1].kind != tokenNewline {
				out = append(out, token{tokenNewline, "", at})
			}
		case c == ' ' || c == '\t' || c == '\r':
		case c == ';' || strings.HasPrefix(src, "//"):
			if n = strings.IndexByte(src, '\n'); n < 0 {
				n = len(src)
			}
		case strings.HasPrefix(src, "/*"):
			if n = strings.Index(src[2:], "*/") + 4; n < 4 {
				return nil, &SyntaxError{Line: at.line, Column: at.column, Message: "a comment /* without its */"}
			}
		case isWord(c):
			for n < len(src) && isWord(src[n]) {
				n++
			}
			kind := tokenWord
			if c >= '0' && c <= '9' {
				kind = tokenNumber
			}
			out = append(out, token{kind, src[:n], at})
		case strings.IndexByte("#[](),:-%", c) >= 0:
			out = append(out, token{tokenMark, src[:1], at})
		default:
			message := "this is not text: assembly language is UTF-8"
			if r, _ := utf8.DecodeRuneInString(src); r != utf8.RuneError && r >= ' ' {
				message = fmt.Sprintf("unexpected character %q", r)
			}
			return nil, &SyntaxError{Line: at.line, Column: at.column, Message: message}
		}
		advance(n)
	}
	if len(out) > 0 && out[len(out)-1].kind != tokenNewline {
		out = append(out, token{tokenNewline, "", at})
	}
	return append(out, token{tokenEnd, "", at}), nil
}

func isWord(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '.'
}
