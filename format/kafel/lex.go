package kafel

import (
	"bytes"
	"strconv"
	"strings"

	"monban/format/codec"
)

type kind uint8

const (
	end kind = iota
	word
	number
	quoted
	punct
	broken // what is not a token; text says why
)

// A token is one word of a policy; included files are read as if they stood in the text.
type token struct {
	kind kind
	text string
	num  uint64
	off  int
	src  *codec.Source
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }

// lex cuts one token off the text at off, after blanks and comments; next is where it ends.
func lex(s *codec.Source, off int) (t token, next int) {
	src := s.Src
	for off < len(src) {
		rest := src[off:]
		switch {
		case strings.IndexByte(" \t\r\n", rest[0]) >= 0:
			off++
			continue
		case bytes.HasPrefix(rest, []byte("//")):
			if n := bytes.IndexByte(rest, '\n'); n >= 0 {
				off += n
				continue
			}
			return token{off: len(src), src: s}, len(src)
		case bytes.HasPrefix(rest, []byte("/*")):
			n := bytes.Index(rest[2:], []byte("*/"))
			if n < 0 {
				return token{broken, "the comment does not end (add */)", 0, off, s}, len(src)
			}
			off += n + 4
			continue
		}
		break
	}
	if off >= len(src) {
		return token{off: len(src), src: s}, len(src)
	}
	rest := src[off:]
	n := 1
	for n < len(rest) && (isLetter(rest[n]) || isDigit(rest[n]) || rest[n] == '_') {
		n++
	}
	switch c := rest[0]; {
	case isLetter(c):
		return token{word, string(rest[:n]), 0, off, s}, off + n
	case isDigit(c) || c == '-':
		v, err := parseNumber(string(rest[:n]))
		if err != "" {
			return token{broken, err, 0, off, s}, off + n
		}
		return token{number, string(rest[:n]), v, off, s}, off + n
	case c == '"':
		if n := bytes.IndexAny(rest[1:], "\"\n"); n > 0 && rest[1+n] == '"' {
			return token{quoted, string(rest[1 : 1+n]), 0, off, s}, off + n + 2
		}
		return token{broken, "the file's name does not end in this line (add \")", 0, off, s}, len(src)
	}
	for _, p := range []string{"==", "!=", "<=", ">=", "&&", "||"} {
		if bytes.HasPrefix(rest, []byte(p)) {
			return token{punct, p, 0, off, s}, off + 2
		}
	}
	if strings.IndexByte("<>&|[](){},!#;", rest[0]) >= 0 {
		return token{punct, string(rest[:1]), 0, off, s}, off + 1
	}
	return token{broken, "unexpected " + strconv.QuoteRune([]rune(string(rest[:min(4, len(rest))]))[0]) + " (remove it)", 0, off, s}, off + 1
}

// parseNumber reads 10, -1, 0x1f, 017 and 0b11; negative numbers are decimal.
func parseNumber(text string) (v uint64, wrong string) {
	digits, base := text, 10
	switch {
	case strings.HasPrefix(text, "0x"):
		digits, base = text[2:], 16
	case strings.HasPrefix(text, "0b"):
		digits, base = text[2:], 2
	case len(text) > 1 && text[0] == '0':
		digits, base = text[1:], 8
	case text[0] == '-':
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n == 0 {
			return 0, text + " is not a 64-bit number"
		}
		return uint64(n), ""
	}
	v, err := strconv.ParseUint(digits, base, 64)
	if err != nil {
		return 0, text + " is not a 64-bit number (write 10, -1, 0x1f, 017 or 0b11)"
	}
	return v, ""
}
