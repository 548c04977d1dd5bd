package source

import (
	"strings"

	"monban/format/codec"
	"monban/policy/lang"
)

// A token is a word, a number or one symbol; text is "" at the end.
type token struct {
	text string
	off  int
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || c >= 0x80
}

// lex drops blanks, comments, strings and lines of the preprocessor.
func lex(in *codec.Input) ([]token, error) {
	src := string(in.Src)
	var all []token
	fresh := true // nothing but blanks in this line yet
	for i := 0; i < len(src); {
		if len(all) == lang.MaxTokens {
			return nil, in.Errorf(i, "more than %d words and signs: that is not a gate", lang.MaxTokens)
		}
		c, rest := src[i], src[i:]
		switch {
		case c == '\n':
			fresh = true
			i++
			continue
		case c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v' || c == '\\':
			i++
			continue
		case c == '#' && fresh:
			for i < len(src) && src[i] != '\n' {
				if strings.HasPrefix(src[i:], "\\\n") {
					i++
				}
				i++
			}
			continue
		case strings.HasPrefix(rest, "//"):
			n := strings.IndexByte(rest, '\n')
			if n < 0 {
				n = len(rest)
			}
			i += n
			continue
		case strings.HasPrefix(rest, "/*"):
			n := strings.Index(rest[2:], "*/")
			if n < 0 {
				return nil, in.Errorf(i, "the comment does not end (is the file truncated?)")
			}
			i += n + 4
			continue
		case c == '"' || c == '\'' || c == '`':
			n := 1
			for n < len(rest) && rest[n] != c {
				if rest[n] == '\\' && c != '`' {
					n++
				}
				n++
			}
			if n >= len(rest) {
				return nil, in.Errorf(i, "the string does not end (is the file truncated?)")
			}
			all = append(all, token{`""`, i})
			i += n + 1
		case isWord(c):
			n := 1
			for n < len(rest) && isWord(rest[n]) {
				n++
			}
			all = append(all, token{rest[:n], i})
			i += n
		case strings.HasPrefix(rest, "<<"):
			all = append(all, token{rest[:2], i})
			i += 2
		default:
			all = append(all, token{rest[:1], i})
			i++
		}
		fresh = false
	}
	return append(all, token{"", len(src)}), nil
}
