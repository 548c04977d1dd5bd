package gate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"monban/abi"
	"monban/bpf"
	"monban/compile"
	"monban/policy"
	"monban/policy/decompile"
	"monban/verdict"
)

// A Gate is a policy, or programs. It is not for use by several goroutines at once.
type Gate struct {
	Name string // what it was asked for by: a file's name, @container, pid:1234
	Kind string // what it is, for people: "preset", "OCI profile", "BPF program"

	Policy   *policy.Policy   // nil for programs
	Programs []bpf.Program    // the oldest first; nil for a policy
	Members  []*Gate          // of a stack, the oldest first; nil for what isn't one
	Order    binary.ByteOrder // of the programs or members

	// Where it came from.
	Format string // the name of the format: "gate", "oci", "bpf" …
	Preset bool   // it is one of Monban's own
	Source []byte // the text that it was read from; nil for a preset, a process or a stack

	// What its reader noticed.
	Notes    []string     // what was ignored or decided, each with its place
	Unknown  []string     // names of calls that were ignored because no architecture of the gate has them
	Repeated []policy.Pos // rules that test one argument twice, where the format takes that as alternatives

	space   *verdict.Space // nil: none yet
	verdict *verdict.Verdict
	decider *policy.Decider
	filters []bpf.Program
	archs   []abi.Arch
}

// OfPolicy is the gate of a policy.
func OfPolicy(name string, p *policy.Policy) *Gate {
	return &Gate{Name: name, Kind: "policy", Format: "gate", Policy: p}
}

// OfPrograms is the gate of programs that are installed together, the oldest first. None at all allow everything.
func OfPrograms(name string, order binary.ByteOrder, programs ...bpf.Program) *Gate {
	if programs == nil {
		programs = []bpf.Program{} // nil is a policy's
	}
	return &Gate{Name: name, Kind: "BPF program", Format: "bpf", Programs: programs, Order: order}
}

// In is the same gate with its verdict in a space that other gates use, too.
func (g *Gate) In(s *verdict.Space) *Gate {
	in := *g
	in.space, in.verdict = s, nil
	return &in
}

// Verdict is what the gate means, exactly. An error names the gate; what does not fit the budget is a [*ComplexError].
func (g *Gate) Verdict() (verdict.Verdict, error) {
	if g.verdict != nil {
		return *g.verdict, nil
	}
	if g.space == nil {
		g.space = verdict.NewSpace(verdict.DefaultBudget)
	}
	var v verdict.Verdict
	var err error
	switch {
	case g.Policy != nil:
		v, err = g.Policy.Verdict(g.space)
	case g.Programs == nil:
		v, err = g.composed()
	default:
		if v, err = g.space.OfStack(g.Programs, g.Order); err != nil && !errors.Is(err, verdict.ErrTooComplex) {
			err = fmt.Errorf("%s: %w", g.Name, err)
		}
	}
	if err != nil {
		return verdict.Verdict{}, g.Named(err)
	}
	g.verdict = &v
	return v, nil
}

// Exact works with what the gate means, inside the door of its space. Errors are those of [Gate.Verdict] and f.
func Exact[T any](g *Gate, f func(v verdict.Verdict) (T, error)) (T, error) {
	v, err := g.Verdict()
	if err != nil {
		var none T
		return none, err
	}
	r, err := verdict.Exact(v.Space(), func() (T, error) { return f(v) })
	return r, g.Named(err)
}

// A ComplexError says that what a gate means, or what was asked about it, does not fit the budget.
type ComplexError struct {
	Gate     string
	Programs bool // it is made of programs, which can still be listed
	Err      error
}

func (e *ComplexError) Error() string {
	if e.Programs {
		return fmt.Sprintf("%s: the meaning of this filter is %v", e.Gate, e.Err)
	}
	return fmt.Sprintf("%s: what this gate means is %v", e.Gate, e.Err)
}
func (e *ComplexError) Unwrap() error { return e.Err }

