package lang

import (
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
		first := p.i
		if p.peek().is(")") {
			p.fail(p.peek(), "empty condition: leave out the parentheses, or write one such as %s(arg0 == 0)", it.Name)
		}
		start := p.i
		if slices.ContainsFunc(p.tokens[first:start], func(t token) bool { return t.kind == comment }) {
			start = first
		}
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
