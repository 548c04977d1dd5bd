package format

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"monban/abi"
	"monban/compile"
	"monban/format/codec"
	"monban/gate"
	"monban/policy/decompile"
	"monban/verdict"
)

// writeProgram writes the one program that a gate is. What was written must be read back as that very program.
func writeProgram(g *gate.Gate, to codec.Format, o Options) (*codec.Text, error) {
	p, notes, err := program(g)
	if err != nil {
		return nil, err
	}
	p.Options = o
	text, err := to.WriteProgram(p)
	if err != nil {
		return nil, err
	}
	text.Notes = append(notes, text.Notes...)
	o.Archs = p.Archs
	if len(o.Archs) == 0 {
		o.Archs = []abi.Arch{g.Native()}
	}
	back, err := Parse(to, "what was written", bytes.Clone(text.Bytes), o)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errChanged, err)
	case len(back.Programs) != 1 || !slices.Equal(back.Programs[0], p.Code) || back.Order != p.Order:
		return nil, fmt.Errorf("%w: it is read back as another program", errChanged)
	}
	return text, nil
}

// program is the one program that a gate is: compiled and proven equal to it. A filter's own instructions are taken
// where those made of it would be more, and where it is too complex to know what it means: they mean what they meant.
func program(g *gate.Gate) (p *codec.Program, notes []string, err error) {
	order, err := g.ByteOrder()
	if err != nil {
		return nil, nil, err
	}
	p = &codec.Program{Name: g.Name, Order: order}
	single := len(g.Programs) == 1
	v, err := g.In(verdict.NewSpace(verdict.DefaultBudget)).Verdict()
	switch {
	case single && errors.Is(err, verdict.ErrTooComplex):
		p.Code, p.AsRead = g.Programs[0], true
		return p, []string{err.Error() + ": what is written are its own instructions"}, nil
	case err != nil:
		return nil, nil, err
	case g.Policy != nil:
		p.Archs = g.Policy.Archs
	default:
		// They are only mentioned: where finding them takes too much, they are not.
		err := v.Space().Attempt(func() (err error) {
			p.Archs, err = decompile.Archs(v, g.Native())
			return err
		})
		if err != nil && !errors.Is(err, verdict.ErrTooComplex) {
			return nil, nil, err
		}
	}
	p.Code, err = compile.Program(v, order, compile.Options{})
	if single && (errors.Is(err, compile.ErrTooLong) || errors.Is(err, verdict.ErrTooComplex) || len(p.Code) > len(g.Programs[0])) {
		p.Code, p.AsRead, err = g.Programs[0], true, nil
	}
	if errors.Is(err, compile.ErrTooLong) {
		err = fmt.Errorf("%s: %w", g.Name, err)
	}
	return p, nil, g.Named(err)
}
