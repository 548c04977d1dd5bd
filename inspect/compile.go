package inspect

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"monban/bpf"
	"monban/compile"
	"monban/gate"
	"monban/verdict"
)

// A Compilation is the filters that a gate was compiled to, and how that went.
type Compilation struct {
	Gate       *gate.Gate
	Filters    []bpf.Program    // the oldest first
	Order      binary.ByteOrder // of the filters
	Understood time.Duration    // from the gate to its meaning
	Generate   time.Duration    // from there to the filters
	Prove      time.Duration    // and for their proof
	options    compile.Options
}

// Compile makes filters that are proven to mean what a gate means. A gate that is made of filters keeps those where
// none that are better are found. Errors are the gate's, or say by its name why no filter can be made.
func Compile(g *gate.Gate, o compile.Options) (*Compilation, error) {
	order, err := g.ByteOrder()
	if err != nil {
		return nil, err
	}
	c := &Compilation{Gate: g, Order: order, options: o}
	begin := time.Now()
	v, err := g.Verdict()
	if err != nil {
		return nil, err
	}
	c.Understood = time.Since(begin)
	made, err := compile.Compile(v, order, o)
	c.Filters, c.Generate, c.Prove = made.Programs, made.Generate, made.Prove
	switch {
	case g.Programs != nil && (errors.Is(err, compile.ErrTooLong) || errors.Is(err, verdict.ErrTooComplex) ||
		err == nil && longer(c.Filters, g.Programs, o.Goal)):
		c.Filters = g.Programs // they are what v was made from
	case errors.Is(err, verdict.ErrTooComplex):
		return nil, g.Named(err)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", g.Name, err)
	}
	return c, nil
}

// longer tells whether what was made of somebody's filters is worse than they were.
func longer(made, read []bpf.Program, goal compile.Goal) bool {
	return len(made) > len(read) || goal == compile.Size && len(made) == len(read) && Instructions(made) > Instructions(read)
}

// Instructions is how many instructions programs have together.
func Instructions(programs []bpf.Program) (n int) {
	for _, p := range programs {
		n += len(p)
	}
	return n
}

// Measure counts what the filters cost. The error is the gate's.
func (c *Compilation) Measure() (compile.Stats, error) {
	archs, err := c.Gate.Archs()
	if err != nil {
		return compile.Stats{}, err
	}
	return gate.Exact(c.Gate, func(v verdict.Verdict) (compile.Stats, error) {
		return compile.Measure(c.Filters, v, archs, c.Order, c.options)
	})
}
