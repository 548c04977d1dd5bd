package lint

import (
	"strings"

	"monban/policy"
	"monban/policy/lang"
)

// An Ignore is a comment that takes a pitfall out of the findings: "# monban:ignore MB013 the container has a terminal
// of its own". At the end of a line it speaks of the rules there; alone on a line, of the whole gate.
type Ignore struct {
	Pos    policy.Pos
	ID     string
	Reason string
	Whole  bool
	Used   bool
}

const ignoreMark = "monban:ignore"

// Ignores reads the comments of a policy's text. Errors are of type *policy.Error: an unknown ID, or no reason; or of
// those of lang.Parse.
func Ignores(name string, src []byte) ([]Ignore, error) {
	f, err := lang.Parse(name, src)
	if err != nil {
		return nil, err
	}
	var out []Ignore
	for c := range f.Notes {
		rest, marked := strings.CutPrefix(strings.TrimSpace(c.Text[1:]), ignoreMark)
		if !marked {
			continue
		}
		words := strings.Fields(rest)
		wrong := func(msg string) error { return &policy.Error{Pos: c.Pos, Msg: msg} }
		if len(words) == 0 {
			return nil, wrong(ignoreMark + " names no pitfall: # " + ignoreMark + " MB013 the reason")
		}
		if _, ok := ByID(words[0]); !ok {
			err := &IDError{words[0]}
			return nil, &policy.Error{Pos: c.Pos, Msg: err.Error(), Err: err}
		}
		if len(words) == 1 {
			return nil, wrong("say why " + words[0] + " is ignored: # " + ignoreMark + " " + words[0] + " the reason")
		}
		out = append(out, Ignore{Pos: c.Pos, ID: words[0], Reason: strings.Join(words[1:], " "), Whole: c.Alone})
	}
	return out, nil
}

// An IDError says that no pitfall has an ID.
type IDError struct{ ID string }

func (e *IDError) Error() string { return e.ID + " is not a pitfall of the catalogue" }

// Apply takes the ignored findings out, and marks the comments that did so.
func Apply(findings []Finding, ignores []Ignore) (left []Finding, ignored []Ignored) {
	for _, f := range findings {
		taken := false
		for i := range ignores {
			g := &ignores[i]
			if g.ID == f.ID && (g.Whole || g.Pos.File == f.Pos.File && g.Pos.Line == f.Pos.Line) {
				g.Used = true
				ignored = append(ignored, Ignored{f, g.Reason})
				taken = true
				break
			}
		}
		if !taken {
			left = append(left, f)
		}
	}
	return left, ignored
}

// An Ignored finding has the reason why.
type Ignored struct {
	Finding
	Reason string
}
