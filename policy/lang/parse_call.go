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

// callSymbols are those of the language, and two more.
var callSymbols = append(slices.Clone(symbols), "=", "?")

// ParseCall reads a call as a person writes it: socket(AF_INET, SOCK_STREAM, 0), socket(AF_INET),
// socket(type=SOCK_RAW), socket, 41, or 41(2, _). Arguments that are missing, ? or _ are left open; 1..5 and {AF_INET,
// AF_INET6} stand for any value among them. A name is of a call on arch; a number may be of another architecture that
// shares its token, x32, and the call then is that one's. Errors name the place in the text and the mend.
func ParseCall(arch abi.Arch, text string) (policy.Call, error) {
	c := policy.Call{Arch: arch, Data: bpf.Data{Arch: arch.Token()}, Open: [6]bool{true, true, true, true, true, true}}
	const here = "call"
	tokens, err := lexWith(callSymbols, here, []byte(text))
	if err != nil {
		return c, err
	}
	p := &parser{tokens: tokens, depth: 1}
	err = catch(func() { p.call(&c) })
	if e, ok := errors.AsType[*policy.Error](err); ok {
		e.Msg = strings.ReplaceAll(e.Msg, "the end of the file", "the end of the call")
	}
	return c, err
}

func (p *parser) call(c *policy.Call) {
	t := p.next()
	switch t.kind {
	case word:
		nr, ok := c.Arch.Number(t.text)
		if !ok {
			if m, muxed := c.Arch.Mux(t.text); muxed {
				p.failTyped(t, &policy.MultiplexedError{Call: t.text, Arch: c.Arch, By: m.Call, Sub: m.Sub})
			}
			if abi.Known(t.text) {
				p.failTyped(t, &policy.NoCallError{Call: t.text, Arch: c.Arch})
			}
			p.failNear(t, nearest.Word(t.text, abi.Calls()), "unknown system call %s", t.text)
		}
		c.Name, c.Data.Nr = t.text, nr
	case number:
		n, err := strconv.ParseUint(t.text, 0, 32)
		if err != nil {
			p.fail(t, "%s is not a call number: it must fit 32 bits", t.text)
		}
		c.Data.Nr = uint32(n)
		c.Arch, _ = abi.Of(c.Data.Arch, c.Data.Nr)
		c.Name, _ = c.Arch.Name(c.Data.Nr)
	default:
		p.fail(t, "expected a system call such as socket(AF_INET, SOCK_STREAM, 0), found %s", t.describe())
	}
	if p.accept("(") {
		p.arguments(c)
	}
	if t := p.peek(); t.kind != end {
		p.fail(t, "unexpected %s after the call", t.describe())
	}
}

func (p *parser) arguments(c *policy.Call) {
	args, known := c.Arch.Args(c.Name)
	given := map[int]bool{}
	named := false
	for i := 0; !p.accept(")"); i++ {
		t := p.peek()
		if i > 0 {
			p.expect(",")
			t = p.peek()
		}
		at := i
		if t.kind == word && p.tokens[p.i+1].is("=") {
			at = p.argumentNamed(c, args, t)
			named = true
			p.i += 2
			t = p.peek()
		} else if named {
			p.fail(t, "an argument by position cannot stand after one by name")
		}
		if at == 6 || known && at >= len(args) {
			p.fail(t, "%s takes %d arguments", c.Label(), min(at, 6))
		}
		if given[at] {
			p.fail(t, "this argument is given twice")
		}
		given[at] = true
		arg := abi.Arg{Index: at, Bits: c.Arch.Bits(), High: -1}
		if known {
			arg = args[at]
		}
		p.argument(c, arg)
	}
}

// argumentNamed finds the position of an argument by its name.
func (p *parser) argumentNamed(c *policy.Call, args []abi.Arg, t token) int {
	for i, a := range args {
		if a.Is(t.text) {
			return i
		}
	}
	if i, ok := policy.Position(t.text); ok {
		return i
	}
	var names []string
	for _, a := range args {
		names = append(names, a.Name)
	}
	err := &policy.NoArgumentError{Call: c.Label(), Name: t.text}
	panic(syntaxError{&policy.Error{Pos: t.pos, End: t.end(), Msg: err.Error(), Near: nearest.Word(t.text, names), Err: err}})
}

// argument reads what is asked of one argument: anything, a value, or one of several.
func (p *parser) argument(c *policy.Call, arg abi.Arg) {
	t := p.peek()
	if t.kind == word && t.text == "_" || t.is("?") {
		p.i++
		return
	}
	set := p.set()
	var err error
	if len(set) == 1 && set[0].Hi == nil && !t.is("{") {
		err = c.Set(arg, set[0].Lo, t.pos)
	} else {
		err = c.Limit(arg, set, t.pos)
	}
	if err != nil {
		panic(syntaxError{err})
	}
}

// ParseAction reads an action as the language writes it: errno(EPERM).
func ParseAction(text string) (policy.Action, error) {
	var a policy.Action
	tokens, err := lex("action", []byte(text))
	if err != nil {
		return a, err
	}
	p := &parser{tokens: tokens, depth: 1}
	err = catch(func() {
		a = p.action().Action
		if t := p.peek(); t.kind != end {
			p.fail(t, "unexpected %s after the action", t.describe())
		}
	})
	return a, err
}
