package lang

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"monban/abi"
	"monban/bpf"
	"monban/internal/nearest"

	"monban/policy"
)

// Options say how a policy's text becomes a policy.
type Options struct {
	// Archs overrides the arch header. Nil: the header decides, and without one the native architecture.
	Archs []abi.Arch
	// Native is what "native" and "compat" in an arch header refer to.
	Native abi.Arch
	// Kernel is the one that the policy speaks of where it has no kernel header. Zero: the newest that is known.
	Kernel abi.Version
	// ReadFile reads included files, named relative to the file that includes them. Nil: includes of files are refused.
	ReadFile func(name string) ([]byte, error)
}

// Load parses a policy's text, takes in what it includes, and checks every name on every architecture that it speaks for.
func Load(file string, src []byte, o Options) (*policy.Policy, error) {
	f, err := Parse(file, src)
	if err != nil {
		return nil, err
	}
	return f.Resolve(o)
}

// Resolve turns a parsed file into a policy.
func (f *File) Resolve(o Options) (*policy.Policy, error) {
	p, err := f.resolve(o)
	if err == nil {
		err = p.Check()
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// resolve is Resolve without the check of conditions and errnos, which Verdict makes as well.
func (f *File) resolve(o Options) (*policy.Policy, error) {
	if len(f.Lines) == 0 { // comments, perhaps of another language
		return nil, &policy.Error{Pos: policy.Pos{File: f.Name}, Msg: "nothing is in it except comments and blank lines: a gate says at least what its default is"}
	}
	l := &loader{o: o, p: &policy.Policy{Name: f.Name}}
	l.file(f)
	p := l.p
	if !l.has("default") {
		p.Default = policy.Action{Kind: bpf.KillProcess}
	}
	if !l.has("unknown") {
		p.Unknown = policy.Action{Kind: bpf.Errno, Errno: "ENOSYS"}
	}
	if !l.has("kernel") {
		p.Kernel = o.Kernel
	}
	if !l.has("badarch") {
		p.BadArch = policy.Action{Kind: bpf.KillProcess}
	}
	switch {
	case o.Archs != nil:
		p.Archs = slices.Clone(o.Archs)
	case len(p.Archs) == 0:
		p.Archs = []abi.Arch{o.Native}
	}
	if len(l.errs) == 0 {
		l.rules()
	}
	return p, errors.Join(l.errs[:min(len(l.errs), maxErrors)]...)
}

type loader struct {
	o       Options
	p       *policy.Policy
	seen    map[string]header // the header that was set, and where
	stack   []string          // files being included
	files   int               // included so far
	pending []pending
	errs    []error
}

type header struct {
	text string
	pos  policy.Pos
}

// A pending line is resolved once all headers are known: groups depend on kernel, existence on arch.
type pending struct {
	line Line
	wide bool
}

func (l *loader) has(word string) bool { _, ok := l.seen[word]; return ok }

func (l *loader) errorf(pos policy.Pos, format string, args ...any) {
	l.errs = append(l.errs, errorf(pos, format, args...))
}

// set records a header; two that say different things are an error. It says whether this is the first.
func (l *loader) set(word, text string, pos policy.Pos) bool {
	if old, ok := l.seen[word]; ok {
		if old.text != text {
			l.errorf(pos, "%s %s contradicts %s %s at %s: leave one of them out", word, text, word, old.text, old.pos)
		}
		return false
	}
	if l.seen == nil {
		l.seen = map[string]header{}
	}
	l.seen[word] = header{text, pos}
	return true
}

func (l *loader) file(f *File) {
	l.stack = append(l.stack, f.Name)
	defer func() { l.stack = l.stack[:len(l.stack)-1] }()
	wide := false
	for _, line := range f.Lines {
		if line.Word == "compare" {
			if line.Args[0].Text != "64" {
				l.errorf(line.Args[0].Pos, "compare %s: the one value is 64 (without the header, arguments are compared at their real width)", line.Args[0].Text)
			}
			wide = true
		}
	}
	for _, line := range f.Lines {
		if l.files > maxFiles {
			return
		}
		l.line(line, wide)
	}
}

func (l *loader) line(line Line, wide bool) {
	if l.p.Compare64 = l.p.Compare64 || wide; len(l.errs) >= maxErrors {
		return
	}
	switch line.Word {
	case "":
		l.pending = append(l.pending, pending{line, wide})
	case "kernel":
		v, err := abi.ParseVersion(line.Args[0].Text)
		if err != nil {
			l.errorf(line.Args[0].Pos, "kernel %s is no kernel version: write one such as 6.12", line.Args[0].Text)
		} else if l.set("kernel", v.String(), line.Pos) {
			l.p.Kernel = v
		}
	case "arch":
		l.arch(line)
	case "default":
		if l.set("default", line.Do.String(), line.Pos) {
			l.p.Default = line.Do
		}
	case "unknown":
		if l.set("unknown", line.Do.String(), line.Pos) {
			l.p.Unknown = line.Do
		}
	case "badarch":
		if l.set("badarch", line.Do.String(), line.Pos) {
			l.p.BadArch = line.Do
		}
	case "include":
		for _, a := range line.Args {
			l.include(a)
		}
	}
}

func (l *loader) arch(line Line) {
	archs := l.archs(line.Args)
	sorted := slices.Sorted(slices.Values(archs))
	if l.set("arch", fmt.Sprint(sorted), line.Pos) {
		l.p.Archs = archs
	}
}

// archs reads architecture names; native and compat stand for the machine's own and for what it also runs.
func (l *loader) archs(args []Arg) []abi.Arch {
	var archs []abi.Arch
	add := func(more ...abi.Arch) {
		for _, a := range more {
			if !slices.Contains(archs, a) {
				archs = append(archs, a)
			}
		}
	}
	for _, a := range args {
		switch a.Text {
		case "native":
			add(l.o.Native)
		case "compat":
			add(l.o.Native.Family()[1:]...)
		default:
			arch, err := abi.ParseArch(a.Text)
			if err != nil {
				l.errorf(a.Pos, "%v", err)
				continue
			}
			add(arch)
		}
	}
	return archs
}

const (
	maxIncludes = 16      // how deep includes nest
	maxFiles    = 256     // how many files are included in all
	maxRules    = 100_000 // how many rules a policy has once groups are spelled out
)

func (l *loader) include(a Arg) {
	if !a.Quoted {
		src, err := presetSource(a.Text)
		if err != nil {
			l.errorf(a.Pos, "%v", err)
			return
		}
		l.nested(a, a.Text, src)
		return
	}
	if l.o.ReadFile == nil {
		l.errorf(a.Pos, "%q cannot be included here: only presets can", a.Text)
		return
	}
	file := a.Text
	if from := l.stack[len(l.stack)-1]; !path.IsAbs(file) && strings.Contains(from, "/") {
		file = path.Join(path.Dir(from), file)
	}
	src, err := l.o.ReadFile(file)
	if err != nil {
		l.errorf(a.Pos, "cannot include %s: %v", file, err)
		return
	}
	l.nested(a, file, src)
}

func (l *loader) nested(a Arg, file string, src []byte) {
	if slices.Contains(l.stack, file) {
		l.errorf(a.Pos, "%s includes itself: %s", file, strings.Join(append(l.stack, file), " -> "))
		return
	}
	if len(l.stack) >= maxIncludes {
		l.errorf(a.Pos, "includes nest more than %d deep", maxIncludes)
		return
	}
	if l.files++; l.files > maxFiles {
		if l.files == maxFiles+1 {
			l.errorf(a.Pos, "more than %d files are included", maxFiles)
		}
		return
	}
	f, err := Parse(file, src)
	if err != nil {
		l.errs = append(l.errs, err)
		return
	}
	l.file(f)
}

// rules spells out groups: one rule a call.
func (l *loader) rules() {
	allWide := true
	items := 0
	for _, p := range l.pending {
		items += len(p.line.Items)
	}
	l.p.Rules = slices.Grow(l.p.Rules, items)
	for _, p := range l.pending {
		on := l.archs(p.line.On)
		for _, it := range p.line.Items {
			if len(l.errs) >= maxErrors {
				return
			}
			if len(l.p.Rules) > maxRules {
				l.errorf(it.Pos, "the policy has more than %d rules", maxRules)
				return
			}
			r := policy.Rule{Action: p.line.Do, Call: it.Name, Cond: it.Cond, Archs: on, Optional: it.Optional, Pos: it.Pos}
			if r.Cond != nil {
				allWide = allWide && p.wide
			}
			if p.wide {
				r.Cond = atWidth(r.Cond, true)
			}
			switch {
			case strings.HasPrefix(it.Name, "@"):
				names, ok := abi.Group(it.Name, l.p.Kernel)
				if !ok {
					l.errorf(it.Pos, "%s", unknownGroup(it.Name))
					continue
				}
				r.Optional = true
				for _, n := range names {
					r.Call = n
					l.p.Rules = append(l.p.Rules, r)
				}
				continue
			case it.Name == anyCall:
				r.Call = ""
			case !abi.Known(it.Name):
				l.errorf(it.Pos, "unknown system call %s%s", it.Name, nearest.Hint(it.Name, append(abi.Calls(), anyCall)))
				continue
			case !r.Optional:
				l.exists(r)
			}
			l.p.Rules = append(l.p.Rules, r)
		}
	}
	l.p.Compare64 = l.p.Compare64 && allWide
}

func unknownGroup(name string) string {
	if _, err := presetSource(name); err == nil {
		return fmt.Sprintf("%s is a preset, not a group: write include %s", name, name)
	}
	return fmt.Sprintf("unknown group %s%s", name, nearest.Hint(name, abi.Groups()))
}

// exists reports a rule for a call that none of the policy's architectures has.
func (l *loader) exists(r policy.Rule) {
	archs := r.On(l.p)
	for _, a := range archs {
		if hasCall(a, r.Call) {
			return
		}
	}
	if len(archs) == 0 && len(r.Archs) > 0 {
		return // a line for architectures that this policy, or this machine, is not about
	}
	var on []string
	for _, a := range abi.Archs() {
		if hasCall(a, r.Call) {
			on = append(on, a.String())
		}
	}
	if len(on) > 4 {
		on = append(on[:4], "…")
	}
	l.errorf(r.Pos, "%s does not exist on %s, only on %s: write optional %s to pass over it", r.Call, abi.Join(archs, ", "), strings.Join(on, ", "), r.Call)
}

func hasCall(a abi.Arch, call string) bool { return len(a.Reaching(call)) > 0 }

// atWidth is the condition with every comparison at full register width, or at its argument's own.
func atWidth(e policy.Expr, wide bool) policy.Expr {
	all := func(es []policy.Expr) []policy.Expr {
		out := make([]policy.Expr, len(es))
		for i, e := range es {
			out[i] = atWidth(e, wide)
		}
		return out
	}
	switch e := e.(type) {
	case policy.And:
		return policy.And(all(e))
	case policy.Or:
		return policy.Or(all(e))
	case policy.Not:
		return policy.Not{X: atWidth(e.X, wide)}
	case policy.Compare:
		e.X.Wide = wide
		return e
	case policy.In:
		e.X.Wide = wide
		return e
	}
	return e
}
