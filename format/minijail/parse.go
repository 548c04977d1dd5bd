package minijail

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"monban/abi"
	"monban/bpf"
	"monban/internal/nearest"
	"monban/policy"
)

const (
	maxDepth   = 10      // of includes, as in minijail
	maxFiles   = 1000    // included in all
	maxFilters = 1 << 16 // names times the filters that they have
	maxNested  = 100     // parentheses in a constant
)

var (
	allow = policy.Action{Kind: bpf.Allow}
	kill  = policy.Action{Kind: bpf.KillProcess}
)

// actions are minijail's words; "kill" is what its compiler is told, kill-process here.
var actions = map[string]policy.Action{
	"allow": allow, "kill": kill, "kill-process": kill, "kill-thread": {Kind: bpf.KillThread}, "trap": {Kind: bpf.Trap},
	"trace": {Kind: bpf.Trace}, "log": {Kind: bpf.Log}, "user-notify": {Kind: bpf.Notify},
}

// A reader reads one policy for one architecture.
type reader struct {
	arch      abi.Arch
	constants *constants
	readFile  func(string) ([]byte, error)
	files     []string // being read, each included by the one before it
	read      int
	filters   int

	byDefault policy.Action
	denylist  bool
	order     []string
	calls     map[string]*call
}

// A call is what a policy says of one.
type call struct {
	rules []policy.Rule
	final *policy.Rule // the one without a condition
}

// statement takes in one line of a policy.
func (r *reader) statement(name string, tokens []token) error {
	p := &parser{reader: r, tokens: tokens}
	t := p.next()
	if t.kind != directive {
		p.at = 0
		return p.rule()
	}
	var err error
	switch t.text {
	case "@include", "@frequency":
		f := p.next()
		if f.kind != file {
			return errorf(f.pos, "%s takes a path that starts with ./ or /, not %s", t.text, f)
		}
		if err := p.end(); err != nil {
			return err
		}
		path := filepath.Join(filepath.Dir(name), f.text)
		if filepath.IsAbs(f.text) {
			path = filepath.Clean(f.text)
		}
		return r.file(path, f, t.text == "@frequency")
	case "@default":
		a := p.next()
		do, ok := actions[a.text]
		if !ok || !slices.Contains([]string{"kill", "kill-process", "kill-thread", "trap", "user-notify"}, a.text) {
			return errorf(a.pos, "@default takes kill-process, kill-thread, kill, trap or user-notify, not %s", a)
		}
		r.byDefault = do
	case "@denylist":
		r.denylist = true
		r.byDefault = allow
	default:
		err = errorf(t.pos, "unknown directive %s%s", t.text, nearest.Hint(t.text, []string{"@include", "@frequency", "@default", "@denylist"}))
	}
	if err != nil {
		return err
	}
	return p.end()
}

// file reads an included policy or a frequency file.
func (r *reader) file(path string, at token, frequency bool) error {
	chain := strings.Join(append(slices.Clone(r.files), path), " > ")
	switch {
	case slices.Contains(r.files, path):
		return errorf(at.pos, "the file includes itself: %s", chain)
	case len(r.files) >= maxDepth:
		return errorf(at.pos, "includes nested more than %d deep: %s", maxDepth, chain)
	case r.readFile == nil:
		return errorf(at.pos, "cannot include %s: there are no files here", path)
	}
	if r.read++; r.read > maxFiles {
		return errorf(at.pos, "more than %d files are included", maxFiles)
	}
	src, err := r.readFile(path)
	if err != nil {
		return errorf(at.pos, "cannot read %s: %v (%s)", path, err, chain)
	}
	r.files = append(r.files, path)
	defer func() { r.files = r.files[:len(r.files)-1] }()
	if frequency {
		return r.frequency(path, src)
	}
	return r.text(path, src)
}

// text takes in a whole policy file.
func (r *reader) text(name string, src []byte) error {
	all, err := statements(name, src)
	if err != nil {
		return err
	}
	for _, tokens := range all {
		if err := r.statement(name, tokens); err != nil {
			return err
		}
	}
	return nil
}

// frequency checks a file of call counts: they change no meaning.
func (r *reader) frequency(name string, src []byte) error {
	all, err := statements(name, src)
	if err != nil {
		return err
	}
	for _, tokens := range all {
		p := &parser{reader: r, tokens: tokens}
		if _, err := p.descriptor(); err != nil {
			return err
		}
		if err := p.want(":"); err != nil {
			return err
		}
		n := p.next()
		if v, err := strconv.ParseUint(n.text, 0, 64); n.kind != number || err != nil {
			return errorf(n.pos, "a frequency is a number, not %s (%d)", n, v)
		}
		if err := p.end(); err != nil {
			return err
		}
	}
	return nil
}

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
		return policy.Action{Kind: bpf.Errno, Data: uint16(v)}, cond(err, v > 4095, at.pos, "%s is no errno: they go up to 4095", at)
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

