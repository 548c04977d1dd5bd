package lang

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"monban/policy"
)

// Parse reads a policy's text. The file has all of it, with a *Bad line for each that was not understood; the error, of
// type Errors, says what is wrong with those. A file of more than [MaxSize] bytes or [MaxTokens] words is one *Bad
// line, and so is what begins with the 100th error.
func Parse(file string, src []byte) (*File, error) {
	f := &File{Name: file}
	src = bytes.TrimPrefix(src, []byte("\ufeff")) // some editors put it there
	tokens, err := lex(file, src)
	if err != nil {
		e := err.(*policy.Error)
		f.Lines = []Line{&Bad{Text: rowsOf(src), Err: e}}
		return f, Errors{e}
	}
	p := &parser{src: src, tokens: tokens}
	for p.tokens[p.i].kind != end {
		p.line(f)
	}
	if len(p.errs) > 0 {
		return f, p.errs
	}
	return f, nil
}

// Errors are what is wrong with a text, in its order.
type Errors []*policy.Error

// maxShown is how many errors of one file are shown.
const maxShown = 10

// Error is one line for each of the first ten.
func (e Errors) Error() string {
	var lines []string
	for _, one := range e[:min(len(e), maxShown)] {
		lines = append(lines, one.Error())
	}
	return strings.Join(lines, "\n")
}

// Unwrap are the errors that Error shows.
func (e Errors) Unwrap() (shown []error) {
	for _, one := range e[:min(len(e), maxShown)] {
		shown = append(shown, one)
	}
	return shown
}

type parser struct {
	src    []byte
	tokens []token
	i      int
	depth  int // of brackets and operators, bounded so that no input exhausts the stack
	errs   Errors

	operators int // bit operations on this line
}

// maxErrors is how many errors of one file are kept.
const maxErrors = 100

// syntaxError carries the first error of a line out of the parser's depths.
type syntaxError struct{ err error }

// fail gives up the line, for what is wrong with a token.
func (p *parser) fail(t token, format string, args ...any) {
	panic(syntaxError{&policy.Error{Pos: t.pos, End: t.end(), Msg: fmt.Sprintf(format, args...)}})
}

// failTyped is fail with an error that has a type of its own.
func (p *parser) failTyped(t token, err error) {
	panic(syntaxError{&policy.Error{Pos: t.pos, End: t.end(), Msg: err.Error(), Err: err}})
}

// failNear is fail where one of some words was probably meant.
func (p *parser) failNear(t token, near string, format string, args ...any) {
	panic(syntaxError{&policy.Error{Pos: t.pos, End: t.end(), Msg: fmt.Sprintf(format, args...), Near: near}})
}

// peek is the next token that is not a comment, nor a newline inside brackets. One that no policy has is an error.
func (p *parser) peek() token {
	for p.tokens[p.i].kind == comment || p.depth > 0 && p.tokens[p.i].kind == newline {
		p.i++
	}
	t := p.tokens[p.i]
	if t.kind == wrong {
		p.fail(t, "%s", t.text)
	}
	return t
}

// next takes the next token. The end of a line is not taken, so that what is wrong with one line leaves the next alone.
func (p *parser) next() token {
	t := p.peek()
	if t.kind != end && t.kind != newline {
		p.i++
	}
	return t
}

func (p *parser) accept(text string) bool {
	if p.peek().is(text) {
		p.i++
		return true
	}
	return false
}

func (p *parser) expect(text string) token {
	t := p.peek()
	if !t.is(text) {
		p.fail(t, "expected %s, found %s", text, t.describe())
	}
	return p.next()
}

// catch is the error that a part of the parser gave up with.
func catch(parse func()) (err error) {
	defer func() {
		switch e := recover().(type) {
		case nil:
		case syntaxError:
			err = e.err
		default:
			panic(e)
		}
	}()
	parse()
	return nil
}

// line parses one line into the file; after an error it goes on at the next.
func (p *parser) line(f *File) {
	var place Place
	for p.tokens[p.i].kind == newline { // at a row's start: it is blank
		p.i++
		place.Apart = len(f.Lines) > 0
	}
	start := p.i
	if p.tokens[start].kind == end {
		return
	}
	var line Line
	if err := catch(func() { line = p.understood() }); err != nil {
		p.skip()
		e, _ := errors.AsType[*policy.Error](err)
		if p.errs = append(p.errs, e); len(p.errs) == maxErrors {
			p.i = len(p.tokens) - 1
		}
		line = &Bad{Text: rowsOf(p.src[p.tokens[start].off:p.tokens[p.i].off]), Err: e}
	}
	place.Span = Span{p.tokens[start].pos, p.tokens[p.i-1].end()}
	*line.At() = place
	f.Lines = append(f.Lines, line)
	if p.tokens[p.i].kind == newline {
		p.i++
	}
}

// skip goes to the end of a line that was given up.
func (p *parser) skip() {
	inside := p.depth > 0
	p.depth = 0
	for p.tokens[p.i].kind != end && !(p.tokens[p.i].kind == newline && (!inside || p.lineStarts(p.i+1))) {
		p.i++
	}
}

// rowsOf is a text without blank rows.
func rowsOf(src []byte) string {
	var rows []string
	for row := range strings.Lines(string(src)) {
		if row = strings.TrimRight(row, blanks+"\n"); row != "" {
			rows = append(rows, row)
		}
	}
	return strings.Join(rows, "\n")
}

// understood parses a line up to its end.
func (p *parser) understood() Line {
	t := p.tokens[p.i]
	if t.kind == comment {
		p.i++
		return &Comment{Text: t.text}
	}
	p.operators = 0
	if t = p.peek(); t.kind != word {
		p.fail(t, "a line starts with a header (%s) or an action (%s), not with %s",
			strings.Join(headers, " "), strings.Join(actionWords, " "), t.describe())
	}
	if slices.Contains(headers, t.text) {
		h := p.header()
		h.Comment = p.end(h.Word)
		return h
	}
	r := p.rules()
	r.Comment = p.end("")
	return r
}

// end is the comment at the end of a line, which must be there.
func (p *parser) end(word string) string {
	if t := p.peek(); t.kind != newline && t.kind != end {
		p.fail(t, "unexpected %s at the end of a %s line", t.describe(), word)
	}
	if last := p.tokens[p.i-1]; last.kind == comment {
		return last.text
	}
	return ""
}
