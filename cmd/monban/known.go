package main

import (
	"slices"
	"strings"

	"monban/abi"
	"monban/gate"
	"monban/inspect"
	"monban/internal/plain"
	"monban/policy/decompile"
	"monban/policy/lang"
	"monban/record"
)

// An earlierGate is what --known names: later runs add to its text.
type earlierGate struct {
	*gate.Gate
	archs []abi.Arch
	text  string // as it can stand in the file that will be written
}

func newEarlierGate(g *gate.Gate, ref, name string, native abi.Arch) (*earlierGate, error) {
	archs, err := g.Archs()
	if err != nil {
		return nil, err
	}
	e := &earlierGate{Gate: g, archs: archs, text: string(g.Source)}
	if g.Format == "gate" && !g.Preset {
		if _, err := loadable(name, e.text, native); err == nil {
			return e, nil
		} // it includes what is elsewhere, seen from there
	}
	return e, e.flatten(ref, native)
}

// flatten makes the text one that includes nothing.
func (e *earlierGate) flatten(ref string, native abi.Arch) error {
	v, err := e.Verdict()
	if err != nil {
		return err
	}
	p, _, err := decompile.Policy(ref, v, native, e.Policy)
	if err == nil {
		e.text = plain.Sprintf("# %s\n", ref) + lang.Print(p)
	}
	return err
}

// and is its text with what it lacks before it.
func (e *earlierGate) and(rec *record.Recording, o record.Options) (string, error) {
	s, err := inspect.Summarise(e.Gate, o.Native)
	if err != nil {
		return "", err
	}
	passing := map[string]bool{}
	for _, c := range s.Calls {
		passing[c.Name] = c.Passes() == inspect.Always
	}
	var extra []record.Extra
	for _, x := range o.Extra {
		x.Calls = slices.DeleteFunc(slices.Clone(x.Calls), func(call string) bool { return passing[call] })
		if len(x.Calls) > 0 {
			extra = append(extra, x)
		}
	}
	o.Extra = extra
	lacking, err := gate.Exact(e.Gate, rec.Lacking)
	if err != nil {
		return "", err
	}
	if lacking.Kinds() == 0 && len(extra) == 0 {
		return e.text, nil
	}
	more := slices.DeleteFunc(lacking.Archs(o.Native), func(a abi.Arch) bool { return slices.Contains(e.archs, a) || len(lacking.Keys(a)) == 0 })
	if o.New = more; len(more) > 0 {
		if err := e.speakFor(more, o.Native); err != nil {
			return "", err
		}
		say("%s spoke for %s only; the new gate speaks for %s, too", e.Name, abi.Join(e.archs, ", "), abi.Join(more, ", "))
	}
	return lacking.Rules(o, "What a later run needed beside") + "\n" + e.text, nil
}

// speakFor adds architectures to its text, on which none of its rules holds: a rule without "on" would.
func (e *earlierGate) speakFor(more []abi.Arch, native abi.Arch) error {
	f, err := lang.Parse(e.Name, []byte(e.text))
	if err == nil && slices.ContainsFunc(f.Lines, func(l lang.Line) bool { return l.Word == "include" }) {
		if err = e.flatten(e.Name, native); err == nil { // what is included has rules without "on"
			f, err = lang.Parse(e.Name, []byte(e.text))
		}
	}
	if err != nil {
		return err
	}
	words := func(archs []abi.Arch) string { return abi.Join(archs, " ") }
	rows := strings.Split(e.text, "\n")
	header := false
	for _, l := range f.Lines {
		at, insert := l.Pos, ""
		switch {
		case l.Word == "arch":
			last := l.Args[len(l.Args)-1]
			at = last.Pos
			at.Col += len(last.Text)
			insert = " " + words(more)
			header = true
		case l.Word == "" && len(l.On) == 0:
			insert = "on " + words(e.archs) + ": "
		}
		row := rows[at.Line-1]
		rows[at.Line-1] = row[:at.Col-1] + insert + row[at.Col-1:]
	}
	if !header {
		rows = slices.Insert(rows, 0, "arch "+words(append(slices.Clone(e.archs), more...)))
	}
	e.text = strings.Join(rows, "\n")
	return nil
}
