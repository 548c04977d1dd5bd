package lint

import (
	"slices"
	"strings"

	"monban/bpf"
	"monban/policy"
	"monban/policy/lang"
)

// setHeader gives a header an action.
func setHeader(word string, do policy.Action) func(*lang.File, *Finding) bool {
	return func(f *lang.File, _ *Finding) bool {
		if h := f.Header(word); h != nil {
			h.Do = lang.Act(do)
		} else {
			f.AddHeader(lang.HeadAction(word, do))
		}
		return true
	}
}

// before puts a rule before all others: it decides its calls.
func before(rule string) func(*lang.File, *Finding) bool {
	return func(f *lang.File, _ *Finding) bool { return putFirst(f, rule) }
}

// beforeAll gives all calls that a finding names an action, before all other rules.
func beforeAll(action string) func(*lang.File, *Finding) bool {
	return func(f *lang.File, found *Finding) bool {
		return putFirst(f, action+" "+strings.Join(found.Calls, " "))
	}
}

// putFirst puts a line of rules before all others, and above the comment that stands over them. What others said of the
// calls that it decides alone is taken out.
func putFirst(f *lang.File, rule string) bool {
	one, err := lang.Parse("", []byte(rule))
	if err != nil || len(one.Lines) != 1 {
		return false
	}
	line, ok := one.Lines[0].(*lang.Rules)
	if !ok {
		return false
	}
	line.Place = lang.Place{}
	without(f, func(it lang.Item) bool {
		return slices.ContainsFunc(line.Items, func(by lang.Item) bool { return by.Name == it.Name && by.Cond == nil })
	})
	first := slices.IndexFunc(f.Lines, func(l lang.Line) bool {
		h, header := l.(*lang.Header)
		_, comment := l.(*lang.Comment)
		return !comment && (!header || h.Word == "include")
	})
	if first < 0 {
		f.Add(line)
		return true
	}
	at := first
	for at > 0 && !f.Lines[at].At().Apart {
		if _, comment := f.Lines[at-1].(*lang.Comment); !comment {
			break
		}
		at--
	}
	if at == 0 { // what a file begins with is about the file
		at = first
	}
	below := f.Lines[at].At()
	line.Apart = below.Apart
	if _, comment := f.Lines[at].(*lang.Comment); !comment {
		below.Apart = false
	}
	f.Lines = slices.Insert(f.Lines, at, lang.Line(line))
	return true
}

// replace writes one action for another.
func replace(old, by bpf.Action) func(*lang.File, *Finding) bool {
	return func(f *lang.File, _ *Finding) (changed bool) {
		for _, l := range f.Lines {
			var do *lang.Action
			switch l := l.(type) {
			case *lang.Header:
				do = &l.Do
			case *lang.Rules:
				do = &l.Do
			default:
				continue
			}
			if do.Kind == old {
				*do, changed = lang.Act(policy.Action{Kind: by}), true
			}
		}
		return changed
	}
}

// takeOut takes items out that change nothing.
func takeOut(f *lang.File, found *Finding) bool {
	return without(f, func(it lang.Item) bool { return slices.Contains(found.idle, it.Pos) })
}

// without takes items out of rules, and says whether there were any. Where none is left of a line, its comment is.
func without(f *lang.File, out func(lang.Item) bool) (changed bool) {
	for i, l := range f.Lines {
		r, ok := l.(*lang.Rules)
		if !ok {
			continue
		}
		var left []lang.Item
		optional := false // it holds for the rest of the line
		for _, it := range r.Items {
			optional = optional || it.Optional
			if out(it) {
				changed = true
				continue
			}
			it.Optional = optional
			left = append(left, it)
		}
		switch {
		case len(left) == len(r.Items):
		case left != nil:
			r.Items = left
		case r.Comment != "":
			f.Lines[i] = &lang.Comment{Place: lang.Place{Apart: r.Apart}, Text: r.Comment}
		default:
			f.Lines[i] = nil
			if i+1 < len(f.Lines) && r.Apart {
				f.Lines[i+1].At().Apart = true
			}
		}
	}
	f.Lines = slices.DeleteFunc(f.Lines, func(l lang.Line) bool { return l == nil })
	return changed
}
