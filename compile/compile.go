package compile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"monban/bpf"
	"monban/verdict"
)

var (
	// ErrTooLong says that a policy does not fit a filter, of 4096 instructions, or from Programs: all filters of a task.
	ErrTooLong = errors.New("the filter is too long")
	// ErrNotProven says that a program did not mean what it was made from. It is a mistake of this package's.
	ErrNotProven = errors.New("the program is not equal to its policy")
)

// Options say what a program is made for. The zero value is what anyone wants who does not know better.
type Options struct {
	Goal    Goal
	Weights Weights // nil: ServerMix
	Timing  *Timing // where to put how long it took, or nil
}

// Timing is how long the making of a program took, and its proof.
type Timing struct{ Generate, Prove time.Duration }

// A Goal is what is made as small as can be.
type Goal int

const (
	// Size is the fewest instructions; among equals the shortest paths for the calls that the kernel's cache cannot answer.
	Size Goal = iota
	// Latency is the shortest such paths, then the fewest instructions.
	Latency
)

// Program is the best program we can find that means v, in the byte order given, proven equal to v. The error wraps ErrTooLong,
// ErrNotProven or verdict.ErrTooComplex.
func (o Options) Program(v verdict.Verdict, order binary.ByteOrder) (bpf.Program, error) {
	return verdict.Exact(v.Space(), func() (bpf.Program, error) {
		begin := time.Now()
		p, err := o.generate(v, order)
		if err != nil {
			return nil, err
		}
		return p, o.proven(begin, func() error { return Prove(p, v, order) })
	})
}

// proven runs a proof and keeps the time, where it is asked for; generation began at begin.
func (o Options) proven(begin time.Time, prove func() error) error {
	generated := time.Now()
	err := prove()
	if o.Timing != nil {
		*o.Timing = Timing{generated.Sub(begin), time.Since(generated)}
	}
	return err
}

// Program is Options.Program with the zero Options.
func Program(v verdict.Verdict, order binary.ByteOrder) (bpf.Program, error) {
	return Options{}.Program(v, order)
}

// generate makes a program without proof.
func (o Options) generate(v verdict.Verdict, order binary.ByteOrder) (bpf.Program, error) {
	pool := newPool(o)
	return pool.place(pool.code(v), order)
}

// Prove checks that a program means v, exactly, and that the kernel admits it. The error is ErrNotProven with a witness,
// verdict.ErrTooComplex, or the kernel's objection.
func Prove(p bpf.Program, v verdict.Verdict, order binary.ByteOrder) error {
	return v.Space().Do(func() error {
		got, err := v.Space().Of(p, order)
		if err != nil {
			return err
		}
		if got == v {
			return nil
		}
		d := verdict.Differences(v, got)[0]
		return fmt.Errorf("%w: it answers %s where the policy answers %s, for arch %#x nr %d args %#x ip %#x",
			ErrNotProven, d.B, d.A, d.Data.Arch, d.Data.Nr, d.Data.Args, d.Data.IP)
	})
}
