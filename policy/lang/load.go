package lang

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"monban/abi"
	"monban/bpf"
	"monban/internal/plain"
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

// Load parses a policy's text, takes in what it includes, and checks every name on every architecture that it speaks
// for.
func Load(file string, src []byte, o Options) (*policy.Policy, error) {
	f, err := Parse(file, src)
	if err != nil {
		return nil, err
	}
	return f.Resolve(o)
}

// Resolve turns a file into a policy. Errors are of type *policy.Error, joined.
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
	if !slices.ContainsFunc(f.Lines, func(l Line) bool { _, comment := l.(*Comment); return !comment }) { // perhaps of another language
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
	return p, errors.Join(l.errs[:min(len(l.errs), maxShown)]...)
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
	h := f.Header("compare")
	for _, line := range f.Lines {
		if l.files > maxFiles || len(l.errs) >= maxShown {
			return
		}
		l.p.Compare64 = l.p.Compare64 || h != nil
		switch line := line.(type) {
		case *Header:
			l.header(line)
		case *Rules:
			l.action(line.Do, line.Start)
			if len(line.Items) == 0 {
				l.errorf(line.Start, "%s without a system call or a group", line.Do) // the parser makes no such line
			}
			l.pending = append(l.pending, pending{line, h != nil, f.preset})
		case *Bad:
			if line.Err == nil {
				l.errorf(line.Start, "this line was not understood")
				continue
			}
			l.errs = append(l.errs, line.Err)
		case *Comment:
		default:
			l.errorf(policy.Pos{File: f.Name}, "a line of no kind")
		}
	}
}

func (l *loader) header(h *Header) {
	pos := h.Span.Start
	action := func(to *policy.Action) {
		if len(h.Args) > 0 {
			l.errorf(pos, "%s with values after its action", h.Word) // the parser makes no such header
		}
		if l.action(h.Do, pos); l.set(h.Word, h.Do.Action.String(), pos) {
			*to = h.Do.Action
		}
	}
	switch h.Word {
	case "default":
		action(&l.p.Default)
		return
	case "unknown":
		action(&l.p.Unknown)
		return
	case "badarch":
		action(&l.p.BadArch)
		return
	}
	if len(h.Args) == 0 || len(h.Args) > 1 && h.Word != "arch" && h.Word != "include" {
		l.errorf(pos, "%s with %d values", h.Word, len(h.Args)) // the parser makes no such header
		return
	}
	first := h.Args[0]
	switch h.Word {
	case "kernel":
		v, err := abi.ParseVersion(first.Text)
		if err != nil {
			l.errorf(first.Pos, "kernel %s is not a kernel version: write one such as 6.12", first.Text)
		} else if l.set("kernel", v.String(), pos) {
			l.p.Kernel = v
		}
	case "arch":
		archs := l.archs(h.Args)
		if l.set("arch", fmt.Sprint(slices.Sorted(slices.Values(archs))), pos) {
			l.p.Archs = archs
		}
	case "compare":
		if first.Text != "64" {
			l.errorf(first.Pos, "compare %s: the one value is 64 (without the header, arguments are compared at their real width)", first.Text)
		}
	case "include":
		for _, a := range h.Args {
			l.include(a)
		}
	default:
		l.errorf(pos, "unknown header %s", h.Word) // the parser makes no such header
	}
}

// action reports an action that is not read as what it is.
func (l *loader) action(a Action, pos policy.Pos) {
	if read, err := ParseAction(a.String()); err != nil || read != a.Action {
		l.errorf(pos, "%s is not an action", a.Action) // the parser makes no such action
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
		l.nested(a, a.Text, src, true)
		return
	}
	if plain.Text(a.Text) != a.Text || strings.Contains(a.Text, `"`) {
		l.errorf(a.Pos, "%q cannot be written as a file's name", a.Text) // the parser makes no such name
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
	l.nested(a, file, src, false)
}

func (l *loader) nested(a Arg, file string, src []byte, preset bool) {
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
	f.preset = preset
	l.file(f)
}
