package expect

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"monban/abi"
	"monban/bpf"
	"monban/policy"
	"monban/policy/lang"
)

// A File is a test file.
type File struct {
	Name  string
	Gate  string // the gate that it names, "" for the one beside it
	Cases []Case
}

// A Case is one expectation: what must become of a call, on the architectures that have it.
type Case struct {
	Pos   policy.Pos // of the call
	Want  Want
	Call  string     // as written
	Archs []abi.Arch // "on x86:"; nil for all of the gate's
}

// Want is what must happen: an action, or any of several.
type Want struct {
	Text   string         // as written: deny, errno(EPERM)
	Action *policy.Action // nil for deny and pass
	Denied bool           // deny: refused, by whatever action; else, without an Action, pass: allow or log
}

// Accepts says whether an answer on an architecture is what was wanted.
func (w *Want) Accepts(c *policy.Call, do bpf.Action) (bool, error) {
	if w.Action != nil {
		want, err := w.Action.On(c.Arch)
		return do == want, err
	}
	if w.Denied {
		return do.Refuses(), nil
	}
	return do.Passes(), nil
}

// Parse reads a test file. Errors are of type *policy.Error, joined.
func Parse(name string, src []byte) (*File, error) {
	f := &File{Name: name}
	var errs []error
	for n, line := range strings.Split(string(src), "\n") {
		line = strings.TrimSuffix(line, "\r")
		if err := f.line(line, n+1); err != nil {
			if errs = append(errs, err); len(errs) == 20 {
				break
			}
		}
	}
	if errs == nil && len(f.Cases) == 0 {
		errs = append(errs, &policy.Error{Pos: policy.Pos{File: name}, Msg: "no case is in it: write one a line, such as  deny ptrace"})
	}
	return f, errors.Join(errs...)
}

// line reads one line: a gate, or an expectation of one or more calls.
func (f *File) line(line string, n int) error {
	at := func(col int) policy.Pos { return policy.Pos{File: f.Name, Line: n, Col: col + 1} }
	words := split(line)
	if len(words) > 0 && words[0].text == "ok" { // as TAP says it
		words = words[1:]
	}
	if len(words) == 0 {
		return nil
	}
	if words[0].text == "gate" {
		return f.gate(words, at)
	}
	var archs []abi.Arch
	if words[0].text == "on" {
		var err error
		if archs, words, err = onArchs(words, at); err != nil {
			return err
		}
	}
	if len(words) == 0 {
		return &policy.Error{Pos: at(len(line)), Msg: "an expectation is missing: allow, deny, pass or an action"}
	}
	want, err := wanted(words[0].text)
	if err != nil {
		return &policy.Error{Pos: at(words[0].col), Msg: err.Error()}
	}
	if len(words) == 1 {
		return &policy.Error{Pos: at(len(line)), Msg: "a call is missing after " + words[0].text}
	}
	for _, w := range words[1:] {
		if err := check(w.text, archs); err != nil {
			return placed(err, at(w.col))
		}
		f.Cases = append(f.Cases, Case{at(w.col), want, w.text, archs})
	}
	return nil
}

func (f *File) gate(words []wordAt, at func(int) policy.Pos) error {
	switch {
	case f.Gate != "":
		return &policy.Error{Pos: at(words[0].col), Msg: "the gate is named twice"}
	case len(words) != 2:
		return &policy.Error{Pos: at(words[0].col), Msg: `one gate is named: gate "web.gate"`}
	}
	f.Gate = strings.Trim(words[1].text, `"`)
	if f.Gate == "" {
		return &policy.Error{Pos: at(words[1].col), Msg: "the gate has no name"}
	}
	return nil
}

// onArchs reads "on x86 x32:".
func onArchs(words []wordAt, at func(int) policy.Pos) (archs []abi.Arch, rest []wordAt, err error) {
	for i, w := range words[1:] {
		name, last := strings.CutSuffix(w.text, ":")
		a, err := abi.ParseArch(name)
		if err != nil {
			return nil, nil, &policy.Error{Pos: at(w.col), Msg: err.Error()}
		}
		if archs = append(archs, a); last {
			return archs, words[i+2:], nil
		}
	}
	return nil, nil, &policy.Error{Pos: at(words[0].col), Msg: "a colon is missing: on x86_64 x86: deny ptrace"}
}

// wanted reads an expectation.
func wanted(text string) (Want, error) {
	w := Want{Text: text}
	switch text {
	case "deny":
		w.Denied = true
		return w, nil
	case "pass":
		return w, nil
	}
	a, err := lang.ParseAction(text)
	if e, ok := errors.AsType[*policy.Error](err); ok {
		if _, ok := errors.AsType[*lang.WordError](e); ok {
			return w, fmt.Errorf("%s is not an expectation: write allow, deny (refused in whatever way), pass (allow or log) or an action such as errno(EPERM)", text)
		}
		return w, errors.New(e.Reason())
	}
	w.Action = &a
	return w, err
}

// check reads a call once, for errors that do not depend on the gate: on the architectures named, or on any that has
// it.
func check(text string, archs []abi.Arch) error {
	if archs == nil {
		archs = append([]abi.Arch{abi.Native()}, abi.Archs()...)
	}
	var first error
	for _, a := range archs {
		_, err := lang.ParseCall(a, text)
		if err == nil {
			return nil
		}
		if _, elsewhere := errors.AsType[*policy.NoCallError](first); first == nil || elsewhere {
			first = err
		}
	}
	return first
}

// placed moves an error in a call to its place in the file.
func placed(err error, at policy.Pos) error {
	e, ok := errors.AsType[*policy.Error](err)
	if !ok {
		return &policy.Error{Pos: at, Msg: err.Error()}
	}
	at.Col += max(e.Pos.Col-1, 0)
	return &policy.Error{Pos: at, Msg: e.Msg, Near: e.Near, Err: e.Err}
}

// A wordAt is a word of a line and its column, from 0, in runes.
type wordAt struct {
	text string
	col  int
}

// split cuts a line at spaces outside of brackets and quotes, and leaves a comment out.
func split(line string) (words []wordAt) {
	depth, start, quoted := 0, -1, false
	runes := []rune(line)
	end := func(i int) {
		if start >= 0 {
			words = append(words, wordAt{string(runes[start:i]), start})
			start = -1
		}
	}
	for i, r := range runes {
		switch {
		case r == '#' && !quoted:
			end(i)
			return words
		case r == '"':
			quoted = !quoted
		case quoted:
		case slices.Contains([]rune("({"), r):
			depth++
		case slices.Contains([]rune(")}"), r):
			depth--
		case (r == ' ' || r == '\t') && depth <= 0:
			end(i)
			continue
		}
		if start < 0 {
			start = i
		}
	}
	end(len(runes))
	return words
}
