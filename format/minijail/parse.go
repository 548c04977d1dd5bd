package minijail

import (
	"slices"
	"strings"

	"monban/abi"
	"monban/bpf"
	"monban/internal/nearest"
	"monban/policy"
)

// A parser goes through the tokens of a statement.
type parser struct {
	*reader
	tokens []token
	at     int
	nested int
}

func (p *parser) peek() token { return p.tokens[min(p.at, len(p.tokens)-1)] }

func (p *parser) next() token {
	t := p.peek()
	p.at++
	return t
}

// take goes past a symbol, if it is the next token.
func (p *parser) take(text string) bool {
	if t := p.peek(); t.kind == symbol && t.text == text {
		p.at++
		return true
	}
	return false
}

func (p *parser) want(text string) error {
	if !p.take(text) {
		return errorf(p.peek().pos, "expected %q, not %s", text, p.peek())
	}
	return nil
}

func (p *parser) end() error {
	if t := p.peek(); t.kind != end {
		return errorf(t.pos, "unexpected %s after the end of the statement", t)
	}
	return nil
}

// rule reads CALLS: FILTER.
func (p *parser) rule() error {
	var names []token
	if p.take("{") {
		for {
			n, err := p.descriptor()
			if err != nil {
				return err
			}
			names = append(names, n...)
			if !p.take(",") {
				break
			}
		}
		if err := p.want("}"); err != nil {
			return err
		}
	} else {
		n, err := p.descriptor()
		if err != nil {
			return err
		}
		names = n
	}
	if err := p.want(":"); err != nil {
		return err
	}
	var rules []policy.Rule
	braced := p.take("{")
	for {
		rule, err := p.filter()
		if err != nil {
			return err
		}
		if rules = append(rules, rule); !braced || !p.take(",") {
			break
		}
	}
	if braced {
		if err := p.want("}"); err != nil {
			return err
		}
	}
	if err := p.end(); err != nil {
		return err
	}
	for _, n := range names {
		for _, rule := range rules {
			if err := p.add(n, rule); err != nil {
				return err
			}
		}
	}
	return nil
}

// add gives a call one more filter.
func (r *reader) add(name token, rule policy.Rule) error {
	if r.filters++; r.filters > maxFilters {
		return errorf(rule.Pos, "more than %d filters of calls", maxFilters)
	}
	c := r.calls[name.text]
	if c == nil {
		c = &call{}
		r.calls[name.text] = c
		r.order = append(r.order, name.text)
	}
	if c.final != nil {
		return errorf(rule.Pos, "%s has an action without a condition already, at %s: nothing after it counts", name.text, c.final.Pos)
	}
	rule.Call = name.text
	if rule.Cond == nil {
		c.final = &rule
	}
	c.rules = append(c.rules, rule)
	return nil
}

// descriptor reads a call's name, with its metadata; none is left where that is for other architectures.
func (p *parser) descriptor() (names []token, err error) {
	t := p.next()
	if t.kind != word {
		return nil, errorf(t.pos, "expected a system call's name, not %s", t)
	}
	for p.take("[") {
		mine, err := p.metadata()
		if err != nil || !mine {
			return nil, err
		}
	}
	if strings.Contains(t.text, "@") {
		return nil, errorf(t.pos, "%s is a group that only a minijail with its own table knows: name its calls", t.text)
	}
	if _, ok := p.arch.Number(t.text); !ok {
		hint := "minijail refuses the policy as well: remove the line, or name the call's architectures, " + t.text + "[arch=…]"
		if near := nearest.Word(t.text, abi.Calls()); near != "" {
			hint = "did you mean " + near + "?"
		}
		return nil, errorf(t.pos, "%s has no system call %s (%s)", p.arch, t.text, hint)
	}
	return []token{t}, nil
}

// metadata reads key=value,value;key=value] and says whether it is for this architecture.
func (p *parser) metadata() (mine bool, err error) {
	mine = true
	for {
		key := p.next()
		if key.kind != word {
			return false, errorf(key.pos, "expected arch=NAME, not %s", key)
		}
		if err := p.want("="); err != nil {
			return false, err
		}
		var values []string
		for {
			v := p.next()
			if v.kind != word {
				return false, errorf(v.pos, "expected a value of %s, not %s", key.text, v)
			}
			if values = append(values, v.text); !p.take(",") {
				break
			}
		}
		if key.text == "arch" {
			mine = mine && slices.Contains(values, p.constants.archName(p.arch))
		}
		if !p.take(";") {
			break
		}
	}
	return mine, p.want("]")
}

// filter reads ACTION or CONDITION; ACTION.
func (p *parser) filter() (policy.Rule, error) {
	t := p.peek()
	rule := policy.Rule{Pos: t.pos}
	var err error
	if t.kind == word && argument(t.text) >= 0 {
		if rule.Cond, err = p.expression(); err != nil {
			return rule, err
		}
		if !p.take(";") {
			if rule.Action = allow; p.denylist {
				err = errorf(p.peek().pos, "a filter of a denylist ends in  ; return ERRNO, not %s", p.peek())
			}
			return rule, err
		}
	}
	rule.Action, err = p.action()
	return rule, err
}

func (p *parser) action() (policy.Action, error) {
	t := p.next()
	switch do, ok := actions[t.text]; {
	case t.kind == word && t.text == "return":
		at := p.peek()
		v, err := p.constant()
		return policy.Action{Kind: bpf.Errno, Data: uint16(v)}, cond(err, v > 4095, at.pos, "%s is not an errno: they go up to 4095", at)
	case p.denylist:
		return allow, errorf(t.pos, "a filter of a denylist is  return ERRNO, not %s", t)
	case t.kind == word && ok:
		return do, nil
	case t.kind == number && t.text == "1":
		return allow, nil
	}
	words := []string{"allow", "return", "kill-process", "kill-thread", "trap", "trace", "log", "user-notify"}
	return allow, errorf(t.pos, "expected an action or a condition on arg0 to arg5, not %s%s", t, nearest.Hint(t.text, words))
}

// cond is err, or an error of its own where it is bad.
func cond(err error, bad bool, pos policy.Pos, format string, args ...any) error {
	if err == nil && bad {
		return errorf(pos, format, args...)
	}
	return err
}
