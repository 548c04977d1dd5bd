package main

import (
	"monban/abi"
	"monban/gate"
	"monban/learn"
	"monban/policy/lang"
)

// earlierGate is what --known names. Its text is kept if it means the same in the file that will be written, which has
// a name.
func earlierGate(g *gate.Gate, name string, native abi.Arch) (*learn.Earlier, error) {
	return learn.NewEarlier(g, keptText(g, name, native), native)
}

func keptText(g *gate.Gate, name string, native abi.Arch) *lang.File {
	if g.Format != "gate" || g.Preset {
		return nil
	}
	f, err := lang.Parse(name, g.Source)
	if err == nil {
		_, err = f.Resolve(lang.Options{Native: native, ReadFile: lang.ReadIncluded})
	}
	if err != nil {
		return nil // it includes what is elsewhere, seen from there
	}
	return f
}
