package lang

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"monban/abi"
	"monban/bpf"
	"monban/internal/nearest"

	"monban/policy"
)

// anyCall is the item that stands for every number.
const anyCall = policy.AnyCall

var headers = []string{"kernel", "arch", "default", "unknown", "badarch", "compare", "include"}

// actionWords are the actions as the language writes them, the most permissive first.
var actionWords = func() (words []string) {
	for _, a := range slices.Backward(bpf.Actions()) {
		words = append(words, a.Name())
	}
	return words
}()

// Parse reads a policy's text. The file has all of it, with a *Bad line for each that was not understood; the error, of type Errors,
// says what is wrong with those. A file of more than [MaxSize] bytes or [MaxTokens] words is one *Bad line, and so is what begins with the
// 100th error.
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

func (p *parser) next() token {
	t := p.peek()
	if t.kind != end {
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
		if row = strings.TrimRight(row, " \t\n"); row != "" {
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

// lineStarts says whether a new line seems to start at token i, rather than go on inside brackets.
func (p *parser) lineStarts(i int) bool {
	t := p.tokens[i]
	if t.kind != word {
		return t.kind == end
	}
	next := p.tokens[i+1] // there is always an end
	return t.text == "on" || slices.Contains(headers, t.text) || slices.Contains(actionWords, t.text) ||
		(next.kind == word || next.kind == name) && next.text != "in"
}

func (p *parser) header() *Header {
	line := &Header{Word: p.next().text}
	switch line.Word {
	case "default", "unknown", "badarch":
		line.Do = p.action()
		return line
	}
	first := p.i
	for t := p.peek(); t.kind != newline && t.kind != end; t = p.peek() {
		if t.kind == symbol {
			p.fail(t, "unexpected %s in a header", t.text)
		}
		line.Args = append(line.Args, Arg{t.text, t.kind == quoted, t.pos})
		p.i++
	}
	if len(line.Args) == 0 {
		p.fail(p.peek(), "%s needs a value, such as: %s", line.Word, headerExample[line.Word])
	}
	if one := line.Word != "arch" && line.Word != "include"; one && len(line.Args) > 1 {
		p.fail(p.tokens[first+1], "%s takes one value", line.Word)
	}
	for i, a := range line.Args {
		if line.Word == "include" && !a.Quoted && !strings.HasPrefix(a.Text, "@") {
			p.fail(p.tokens[first+i], `include takes a quoted path or a preset: write "%s" or @%s`, a.Text, a.Text)
		}
	}
	return line
}

var headerExample = map[string]string{
	"kernel": "kernel 6.12", "arch": "arch x86_64 aarch64", "compare": "compare 64", "include": `include "base.gate"`,
}

func (p *parser) rules() *Rules {
	line := &Rules{}
	if p.peek().text == "on" {
		p.i++
		for t := p.peek(); t.kind == word; t = p.peek() {
			line.On = append(line.On, Arg{t.text, false, t.pos})
			p.i++
		}
		if len(line.On) == 0 {
			p.fail(p.peek(), "on needs architectures, such as: on arm aarch64: allow cacheflush")
		}
		p.expect(":")
	}
	line.Do = p.action()
	for t := p.peek(); t.kind == word || t.kind == name; t = p.peek() {
		line.Items = append(line.Items, p.item())
	}
	if len(line.Items) == 0 {
		t := p.peek()
		p.fail(t, "%s needs a system call or a group, found %s", line.Do, t.describe())
	}
	if t := p.peek(); t.is(",") {
		p.fail(t, "calls are separated by spaces: leave out the comma")
	}
	return line
}

func (p *parser) item() Item {
	t := p.next()
	it := Item{Name: t.text, Pos: t.pos}
	if t.kind == word && t.text == "optional" {
		t = p.peek()
		if t.kind != word && t.kind != name {
			p.fail(t, "optional stands before a system call, found %s", t.describe())
		}
		p.i++
		it.Name, it.Pos, it.Optional = t.text, t.pos, true
	}
	if p.peek().is("(") {
		if t.kind == name {
			p.fail(p.peek(), "a condition belongs to one call, not to the group %s", t.text)
		}
		p.depth++
		p.i++
		if p.peek().is(")") {
			p.fail(p.peek(), "empty condition: leave out the parentheses, or write one such as %s(arg0 == 0)", it.Name)
		}
		start := p.i
		it.Cond = &Condition{expr: p.condition()}
		p.expect(")")
		it.Cond.tokens = tidy(p.tokens[start : p.i-1])
		p.depth--
	}
	return it
}

// tidy is a condition's tokens without blank rows.
func tidy(tokens []token) []token {
	return slices.CompactFunc(slices.Clone(tokens), func(a, b token) bool { return a.kind == newline && b.kind == newline })
}

// parseCondition is what a condition's tokens say.
func parseCondition(tokens []token) (e policy.Expr, err error) {
	p := &parser{tokens: append(slices.Clip(tokens), token{kind: end}), depth: 1}
	err = catch(func() {
		e = p.condition()
		if t := p.peek(); t.kind != end {
			p.fail(t, "unexpected %s after the condition", t.describe())
		}
	})
	return e, err
}

// A WordError says that a line, or an action, begins with a word that the language does not have.
type WordError struct{ Word string }

func (e *WordError) Error() string { return "unknown action or header " + e.Word }

// action parses an action with its data.
func (p *parser) action() Action {
	t := p.next()
	if t.kind != word {
		p.fail(t, "expected an action (%s), found %s", strings.Join(actionWords, " "), t.describe())
	}
	kind, ok := bpf.ParseAction(t.text)
	if !ok {
		err, near := &WordError{t.text}, nearest.Word(t.text, slices.Concat(actionWords, headers))
		msg := err.Error()
		switch t.text {
		case "kill":
			near, msg = "", msg+" (did you mean kill_process? kill_thread leaves the other threads running)"
		case "deny", "block", "reject":
			near = "errno(EPERM)"
		}
		panic(syntaxError{&policy.Error{Pos: t.pos, End: t.end(), Msg: msg, Near: near, Err: err}})
	}
	a := Action{Action: policy.Action{Kind: kind}}
	if kind.MaxData() == 0 {
		return a
	}
	if !p.peek().is("(") {
		a.written(t.text)
		if kind.NeedsData() {
			p.fail(p.peek(), "%s needs a value: write %s(%s)", t.text, t.text, map[bool]string{true: "EPERM", false: "1"}[kind == bpf.Errno])
		}
		return a
	}
	p.next()
	v := p.next()
	limit := uint64(kind.MaxData())
	switch {
	case v.kind == number:
		n, err := strconv.ParseUint(v.text, 0, 64)
		if err != nil || n > limit {
			p.fail(v, "%s(%s) is out of range: the kernel takes 0 to %d", t.text, v.text, limit)
		}
		a.Data = uint16(n)
		a.written(t.text + "(" + v.text + ")")
	case v.kind == word && kind == bpf.Errno:
		a.Errno = v.text
		if !knownErrno(v.text) {
			p.failNear(v, nearest.Word(v.text, errnoNames()), "unknown errno %s", v.text)
		}
	default:
		p.fail(v, "%s takes a number, found %s", t.text, v.describe())
	}
	p.expect(")")
	return a
}

func knownErrno(s string) bool {
	for _, a := range abi.Archs() {
		if _, ok := a.Errno(s); ok {
			return true
		}
	}
	return false
}

func errnoNames() []string {
	var all []string
	for s := range abi.Constants() {
		if s[0] == 'E' && knownErrno(s) {
			all = append(all, s)
		}
	}
	return all
}
