package main

import (
	"errors"

	"monban/abi"
	"monban/format"
	"monban/learn"
	"monban/policy/lang"
	"monban/record"
	"monban/verdict"
)

// earlierGate is what --known names, as ref. Its text is kept if it means the same in the file that will be written, which has a name.
func earlierGate(g *format.Gate, ref string, v verdict.Verdict, name string, native abi.Arch) (*learn.Earlier, error) {
	archs, err := archsOf(g, v)
	if err != nil {
		return nil, err
	}
	e := &learn.Earlier{Name: ref, Policy: g.Policy, Means: v, Archs: archs}
	if g.Format.Name != "gate" || g.Preset {
		return e, nil
	}
	f, err := lang.Parse(name, g.Source)
	if err == nil {
		_, err = f.Resolve(lang.Options{Native: native, ReadFile: lang.ReadIncluded})
	}
	if err == nil {
		e.File = f
	} // else it includes what is elsewhere, seen from there
	return e, nil
}

// added is the earlier gate with what a recording needs beside.
func added(e *learn.Earlier, rec *record.Recording, o learn.Options) (*lang.File, error) {
	f, more, err := e.Add(rec, o)
	if len(more) > 0 {
		say("%s spoke for %s only; the new gate speaks for %s, too", e.Name, archNames(e.Archs), archNames(more))
	}
	if errors.Is(err, verdict.ErrTooComplex) {
		err = tooComplex(&format.Gate{Name: e.Name, Policy: e.Policy}, err)
	}
	return f, err
}
