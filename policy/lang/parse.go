package lang

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"monban/abi"
	"monban/bpf"
	"monban/internal/nearest"

	"monban/policy"
)

// A File is a policy's text, parsed but not yet resolved: nothing in it has been looked up.
type File struct {
	Name  string
	Lines []Line

	tokens []token
}

// A Line is one header or one line of rules.
type Line struct {
	Pos   policy.Pos
	Word  string        // the header's name; "" for a rule line
	Args  []Arg         // a header's arguments
	Do    policy.Action // of a header default, unknown or badarch, and of a rule line
	On    []Arg         // the architectures of "on …:"
	Items []Item
}

// An Arg is one word of a header.
type Arg struct {
	Text   string
	Quoted bool
	Pos    policy.Pos
}

// An Item is one call or group of a rule line.
type Item struct {
	Name     string      // read, @basic-io, or any
	Cond     policy.Expr // nil where there are no parentheses
	Optional bool        // optional stands before it or before an earlier item of the line
	Pos      policy.Pos
}

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

// Parse reads a policy's text. Errors are of type *Error, joined where there are several, each naming its place and the mend.
func Parse(file string, src []byte) (*File, error) {
	tokens, err := lex(file, src)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: tokens}
	f := &File{Name: file, tokens: tokens}
	for !p.done() {
		line, ok := p.line()
		if ok {
			f.Lines = append(f.Lines, line)
		}
	}
	if len(p.errs) > 0 {
		return nil, errors.Join(p.errs...)
	}
	return f, nil
}

type parser struct {
	tokens []token
	i      int
	depth  int // of brackets and operators, bounded so that no input exhausts the stack
	errs   []error

	operators int // bit operations on this line
}

// maxErrors is how many errors of one file are reported.
const maxErrors = 10

// syntaxError carries the first error of a line out of the parser's depths.
type syntaxError struct{ err error }

func (p *parser) fail(pos policy.Pos, format string, args ...any) {
	panic(syntaxError{errorf(pos, format, args...)})
}

func (p *parser) done() bool { return p.tokens[p.i].kind == end || len(p.errs) >= maxErrors }

// peek is the next token that is not a comment, nor a newline inside brackets.
func (p *parser) peek() token {
	for p.tokens[p.i].kind == comment || p.depth > 0 && p.tokens[p.i].kind == newline {
		p.i++
	}
	return p.tokens[p.i]
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
		p.fail(t.pos, "expected %s, found %s", text, t.describe())
	}
	return p.next()
}