// argument is the position that argN names, or -1.
func argument(s string) int {
	n, ok := strings.CutPrefix(s, "arg")
	if !ok || n == "" || run(n, isDigit) != len(n) {
		return -1
	}
	i, err := strconv.Atoi(n)
	if err != nil {
		return 6
	}
	return i
}

// expression reads CLAUSE || CLAUSE, clauses being ATOM && ATOM.
func (p *parser) expression() (policy.Expr, error) {
	var or policy.Or
	for {
		var and policy.And
		for {
			atom, err := p.atom()
			if err != nil {
				return nil, err
			}
			if and = append(and, atom); !p.take("&&") {
				break
			}
		}
		if or = append(or, and); !p.take("||") {
			return or, nil
		}
	}
}

var relations = map[string]policy.Op{
	"==": policy.EQ, "!=": policy.NE, "<": policy.LT, "<=": policy.LE, ">": policy.GT, ">=": policy.GE,
}

// atom reads argN OP VALUE. On 32 bits minijail looks at the low half of the register only.
func (p *parser) atom() (policy.Expr, error) {
	arg := p.next()
	n := argument(arg.text)
	if arg.kind != word || n < 0 || n > 5 {
		return nil, errorf(arg.pos, "expected arg0 to arg5, not %s", arg)
	}
	op := p.next()
	all := p.all()
	x := policy.Operand{Arg: n, Wide: true, Pos: arg.pos}
	if all != ^uint64(0) {
		x.Mask = policy.Num(all)
	}
	relation, ordered := relations[op.text]
	switch {
	case op.kind == symbol && (ordered || op.text == "&"), op.kind == word && op.text == "in":
	default:
		return nil, errorf(op.pos, "expected an operator (== != < <= > >= & in), not %s", op)
	}
	v, err := p.value()
	switch {
	case err != nil:
		return nil, err
	case op.text == "&": // any of these bits
		x.Mask = policy.Num(v)
		return policy.Compare{X: x, Op: policy.NE, Y: policy.Num(0)}, nil
	case op.text == "in": // no other bits
		x.Mask = policy.Num(all &^ v)
		return policy.Compare{X: x, Op: policy.EQ, Y: policy.Num(0)}, nil
	}
	return policy.Compare{X: x, Op: relation, Y: policy.Num(v)}, nil
}

// all is a word of the architecture with every bit set.
func (p *parser) all() uint64 { return ^uint64(0) >> (64 - p.arch.Bits()) }

// value reads constants joined by |.
func (p *parser) value() (v uint64, err error) {
	for {
		c, err := p.constant()
		if err != nil {
			return 0, err
		}
		if v |= c; !p.take("|") {
			return v, nil
		}
	}
}

func (p *parser) constant() (uint64, error) {
	if p.take("~") {
		if t := p.peek(); t.kind == symbol && t.text == "~" {
			return 0, errorf(t.pos, "~~ is not allowed (remove both)")
		}
		v, err := p.constant()
		return ^v & p.all(), err
	}
	t := p.next()
	switch {
	case t.kind == symbol && t.text == "(":
		if p.nested++; p.nested > maxNested {
			return 0, errorf(t.pos, "more than %d parentheses", maxNested)
		}
		v, err := p.value()
		if err != nil {
			return 0, err
		}
		return v, p.want(")")
	case t.kind == number:
		return p.number(t)
	case t.kind == word:
		v, err := p.constants.value(p.arch, t)
		return v & p.all(), err
	}
	return 0, errorf(t.pos, "expected a constant or a number, not %s", t)
}

// number reads a number as C's strtol does; negative ones are in two's complement.
func (p *parser) number(t token) (uint64, error) {
	digits, negative := strings.CutPrefix(t.text, "-")
	if strings.ContainsAny(digits, "_oObB") && !strings.HasPrefix(strings.ToLower(digits), "0x") || strings.Contains(digits, "_") {
		return 0, errorf(t.pos, "%s is no number: write it decimal, 0x… or octal 0…", t)
	}
	v, err := strconv.ParseUint(digits, 0, 64)
	limit := p.all()
	if negative {
		limit = limit/2 + 1
	}
	switch {
	case err != nil && !strings.Contains(err.Error(), "range"):
		return 0, errorf(t.pos, "%s is no number: write it decimal, 0x… or octal 0…", t)
	case err != nil || v > limit:
		return 0, errorf(t.pos, "%s does not fit the %d bits of an argument on %s", t.text, p.arch.Bits(), p.arch)
	case negative:
		return -v & p.all(), nil
	}
	return v, nil
}
