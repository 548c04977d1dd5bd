package minijail

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"monban/policy"
	"monban/policy/lang"
)

// A token is a word, a number, a path or a symbol of a policy.
type token struct {
	kind kind
	text string
	pos  policy.Pos
}

type kind uint8

const (
	end kind = iota // of the statement
	word
	number
	file
	directive // @include
	symbol
)

func (t token) String() string {
	if t.kind == end {
		return "the end of the line"
	}
	return fmt.Sprintf("%q", t.text)
}

func errorf(pos policy.Pos, format string, args ...any) error {
	return &policy.Error{Pos: pos, Msg: fmt.Sprintf(format, args...)}
}

// symbols, longer ones first.
var symbols = []string{"||", "&&", "==", "!=", "<=", ">=", ":", ";", ",", "~", "(", ")", "{", "}", "[", "]", "|", "&", "<", ">", "=", "!"}

// statements cuts a text into statements: lines, where a backslash at the end joins the next one.
func (r *reader) statements(name string, src []byte) (all [][]token, err error) {
	var open []token
	n := 0
	for line := range bytes.SplitSeq(src, []byte("\n")) {
		n++
		line = bytes.TrimSuffix(line, []byte("\r"))
		more := bytes.HasSuffix(line, []byte(`\`))
		tokens, err := r.lex(name, n, strings.TrimSuffix(string(line), `\`))
		if err != nil {
			return nil, err
		}
		if open = append(open, tokens...); more {
			continue
		}
		if len(open) > 0 {
			all = append(all, append(open, token{end, "", policy.Pos{File: name, Line: n, Col: len(line) + 1}}))
			open = nil
		}
	}
	if len(open) > 0 {
		return nil, errorf(policy.Pos{File: name, Line: n, Col: 1}, `the file ends after a \ that joins the next line (remove it)`)
	}
	return all, nil
}

// lex cuts a line into tokens; the reader counts those of all files.
func (r *reader) lex(name string, line int, text string) (tokens []token, err error) {
	defer func() { r.tokens += len(tokens) }()
	col, counted := 1, 0
	for i := 0; i < len(text); {
		rest := text[i:]
		col += utf8.RuneCountInString(text[counted:i])
		counted = i
		pos := policy.Pos{File: name, Line: line, Col: col}
		if r.tokens+len(tokens) >= lang.MaxTokens {
			return nil, errorf(pos, "more than %d words and signs: that is not a policy", lang.MaxTokens)
		}
		switch c := rest[0]; {
		case c == '#':
			return tokens, nil
		case c == ' ' || c == '\t' || c == '\f' || c == '\v':
			i++
			continue
		case c == '@':
			n := 1 + run(rest[1:], isLetter)
			tokens = append(tokens, token{directive, rest[:n], pos})
			i += n
			continue
		case c == '/' || strings.HasPrefix(rest, "./"):
			n := run(rest, func(c byte) bool { return c != ' ' && c != '\t' })
			tokens = append(tokens, token{file, rest[:n], pos})
			i += n
			continue
		case isDigit(c) || c == '-' && len(rest) > 1 && isDigit(rest[1]):
			n := 1 + run(rest[1:], func(c byte) bool { return isDigit(c) || isLetter(c) })
			tokens = append(tokens, token{number, rest[:n], pos})
			i += n
			continue
		case isLetter(c):
			n := run(rest, func(c byte) bool { return isDigit(c) || isLetter(c) || c == '-' || c == '@' })
			tokens = append(tokens, token{word, rest[:n], pos})
			i += n
			continue
		}
		found := ""
		for _, s := range symbols {
			if strings.HasPrefix(rest, s) {
				found = s
				break
			}
		}
		if found == "" {
			return nil, errorf(pos, "unexpected %q (a line is CALL: FILTER, such as  read: 1)", []rune(rest)[0])
		}
		tokens = append(tokens, token{symbol, found, pos})
		i += len(found)
	}
	return tokens, nil
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isLetter(c byte) bool { return c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z' }

// run is how many bytes at the start of s are in a class.
func run(s string, in func(byte) bool) int {
	n := 0
	for n < len(s) && in(s[n]) {
		n++
	}
	return n
}
