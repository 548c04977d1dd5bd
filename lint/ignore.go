package lint

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"

	"monban/policy"
	"monban/policy/lang"
)

// An Ignore is a comment that takes a pitfall out of the findings: "# monban:ignore MB013 the container has a terminal of its own".
// At the end of a line it speaks of the rules there; alone on a line, of the whole gate.
type Ignore struct {
	Pos    policy.Pos
	ID     string
	Reason string
	Whole  bool
	Used   bool
}

const ignoreMark = "monban:ignore"

// Ignores reads the comments of a policy's text. Errors are of type *policy.Error: an unknown ID, or no reason.
func Ignores(name string, src []byte) ([]Ignore, error) {
	var out []Ignore
	lines := bufio.NewScanner(bytes.NewReader(src))
	lines.Buffer(nil, lang.MaxSize+1)
	for n := 1; lines.Scan(); n++ {
		before, rest, ok := strings.Cut(lines.Text(), "#")
		col := len(before) + 1
		rest, marked := strings.CutPrefix(strings.TrimSpace(rest), ignoreMark)
		if !ok || !marked {
			continue
		}
		at := policy.Pos{File: name, Line: n, Col: col}
		words := strings.Fields(rest)
		if len(words) == 0 {
			return nil, &policy.Error{Pos: at, Msg: ignoreMark + " names no pitfall: # " + ignoreMark + " MB013 the reason"}
		}
		if _, ok := ByID(words[0]); !ok {
			return nil, &UnknownError{at, words[0]}
		}
		if len(words) == 1 {
			return nil, &policy.Error{Pos: at, Msg: "say why " + words[0] + " is ignored: # " + ignoreMark + " " + words[0] + " the reason"}
		}
		out = append(out, Ignore{Pos: at, ID: words[0], Reason: strings.Join(words[1:], " "), Whole: strings.TrimSpace(before) == ""})
	}
	return out, lines.Err()
}

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

// An UnknownError says that the catalogue does not have a pitfall that is to be ignored.
type UnknownError struct {
	Pos policy.Pos
	ID  string
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("%s: %s is not a pitfall of the catalogue", e.Pos, e.ID)
}
