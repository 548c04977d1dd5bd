package kafel

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"monban/abi"
	"monban/bpf"
	"monban/format/codec"
	"monban/gate"
	"monban/internal/nearest"
	"monban/policy"
	"monban/policy/lang"
)

const (
	maxDepth   = 200 // of parentheses
	maxInclude = 16  // of files that include files, as in Kafel
	maxFiles   = 256
	maxRules   = 100_000
)

// start is a line as no other format has it.
var start = codec.Lazy(`(?m)^[ \t]*(POLICY\s+[A-Za-z]\w*\s*\{|DEFAULT\s+(` + strings.Join(actionNames, "|") +
	`)\b|(` + strings.Join(actionNames, "|") + `)\s*(\(\s*\w+\s*\)\s*)?\{)`)

// Format reads policies of Kafel.
func Format() codec.Format {
	return codec.Format{
		Name:  "kafel",
		Title: "a Kafel policy",
		About: "policies in Kafel, the language of nsjail",
		Exts:  []string{".kafel", ".policy"},
		Sniff: func(src []byte) bool { return start().Match(src) },
		Read:  read,
	}
}

var actions = map[string]bpf.Action{
	"ALLOW": bpf.Allow, "LOG": bpf.Log, "KILL": bpf.KillThread, "KILL_THREAD": bpf.KillThread, "DENY": bpf.KillThread,
	"KILL_PROCESS": bpf.KillProcess, "USER_NOTIF": bpf.Notify, "ERRNO": bpf.Errno, "TRAP": bpf.Trap, "TRACE": bpf.Trace,
}

var actionNames = slices.Sorted(maps.Keys(actions))

// A parser reads tokens, through included files; the first error wins.
type parser struct {
	in       *codec.Input
	files    []file // open ones, the innermost last
	included int
	tok      token
	err      error
	names    []abi.Arch // the architectures that names are looked up on
	consts   map[string]uint64
	policies map[string][]entry
	main     []entry
	def      *policy.Action
	rules    int
}

type file struct {
	src   *codec.Source
	off   int
	ahead lookahead
}

// An entry of a policy is a rule, or the name of a policy that is used.
type entry struct {
	use  string
	rule policy.Rule
}

func read(in *codec.Input) (*gate.Gate, error) {
	archs := in.Archs
	if archs == nil {
		archs = []abi.Arch{in.Native}
	}
	p := &parser{
		in: in, names: archs, consts: map[string]uint64{}, policies: map[string][]entry{},
		files: []file{{src: codec.NewSource(in.Name, in.Src)}},
	}
	if len(in.Src) > lang.MaxSize {
		return nil, in.Errorf(0, "%d bytes: the limit is %d (is this the right file?)", len(in.Src), lang.MaxSize)
	}
	p.program()
	if p.err != nil {
		return nil, p.err
	}
	kill := policy.Action{Kind: bpf.KillThread}
	out := &policy.Policy{Name: in.Name, Archs: archs, Default: kill, BadArch: kill, Compare64: true}
	if p.def != nil {
		out.Default = *p.def
	}
	out.Unknown = out.Default
	if slices.Contains(archs, abi.X86_64) && !slices.Contains(archs, abi.X32) {
		out.Archs = append(slices.Clone(archs), abi.X32) // its numbers share the token, and only SYSCALL[n] speaks of them
	}
	// A policy's rules mean nothing the second time: the first that matches decides.
	used := map[string]bool{}
	var paste func(entries []entry)
	paste = func(entries []entry) {
		for _, e := range entries {
			if e.use == "" {
				out.Rules = append(out.Rules, e.rule)
			} else if !used[e.use] {
				used[e.use] = true
				paste(p.policies[e.use])
			}
		}
	}
	paste(p.main)
	return &gate.Gate{Policy: out}, out.Check()
}

func (p *parser) fail(t token, format string, args ...any) {
	if p.err == nil {
		p.err = t.src.Errorf(t.off, format, args...)
		p.tok = token{off: t.off, src: t.src}
	}
}

// next moves to the next token; the end of an included file is the end of nothing.
func (p *parser) next() {
	for p.err == nil {
		f := &p.files[len(p.files)-1]
		p.tok, f.off = lex(f.src, f.off)
		switch {
		case p.tok.kind == broken:
			p.fail(p.tok, "%s", p.tok.text)
		case p.tok.kind == end && len(p.files) > 1:
			p.files = p.files[:len(p.files)-1]
			continue
		}
		return
	}
}

func (p *parser) is(text string) bool {
	return (p.tok.kind == punct || p.tok.kind == word) && p.tok.text == text
}

func (p *parser) accept(text string) bool {
	ok := p.is(text)
	if ok {
		p.next()
	}
	return ok
}

func (p *parser) expect(text string) {
	if !p.accept(text) {
		p.fail(p.tok, "expected %s, not %s", text, p.tok)
	}
}

func (t token) String() string {
	switch t.kind {
	case end:
		return "the end of the file"
	case quoted:
		return `"` + t.text + `"`
	}
	return t.text
}

