package learn

import (
	"slices"

	"monban/abi"
	"monban/gate"
	"monban/inspect"
	"monban/policy"
	"monban/policy/decompile"
	"monban/policy/lang"
	"monban/record"
	"monban/verdict"
)

// An Earlier gate is one that later runs add to.
type Earlier struct {
	gate *gate.Gate
	text *lang.File // what it says
}

// NewEarlier is a gate to add to. Its text is kept, and will be changed; where that is nil or cannot be kept, one is
// written from what the gate means. Errors are those of gate.Exact and decompile.Policy.
func NewEarlier(g *gate.Gate, kept *lang.File, native abi.Arch) (*Earlier, error) {
	e := &Earlier{g, kept}
	if kept == nil {
		return e, e.anew(native)
	}
	return e, nil
}

// anew writes a text that includes nothing.
func (e *Earlier) anew(native abi.Arch) error {
	p, err := gate.Exact(e.gate, func(v verdict.Verdict) (*policy.Policy, error) {
		p, _, err := decompile.Policy(e.gate.Name, v, native, e.gate.Policy)
		return p, err
	})
	if err != nil {
		return err
	}
	e.text = lang.New(p)
	e.text.Lines = slices.Insert(e.text.Lines, 0, lang.Line(&lang.Comment{Text: lang.Remark("%s", e.gate.Name)}))
	return nil
}

// Add is the gate with what it lacks of a recording before all that it says, and the architectures that it now speaks
// for, too. Errors are those of gate.Exact and decompile.Policy.
func (e *Earlier) Add(rec *record.Recording, o Options) (f *lang.File, more []abi.Arch, err error) {
	if o.Extra, err = refused(e.gate, o); err != nil {
		return nil, nil, err
	}
	lacking, err := gate.Exact(e.gate, rec.Lacking)
	if err != nil {
		return nil, nil, err
	}
	if lacking.Kinds() == 0 && len(o.Extra) == 0 {
		return e.text, nil, nil
	}
	archs, err := e.gate.Archs()
	if err != nil {
		return nil, nil, err
	}
	more = slices.DeleteFunc(lacking.Archs(o.Native), func(a abi.Arch) bool { return slices.Contains(archs, a) || len(lacking.Keys(a)) == 0 })
	if len(more) > 0 {
		if e.text.Header("include") != nil { // what is included has rules without "on", which would hold there
			if err := e.anew(o.Native); err != nil {
				return nil, nil, err
			}
		}
		e.text.SpeakFor(archs, more)
	}
	e.text.Prepend(additions(lacking, o, "What a later run needed as well", more).Lines...)
	return e.text, more, nil
}

// refused are those of the calls for somebody else that a gate does not let pass whole.
func refused(g *gate.Gate, o Options) (extra []Extra, err error) {
	s, err := inspect.Summarise(g, o.Native)
	if err != nil {
		return nil, err
	}
	passing := map[string]bool{}
	for _, c := range s.Calls {
		passing[c.Name] = c.Passes() == inspect.Always
	}
	for _, x := range o.Extra {
		x.Calls = slices.DeleteFunc(slices.Clone(x.Calls), func(call string) bool { return passing[call] })
		if len(x.Calls) > 0 {
			extra = append(extra, x)
		}
	}
	return extra, nil
}
