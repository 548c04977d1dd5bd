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
	wrong // no token of the language
)

type token struct {
	kind kind
	text string // as written; of a quoted token, what is between the quotes; of a wrong one, what is wrong with it
	pos  policy.Pos
	off  int // of pos, in the source
}

// end is the place after the token.
func (t token) end() policy.Pos {
	p := t.pos
	switch t.kind {
	case newline, end:
	case wrong:
		p.Col++
	case quoted:
		p.Col += utf8.RuneCountInString(t.text) + 2
	default:
		p.Col += utf8.RuneCountInString(t.text)
	}
	return p
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

// lex splits a policy's text into tokens; newlines inside brackets are kept, the parser goes past them. The error says
// that the text is too long.
func lex(file string, src []byte) ([]token, error) { return lexWith(symbols, file, src) }

func lexWith(symbols []string, file string, src []byte) ([]token, error) {
	if len(src) > MaxSize {
		return nil, errorf(policy.Pos{File: file}, "a policy of %d bytes: the limit is %d", len(src), MaxSize)
	}
	l := lexer{symbols: symbols, src: src, pos: policy.Pos{File: file, Line: 1, Col: 1}, tokens: make([]token, 0, len(src)/6)}
	for l.i < len(src) {
		if len(l.tokens) == MaxTokens {
			return nil, errorf(l.here(), "more than %d words and signs: that is not a gate", MaxTokens)
		}
		l.token()
	}
	return append(l.tokens, token{kind: end, pos: l.here(), off: len(src)}), nil
}

type lexer struct {
	symbols []string
	src     []byte
	i       int
	pos     policy.Pos
	counted int // pos is the place of src[counted]
	tokens  []token
}

// here is the place of the next byte.
func (l *lexer) here() policy.Pos {
	l.pos.Col += utf8.RuneCount(l.src[l.counted:l.i])
	l.counted = l.i
	return l.pos
}

// add takes n bytes as a token.
func (l *lexer) add(k kind, n int, text string) {
	l.tokens = append(l.tokens, token{k, text, l.here(), l.i})
	l.i += n
}

// take takes n bytes as a token that is its own text.
func (l *lexer) take(k kind, n int) { l.add(k, n, string(l.src[l.i:l.i+n])) }

// wrong takes n bytes that are not a token, with what is wrong with them.
func (l *lexer) wrong(n int, format string, args ...any) {
	l.add(wrong, n, fmt.Sprintf(format, args...))
}

// token takes the next token. What shows that the file is not a policy at all is wrong to its end.
func (l *lexer) token() {
	rest := l.src[l.i:]
	c := rest[0]
	switch {
	case c == '\n':
		l.take(newline, 1)
		l.pos.Line, l.pos.Col, l.counted = l.pos.Line+1, 1, l.i
	case c == '\r':
		l.carriageReturn(rest)
	case c == ' ' || c == '\t':
		l.i++
	case c == '#':
		l.comment(rest)
	case c == '"':
		l.quoted(rest)
	case c == '@':
		l.take(name, 1+span(rest[1:], "-_."))
	case c >= '0' && c <= '9':
		n := span(rest, "_")
		// A version has a dot, a range has two.
		for n+1 < len(rest) && rest[n] == '.' && rest[n+1] >= '0' && rest[n+1] <= '9' {
			n += 1 + span(rest[n+1:], "_")
		}
		l.take(number, n)
	case isWord(c):
		l.take(word, span(rest, "_"))
	default:
		l.symbol(rest)
	}
}

// blanks are what may stand at the end of a row without being seen.
const blanks = " \t\r"

// rowOf is the text up to the end of its row.
func rowOf(rest []byte) []byte {
	if n := bytes.IndexByte(rest, '\n'); n >= 0 {
		return rest[:n]
	}
	return rest
}

func (l *lexer) carriageReturn(rest []byte) {
	if n := len(rowOf(rest)); len(bytes.TrimRight(rest[:n], blanks)) == 0 {
		l.i += n
		return
	}
	l.wrong(len(rest), "a carriage return inside a line: some editors end a line here, Monban does not (take it out)")
}

func (l *lexer) comment(rest []byte) {
	n := len(rowOf(rest))
	text := bytes.TrimRight(rest[:n], blanks)
	if bytes.IndexByte(text, '\r') >= 0 {
		l.wrong(len(rest), "a carriage return inside this comment: some editors end the line there, Monban does not (take it out)")
		return
	}
	l.add(comment, n, string(text))
}

func (l *lexer) quoted(rest []byte) {
	n := 1
	for n < len(rest) && rest[n] != '"' && rest[n] != '\n' {
		n++
	}
	if n == len(rest) || rest[n] == '\n' {
		l.wrong(n, `this string does not end: write a closing "`)
		return
	}
	text := string(rest[1:n])
	if shown := plain.Text(text); shown != text {
		l.wrong(n+1, `"%s": a name with characters that nobody sees, or that a terminal obeys (give the file another one)`, shown)
		return
	}
	l.add(quoted, n+1, text)
}

func (l *lexer) symbol(rest []byte) {
	for _, s := range l.symbols {
		if strings.HasPrefix(string(rest[:min(2, len(rest))]), s) {
			l.take(symbol, len(s))
			return
		}
	}
	r, n := utf8.DecodeRune(rest)
	switch {
	case r == utf8.RuneError || r < ' ':
		l.wrong(len(rest), "a byte 0x%02x is not policy text: is this a .gate file?", rest[0])
	case r == '=':
		l.wrong(n, "unexpected '=' (did you mean ==?)")
	default:
		l.wrong(n, "unexpected %q", r)
	}
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