func (p *parser) ident(what string) token {
	t := p.tok
	if _, reserved := actions[t.text]; t.kind != word || reserved || t.text == "POLICY" || t.text == "USE" || t.text == "DEFAULT" {
		p.fail(t, "expected %s, not %s", what, t)
	}
	p.next()
	return t
}

func (p *parser) num() (uint64, token) {
	t := p.tok
	if t.kind == word {
		if v, ok := p.consts[t.text]; ok {
			p.next()
			return v, t
		}
	}
	if t.kind != number {
		p.fail(t, "expected a number, not %s", t)
	}
	p.next()
	return t.num, t
}

func (p *parser) program() {
	p.next()
	for p.err == nil && p.tok.kind != end {
		switch {
		case p.is("#"):
			p.directive()
		case p.accept("POLICY"):
			name := p.ident("a policy's name")
			if _, dup := p.policies[name.text]; dup {
				p.fail(name, "policy %s is defined twice (remove one)", name.text)
			}
			p.expect("{")
			var entries []entry
			if !p.is("}") {
				entries = p.entries()
			}
			p.expect("}")
			p.policies[name.text] = entries
		case p.is("DEFAULT"):
			at := p.tok
			p.next()
			do := p.action()
			if p.def != nil {
				p.fail(at, "a second default action (keep one)")
			}
			p.def = &do
		default:
			p.main = append(p.main, p.entries()...)
		}
	}
}

// directive reads #define and #include.
func (p *parser) directive() {
	p.next()
	if p.accept("define") {
		name := p.ident("a constant's name")
		v, _ := p.num()
		if old, dup := p.consts[name.text]; dup && old != v {
			p.fail(name, "constant %s is defined twice with different values (keep one)", name.text)
		}
		p.consts[name.text] = v
		return
	}
	at := p.tok
	if !p.is("include") {
		p.fail(at, "expected define or include after #, not %s", at)
		return
	}
	f := &p.files[len(p.files)-1]
	line := f.src.Src[f.off:]
	if n := slices.IndexFunc(line, func(b byte) bool { return b == '\n' || b == ';' }); n >= 0 {
		line = line[:n]
	}
	after := f.off + min(len(line)+1, len(f.src.Src)-f.off) // where the directive ends
	var names []token
	head := codec.NewSource(f.src.Name, f.src.Src[:f.off+len(line)])
	for off := f.off; ; {
		t, n := lex(head, off)
		if t.src = f.src; t.kind == end {
			break
		}
		if t.kind != quoted {
			p.fail(t, "expected a file's name in quotes, not %s", t)
			return
		}
		names, off = append(names, t), n
	}
	if len(names) == 0 {
		p.fail(at, `include of nothing (write #include "file")`)
	}
	f.off = after
	chain := slices.Clone(p.files)
	for _, t := range slices.Backward(names) { // the first is read first
		p.include(t, chain)
	}
	p.next()
}

func (p *parser) include(t token, chain []file) {
	var names []string
	for _, f := range chain {
		names = append(names, f.src.Name)
	}
	name := t.text
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(t.src.Name), name)
	}
	way := strings.Join(append(slices.Clone(names), name), " -> ")
	p.included++
	switch {
	case p.err != nil:
		return
	case slices.Contains(names, name) || filepath.Clean(names[0]) == name:
		p.fail(t, "an include loop: %s (remove one of them)", way)
		return
	case len(names) >= maxInclude || p.included > maxFiles:
		p.fail(t, "too many includes: %s (at most %d deep, and %d in all)", way, maxInclude, maxFiles)
		return
	case p.in.ReadFile == nil:
		p.fail(t, "files cannot be included here: %s", name)
		return
	}
	src, err := p.in.ReadFile(name)
	if err != nil {
		p.fail(t, "cannot include %s: %v (%s)", t.text, err, way)
		return
	}
	p.files = append(p.files, file{src: codec.NewSource(name, src)})
}

func (p *parser) entries() (out []entry) {
	for p.err == nil {
		if p.accept("USE") {
			name := p.ident("a policy's name")
			if _, ok := p.policies[name.text]; !ok {
				p.fail(name, "there is no policy %s before this place%s", name.text, nearest.Hint(name.text, slices.Sorted(maps.Keys(p.policies))))
			}
			out = append(out, entry{use: name.text})
		} else {
			do := p.action()
			p.expect("{")
			for first := true; p.err == nil && !p.is("}"); first = false {
				if !first {
					p.expect(",")
				}
				out = append(out, p.filter(do)...)
			}
			p.expect("}")
		}
		if !p.accept(",") {
			break
		}
	}
	return out
}

func (p *parser) action() policy.Action {
	t := p.tok
	kind, ok := actions[t.text]
	if t.kind != word || !ok {
		p.fail(t, "expected an action such as ALLOW, not %s%s", t, nearest.Hint(t.text, slices.Sorted(maps.Keys(actions))))
		return policy.Action{}
	}
	p.next()
	a := policy.Action{Kind: kind}
	if kind.MaxData() > 0 {
		p.expect("(")
		n, at := p.num()
		if n > 0xffff {
			p.fail(at, "%s is out of range (0 to 65535)", at)
		}
		a.Data = uint16(n)
		p.expect(")")
	}
	return a
}