// Named gives verdict.ErrTooComplex the gate's name: a [*ComplexError]. Other errors stay as they are.
func (g *Gate) Named(err error) error {
	if _, ok := errors.AsType[*ComplexError](err); ok || !errors.Is(err, verdict.ErrTooComplex) {
		return err
	}
	return &ComplexError{g.Name, g.Programs != nil, err}
}

// ByteOrder is that of the gate's architectures. A policy may speak for architectures of both orders, which is an
// error.
func (g *Gate) ByteOrder() (binary.ByteOrder, error) {
	if g.Policy != nil {
		return g.Policy.ByteOrder()
	}
	return g.Order, nil
}

// Native is the architecture of the running machine, or, for programs of the other byte order, of one that they may be
// for.
func (g *Gate) Native() abi.Arch {
	a := abi.Native()
	switch order, err := g.ByteOrder(); {
	case err != nil || a.ByteOrder() == order:
		return a
	case order == binary.ByteOrder(binary.BigEndian):
		return abi.S390X
	}
	return abi.X86_64
}

// Archs are the architectures to speak of: those of the policy, or those that the programs tell apart; there is at
// least one.
func (g *Gate) Archs() ([]abi.Arch, error) {
	if g.Policy != nil {
		return g.Policy.Archs, nil
	}
	if g.archs != nil {
		return g.archs, nil
	}
	archs, err := Exact(g, func(v verdict.Verdict) ([]abi.Arch, error) { return decompile.Archs(v, g.Native()) })
	if err == nil && len(archs) == 0 {
		archs = []abi.Arch{g.Native()}
	}
	g.archs = archs
	return archs, err
}

// Filters are the programs that the kernel runs for the gate, the oldest first: its own, those of its members, or those
// that its policy is compiled to, which are proven to mean the same.
func (g *Gate) Filters() ([]bpf.Program, error) {
	switch {
	case g.Programs != nil:
		return g.Programs, nil
	case g.filters != nil:
		return g.filters, nil
	}
	var filters []bpf.Program
	var err error
	if g.Policy != nil {
		filters, err = g.Compile(compile.Options{})
	} else {
		for _, m := range g.Members {
			its, e := m.Filters()
			if filters, err = append(filters, its...), e; err != nil {
				break
			}
		}
	}
	if err != nil {
		return nil, err
	}
	g.filters = filters
	return filters, nil
}

// Compile makes programs that are proven to mean what the gate means. Errors name the gate.
func (g *Gate) Compile(o compile.Options) ([]bpf.Program, error) {
	order, err := g.ByteOrder()
	if err != nil {
		return nil, err
	}
	v, err := g.Verdict()
	if err != nil {
		return nil, err
	}
	p, err := compile.Programs(v, order, o)
	if err != nil {
		err = fmt.Errorf("%s: %w", g.Name, err)
	}
	return p, err
}

// For is the gate as a machine can install it: its part for the architecture's kernel.
func (g *Gate) For(native abi.Arch) (*Gate, error) {
	if g.Policy == nil {
		if g.Order != native.ByteOrder() {
			return nil, fmt.Errorf("%s: the program is of the other byte order than this machine", g.Name)
		}
		return g, nil
	}
	p, err := g.Policy.For(native)
	if err != nil {
		return nil, err
	}
	return g.with(p), nil
}

// Parts are the gate cut by byte order, since a program is for one: itself, where its architectures have the same.
func (g *Gate) Parts() []*Gate {
	if g.Policy == nil || len(g.Policy.Archs) == 0 {
		return []*Gate{g}
	}
	var parts []*Gate
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		p := *g.Policy
		p.Archs = slices.DeleteFunc(slices.Clone(p.Archs), func(a abi.Arch) bool { return a.ByteOrder() != order })
		switch len(p.Archs) {
		case 0:
		case len(g.Policy.Archs):
			return []*Gate{g}
		default:
			parts = append(parts, g.with(&p))
		}
	}
	return parts
}

// with is the gate with a part of its policy.
func (g *Gate) with(p *policy.Policy) *Gate {
	part := *g
	part.Policy, part.verdict, part.decider, part.filters = p, nil, nil, nil
	return &part
}
