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
	tokens    int // in all files

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
	all, err := r.statements(name, src)
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
	all, err := r.statements(name, src)
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
