package learn

import (
	"slices"

	"monban/abi"
	"monban/inspect"
	"monban/policy"
	"monban/policy/decompile"
	"monban/policy/lang"
	"monban/record"
	"monban/verdict"
)

// An Earlier gate is one that later runs add to.
type Earlier struct {
	File   *lang.File // what it says; nil where that cannot be kept: then it is written anew from what it means
	Name   string
	Policy *policy.Policy // nil where it is a filter
	Means  verdict.Verdict
	Archs  []abi.Arch // that it speaks for
}

// Add is the gate with what it lacks of a recording before all that it says, and the architectures that it now speaks for, too. Errors
// are those of decompile.Policy, or verdict.ErrTooComplex.
func (e *Earlier) Add(rec *record.Recording, o Options) (f *lang.File, more []abi.Arch, err error) {
	err = e.Means.Space().Do(func() error {
		f, more, err = e.add(rec, o)
		return err
	})
	return f, more, err
}

func (e *Earlier) add(rec *record.Recording, o Options) (*lang.File, []abi.Arch, error) {
	f, err := e.file(o.Native, e.File == nil)
	if err != nil {
		return nil, nil, err
	}
	s, err := inspect.Summarise(e.Means, o.Native)
	if err != nil {
		return nil, nil, err
	}
	passing := map[string]bool{}
	for _, c := range s.Calls {
		passing[c.Name] = c.Passes() == inspect.Always
	}
	var extra []Extra
	for _, x := range o.Extra {
		x.Calls = slices.DeleteFunc(slices.Clone(x.Calls), func(call string) bool { return passing[call] })
		if len(x.Calls) > 0 {
			extra = append(extra, x)
		}
	}
	o.Extra = extra
	lacking, err := rec.Lacking(e.Means)
	if err != nil || lacking.Kinds() == 0 && len(extra) == 0 {
		return f, nil, err
	}
	more := slices.DeleteFunc(lacking.Archs(o.Native), func(a abi.Arch) bool { return slices.Contains(e.Archs, a) || len(lacking.Keys(a)) == 0 })
	if len(more) > 0 {
		// What is included has rules without "on", which would hold there.
		if f, err = e.file(o.Native, f.Header("include") != nil); err != nil {
			return nil, nil, err
		}
		f.SpeakFor(e.Archs, more)
	}
	f.Prepend(additions(lacking, o, "What a later run needed beside", more).Lines...)
	return f, more, nil
}

// file is what the gate says, or, anew, what says what it means and includes nothing.
func (e *Earlier) file(native abi.Arch, anew bool) (*lang.File, error) {
	if !anew {
		return e.File, nil
	}
	p, _, err := decompile.Policy(e.Name, e.Means, native, e.Policy)
	if err != nil {
		return nil, err
	}
	f := lang.New(p)
	f.Lines = slices.Insert(f.Lines, 0, lang.Line(&lang.Comment{Text: lang.Remark("%s", e.Name)}))
	return f, nil
}
