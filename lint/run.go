package lint

import (
	"slices"
	"strings"

	"monban/gate"
)

// Options say what is left out of the findings.
type Options struct {
	Ignore []Ignore // beside the comments of the gate's text
	// ReadFile reads a file that the gate includes, for its comments. Nil: only the gate's own comments count.
	ReadFile func(name string) ([]byte, error)
}

// A Result is what was found in a gate.
type Result struct {
	Gate     *gate.Gate
	Findings []Finding // the worst first
	Ignored  []Ignored
	Unused   []Ignore // comments that ignore what is not there
}

// Run is Find without what comments in the gate's text take out. A comment that cannot be read is a *policy.Error.
func Run(g *gate.Gate, o Options) (*Result, error) {
	found, err := Find(g)
	if err != nil {
		return nil, err
	}
	comments, err := comments(g, found, o.ReadFile)
	if err != nil {
		return nil, err
	}
	ignores := append(slices.Clone(o.Ignore), comments...)
	r := &Result{Gate: g}
	r.Findings, r.Ignored = Apply(found, ignores)
	for _, i := range ignores {
		if !i.Used && i.Pos.Line > 0 {
			r.Unused = append(r.Unused, i)
		}
	}
	return r, nil
}

// comments are those of a gate and of the files that it includes and that something was found in.
func comments(g *gate.Gate, found []Finding, readFile func(string) ([]byte, error)) ([]Ignore, error) {
	if g.Format != "gate" || g.Source == nil {
		return nil, nil
	}
	out, err := Ignores(g.Name, g.Source)
	seen := []string{g.Name}
	for _, f := range found {
		file := f.Pos.File
		if err != nil || file == "" || readFile == nil || strings.HasPrefix(file, "@") || slices.Contains(seen, file) {
			continue
		}
		seen = append(seen, file)
		var src []byte
		var more []Ignore
		if src, err = readFile(file); err == nil {
			more, err = Ignores(file, src)
		}
		out = append(out, more...)
	}
	return out, err
}
