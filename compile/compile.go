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
	// ErrTooLong says that a policy does not fit a filter, of 4096 instructions, or from Programs: all filters of a
	// task.
	ErrTooLong = errors.New("the filter is too long")
	// ErrNotProven says that a program did not mean what it was made from. It is a mistake of this package's.
	ErrNotProven = errors.New("the program is not equal to its policy")
)

// Options say what a program is made for. The zero value is what anyone wants who does not know better.
type Options struct {
	Goal    Goal
	Weights Weights // nil: ServerMix
}

// A Goal is what is made as small as can be.
type Goal int

const (
	// Size is the fewest instructions; among equals the shortest paths for the calls that the kernel's cache cannot
	// answer.
	Size Goal = iota
	// Latency is the shortest such paths, then the fewest instructions.
	Latency
)

// A Result is proven programs, and how long they took.
type Result struct {
	Programs []bpf.Program // in the order in which they are to be installed
	Generate time.Duration // from the verdict to the programs
	Prove    time.Duration // and for their proof
}

// Program is the best program we can find that means v, in the byte order given, proven equal to v. The error wraps
// ErrTooLong, ErrNotProven or verdict.ErrTooComplex.
func Program(v verdict.Verdict, order binary.ByteOrder, o Options) (bpf.Program, error) {
	return verdict.Exact(v.Space(), func() (bpf.Program, error) {
		p, err := o.generate(v, order)
		if err != nil {
			return nil, err
		}
		return p, Prove(p, v, order)
	})
}

// generate makes a program without proof.
func (o Options) generate(v verdict.Verdict, order binary.ByteOrder) (bpf.Program, error) {
	pool := newPool(o)
	return pool.place(pool.code(v), order)
}

// Prove checks that a program means v, exactly, and that the kernel admits it. The error is ErrNotProven with a
// witness, verdict.ErrTooComplex, or the kernel's objection.
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
