package lint

import (
	"slices"
	"strings"

	"monban/policy/lang"
)

// An Edit is a change to a text: some of its rows are replaced by others. The text is then in the one standard layout.
type Edit struct {
	Row      int      // the first that is replaced, from 1; where none is, the one that the new ones stand before
	Old, New []string // without line breaks
}

// Edit is the change to a gate's text that fixes a finding; nil where only a person can tell how, or the text cannot be
// read.
func (f *Finding) Edit(name string, src []byte) *Edit {
	text, ok := f.edited(name, src)
	if !ok {
		return nil
	}
	return difference(string(src), text)
}

// edited is a gate's text without a finding.
func (f *Finding) edited(name string, src []byte) (string, bool) {
	if f.edit == nil {
		return "", false
	}
	file, err := lang.Parse(name, src)
	if err != nil || !f.edit(file, f) {
		return "", false
	}
	text := file.String()
	return text, text != string(src)
}

// difference is what stands between the rows that two texts begin and end with alike.
func difference(before, after string) *Edit {
	rows := func(text string) []string { return strings.Split(strings.TrimSuffix(text, "\n"), "\n") }
	a, b := rows(before), rows(after)
	begin := 0
	for begin < min(len(a), len(b)) && a[begin] == b[begin] {
		begin++
	}
	end := 0
	for end < min(len(a), len(b))-begin && a[len(a)-1-end] == b[len(b)-1-end] {
		end++
	}
	return &Edit{begin + 1, a[begin : len(a)-end], b[begin : len(b)-end]}
}

// A Fixed finding has the change that fixed it, to the text as it was then.
type Fixed struct {
	Finding
	Edit *Edit
}

// A NoTextError says that a gate has no text that can be changed: it is not a policy's, but another format's, a
// preset's or a process's.
type NoTextError struct{ Gate, Kind string }

func (e *NoTextError) Error() string {
	return e.Gate + " is not a policy's text that can be changed, but a " + e.Kind
}

// Fix fixes findings of a gate, from a severity on, by changes to its text, and has again look at each changed text: a
// change is kept if its finding is gone then and there is none as severe that was not there before. It returns what is
// left in the end, with the text in Gate.Source. The error is a *NoTextError.
func Fix(r *Result, least Severity, again func(text []byte) (*Result, error)) (*Result, []Fixed, error) {
	if r.Gate.Format != "gate" || r.Gate.Source == nil {
		return nil, nil, &NoTextError{r.Gate.Name, r.Gate.Kind}
	}
	type key struct{ id, title string }
	tried := map[key]bool{} // in vain
	var done []Fixed
	for {
		i := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.Severity >= least && f.edit != nil && !tried[key{f.ID, f.Title}] })
		if i < 0 {
			return r, done, nil
		}
		f := r.Findings[i]
		text, ok := f.edited(r.Gate.Name, r.Gate.Source)
		if ok {
			now, err := again([]byte(text))
			if ok = err == nil && better(r, now, &f); ok {
				done = append(done, Fixed{f, difference(string(r.Gate.Source), text)})
				r = now
			}
		}
		if !ok {
			tried[key{f.ID, f.Title}] = true
		}
	}
}

// better says that a finding is gone, that there is none as severe that was not there, and that no comment hides more
// than before: one at the end of a line whose rules are gone would speak of the whole gate.
func better(old, now *Result, gone *Finding) bool {
	before, after := old.Findings, now.Findings
	if len(now.Ignored) > len(old.Ignored) {
		return false
	}
	count := func(all []Finding, f *Finding) (n int) {
		for i := range all {
			if all[i].ID == f.ID && all[i].Title == f.Title {
				n++
			}
		}
		return n
	}
	if count(after, gone) >= count(before, gone) {
		return false
	}
	return !slices.ContainsFunc(after, func(f Finding) bool { return f.Severity >= gone.Severity && count(before, &f) == 0 })
}