// line parses one line; after an error it goes on at the next.
func (p *parser) line() (line Line, ok bool) {
	defer func() {
		switch e := recover().(type) {
		case nil:
		case syntaxError:
			p.errs = append(p.errs, e.err)
			inside := p.depth > 0
			p.depth = 0
			for p.tokens[p.i].kind != end && !(p.tokens[p.i].kind == newline && (!inside || p.lineStarts(p.i+1))) {
				p.i++
			}
			ok = false
		default:
			panic(e)
		}
	}()
	if t := p.peek(); t.kind == newline {
		p.i++
		return Line{}, false
	}
	if p.peek().kind == end {
		return Line{}, false
	}
	t := p.peek()
	p.operators = 0
	line.Pos = t.pos
	if t.kind != word {
		p.fail(t.pos, "a line starts with a header (%s) or an action (%s), not with %s",
			strings.Join(headers, " "), strings.Join(actionWords, " "), t.describe())
	}
	if slices.Contains(headers, t.text) {
		p.header(&line)
	} else {
		p.rule(&line)
	}
	if t := p.peek(); t.kind != newline && t.kind != end {
		p.fail(t.pos, "unexpected %s at the end of a %s line", t.describe(), line.Word)
	}
	return line, true
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

func (p *parser) header(line *Line) {
	line.Word = p.next().text
	switch line.Word {
	case "default", "unknown", "badarch":
		line.Do = p.action()
		return
	}
	for t := p.peek(); t.kind != newline && t.kind != end; t = p.peek() {
		if t.kind == symbol {
			p.fail(t.pos, "unexpected %s in a header", t.text)
		}
		line.Args = append(line.Args, Arg{t.text, t.kind == quoted, t.pos})
		p.i++
	}
	if len(line.Args) == 0 {
		p.fail(p.peek().pos, "%s needs a value, such as: %s", line.Word, headerExample[line.Word])
	}
	if one := line.Word != "arch" && line.Word != "include"; one && len(line.Args) > 1 {
		p.fail(line.Args[1].Pos, "%s takes one value", line.Word)
	}
	for _, a := range line.Args {
		if line.Word == "include" && !a.Quoted && !strings.HasPrefix(a.Text, "@") {
			p.fail(a.Pos, `include takes a quoted path or a preset: write "%s" or @%s`, a.Text, a.Text)
		}
	}
}

var headerExample = map[string]string{
	"kernel": "kernel 6.12", "arch": "arch x86_64 aarch64", "compare": "compare 64", "include": `include "base.gate"`,
}

func (p *parser) rule(line *Line) {
	if p.peek().text == "on" {
		p.i++
		for t := p.peek(); t.kind == word; t = p.peek() {
			line.On = append(line.On, Arg{t.text, false, t.pos})
			p.i++
		}
		if len(line.On) == 0 {
			p.fail(p.peek().pos, "on needs architectures, such as: on arm aarch64: allow cacheflush")
		}
		p.expect(":")
	}
	line.Do = p.action()
	optional := false // once written, it holds for the rest of the line
	for t := p.peek(); t.kind == word || t.kind == name; t = p.peek() {
		it := p.item()
		optional = optional || it.Optional
		it.Optional = optional
		line.Items = append(line.Items, it)
	}
	if len(line.Items) == 0 {
		t := p.peek()
		p.fail(t.pos, "%s needs a system call or a group, found %s", line.Do, t.describe())
	}
	if t := p.peek(); t.is(",") {
		p.fail(t.pos, "calls are separated by spaces: leave out the comma")
	}
}

func (p *parser) item() Item {
	t := p.next()
	it := Item{Name: t.text, Pos: t.pos}
	if t.kind == word && t.text == "optional" {
		t = p.peek()
		if t.kind != word && t.kind != name {
			p.fail(t.pos, "optional stands before a system call, found %s", t.describe())
		}
		p.i++
		it.Name, it.Pos, it.Optional = t.text, t.pos, true
	}
	if p.peek().is("(") {
		if t.kind == name {
			p.fail(p.peek().pos, "a condition belongs to one call, not to the group %s", t.text)
		}
		p.depth++
		p.i++
		if p.peek().is(")") {
			p.fail(p.peek().pos, "empty condition: leave out the parentheses, or write one such as %s(arg0 == 0)", it.Name)
		}
		it.Cond = p.condition()
		p.expect(")")
		p.depth--
	}
	return it
}

// action parses an action with its data.
func (p *parser) action() policy.Action {
	t := p.next()
	if t.kind != word {
		p.fail(t.pos, "expected an action (%s), found %s", strings.Join(actionWords, " "), t.describe())
	}
	kind, ok := bpf.ParseAction(t.text)
	a := policy.Action{Kind: kind}
	if !ok {
		hint := nearest.Hint(t.text, slices.Concat(actionWords, headers))
		switch t.text {
		case "kill":
			hint = " (did you mean kill_process? kill_thread leaves the other threads running)"
		case "deny", "block", "reject":
			hint = " (did you mean errno(EPERM)?)"
		}
		p.fail(t.pos, "unknown action or header %s%s", t.text, hint)
	}
	if kind.MaxData() == 0 {
		return a
	}
	if !p.peek().is("(") {
		if kind.NeedsData() {
			p.fail(p.peek().pos, "%s needs a value: write %s(%s)", t.text, t.text, map[bool]string{true: "EPERM", false: "1"}[a.Kind == bpf.Errno])
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
			p.fail(v.pos, "%s(%s) is out of range: the kernel takes 0 to %d", t.text, v.text, limit)
		}
		a.Data = uint16(n)
	case v.kind == word && a.Kind == bpf.Errno:
		a.Errno = v.text
		if !knownErrno(v.text) {
			p.fail(v.pos, "unknown errno %s%s", v.text, nearest.Hint(v.text, errnoNames()))
		}
	default:
		p.fail(v.pos, "%s takes a number, found %s", t.text, v.describe())
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
