package compile

import (
	"encoding/binary"
	"errors"
	"fmt"

	"monban/bpf"
	"monban/verdict"
)

var (
	// ErrTooLong says that a policy does not fit a filter, of 4096 instructions, or from Programs: all filters of a task.
	ErrTooLong = errors.New("the filter is too long")
	// ErrNotProven says that a program did not mean what it was made from. It is a mistake of this package's.
	ErrNotProven = errors.New("the program is not equal to its policy")
)

// Program is the shortest program we can find that means v, in the byte order given, proven equal to v.
func Program(v verdict.Verdict, order binary.ByteOrder) (bpf.Program, error) {
	p, err := generate(v, order)
	if err != nil {
		return nil, err
	}
	return p, Prove(p, v, order)
}

// generate makes a program without proof.
func generate(v verdict.Verdict, order binary.ByteOrder) (bpf.Program, error) {
	if err := v.Space().Err(); err != nil {
		return nil, err
	}
	pool := newPool()
	root := pool.decide(v, noWord)
	if err := v.Space().Err(); err != nil {
		return nil, err
	}
	return pool.place(root, order)
}

// Prove checks that a program means v, exactly, and that the kernel admits it. The error is ErrNotProven with a witness,
// verdict.ErrTooComplex, or the kernel's objection.
func Prove(p bpf.Program, v verdict.Verdict, order binary.ByteOrder) error {
	got, err := v.Space().Of(p, order)
	if err != nil {
		return err
	}
	if got == v {
		return nil
	}
	d := verdict.Differences(v, got)[0]
	return fmt.Errorf("%w: it answers %s where the policy answers %s, for arch %#x nr %d args %#x",
		ErrNotProven, d.B, d.A, d.Data.Arch, d.Data.Nr, d.Data.Args)
}
