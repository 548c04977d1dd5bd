package compile

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"monban/bpf"
	"monban/verdict"
)

// Programs is Program for policies of any length. One that does not fit a filter is split into the fewest that can be
// found, to be installed one after the other in the order given: the kernel runs them all and takes the most
// restrictive answer, so each decides its share and allows the rest. Together they are proven equal to v. A call that
// is always allowed is one that the kernel's cache answers for each of them.
//
// The last filter alone decides what must be there while filters are installed (see installing), and every notify: a
// task can have one listener. The error is ErrTooLong where that is not possible, or all together is more than the
// kernel takes.
func Programs(v verdict.Verdict, order binary.ByteOrder, o Options) ([]bpf.Program, error) {
	r, err := Compile(v, order, o)
	return r.Programs, err
}

// Compile is Programs, and says how long it took.
func Compile(v verdict.Verdict, order binary.ByteOrder, o Options) (Result, error) {
	return o.compile(v, order, bpf.MaxInstructions)
}

// compile is Compile for a kernel that takes limit instructions a filter.
func (o Options) compile(v verdict.Verdict, order binary.ByteOrder, limit int) (Result, error) {
	return verdict.Exact(v.Space(), func() (r Result, err error) {
		begin := time.Now()
		prove := func() error { return proveStack(r.Programs, v, order) }
		s := o.newSplitter(v, order, limit)
		p, err := s.generate(v)
		switch {
		case err != nil:
			return r, err
		case p != nil:
			r.Programs = []bpf.Program{p}
			prove = func() error { return Prove(p, v, order) }
		default:
			if r.Programs, err = s.split(v); err != nil {
				return r, err
			}
		}
		generated := time.Now()
		err = prove()
		r.Generate, r.Prove = generated.Sub(begin), time.Since(generated)
		return r, err
	})
}

// proveStack is Prove for several filters on one task, the oldest first.
func proveStack(parts []bpf.Program, v verdict.Verdict, order binary.ByteOrder) error {
	got, err := v.Space().OfStack(parts, order)
	if err != nil {
		return err
	}
	if got == v {
		return nil
	}
	d := verdict.Differences(v, got)[0]
	return fmt.Errorf("%w: together they answer %s where the policy answers %s, for arch %#x nr %d args %#x",
		ErrNotProven, d.B, d.A, d.Data.Arch, d.Data.Nr, d.Data.Args)
}

// A splitter packs a policy into filters, beginning with the one to be installed last.
type splitter struct {
	Options
	pool  *pool
	order binary.ByteOrder
	limit int
	grain int // shares with less code than that are not cut to fill up a filter
	allow verdict.Verdict

	parts  []bpf.Program   // those that are full
	length int             // what the kernel counts for them
	open   verdict.Verdict // what the next one decides; it allows all else
	filter bpf.Program     // its program

	programs map[verdict.Node]bpf.Program // nil: too long
	sizes    map[verdict.Node]int
}

func (o Options) newSplitter(v verdict.Verdict, order binary.ByteOrder, limit int) *splitter {
	s := v.Space()
	return &splitter{
		Options: o,
		pool:    newPool(o),
		order:   order, limit: limit, allow: s.Verdict(s.Action(bpf.Allow)),
		programs: map[verdict.Node]bpf.Program{}, sizes: map[verdict.Node]int{},
	}
}

// generate makes a program without proof, or none where it would be too long.
func (s *splitter) generate(v verdict.Verdict) (bpf.Program, error) {
	if p, ok := s.programs[v.Node()]; ok {
		return p, nil
	}
	p, err := s.pool.place(s.pool.code(v), s.order)
	if errors.Is(err, ErrTooLong) || len(p) > s.limit {
		p, err = nil, nil
	}
	if err == nil {
		s.programs[v.Node()] = p
	}
	return p, err
}

// size is about how many instructions a verdict takes, even where a filter cannot have so many.
func (s *splitter) size(v verdict.Verdict) int {
	n, ok := s.sizes[v.Node()]
	if !ok {
		if p := s.programs[v.Node()]; p != nil {
			n = len(p)
		} else {
			n = s.pool.size(s.pool.code(v))
		}
		s.sizes[v.Node()] = n
	}
	return n
}

// split tries how small the pieces should be that fill a filter up: each cut costs a few tests.
func (s *splitter) split(v verdict.Verdict) (best []bpf.Program, err error) {
	space := v.Space()
	last := lastOnly(v)
	held := space.Verdict(space.If(last, v.Node(), s.allow.Node()))
	rest := space.Verdict(space.If(last, s.allow.Node(), v.Node()))
	filter, err := s.generate(held)
	if err != nil {
		return nil, err
	}
	if filter == nil {
		why, remedy := "the last filter must decide all that installs filters (seccomp, prctl), and other architectures",
			"test fewer values of prctl's and seccomp's arguments"
		if space.When(v, bpf.Notify) != verdict.False {
			why, remedy = "a program can have one listener, so one filter must decide every notify, and what installs filters as well",
				"notify on fewer values, or on whole calls"
		}
		return nil, fmt.Errorf("%w: %s; that alone takes %d instructions of %d: %s", ErrTooLong, why, s.size(held), s.limit, remedy)
	}
	fewest := max(2, (s.size(v)+s.limit-1)/s.limit) // what is left of a longer search is fewer instructions
	var refused error
	for _, s.grain = range []int{s.limit / 16, s.limit} {
		s.parts, s.length, s.open, s.filter = nil, 0, held, filter
		err := s.add(rest)
		if err == nil {
			err = s.close()
		}
		switch {
		case errors.Is(err, ErrTooLong):
			refused = cmp.Or(refused, err)
		case err != nil:
			return nil, err
		case best == nil || shorter(s.parts, best):
			best = s.parts
		}
		if best != nil && len(best) <= fewest {
			break
		}
	}
	if best == nil {
		return nil, refused
	}
	slices.Reverse(best)
	return best, nil
}

// shorter tells whether a is fewer filters than b, or as many and shorter ones.
func shorter(a, b []bpf.Program) bool {
	length := func(parts []bpf.Program) (n int) {
		for _, p := range parts {
			n += p.KernelLen()
		}
		return n
	}
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(length(a), length(b))) < 0
}

// add has the open filter decide v as well, which is the policy's answer for a share of all calls and allow for the
// others. What doesn't fit whole is cut in two.
func (s *splitter) add(v verdict.Verdict) error {
	if v == s.allow {
		return nil
	}
	if s.size(v) <= 2*s.limit { // beyond that nothing in common will make it fit
		both := verdict.Stack(s.open, v)
		p, err := s.generate(both)
		if err != nil {
			return err
		}
		if p != nil {
			s.open, s.filter = both, p
			return nil
		}
	}
	if s.size(v) > s.grain || s.open == s.allow {
		if a, b, ok := s.halves(v); ok {
			if err := s.add(a); err != nil {
				return err
			}
			return s.add(b)
		}
	}
	if s.open == s.allow {
		return fmt.Errorf("%w: a single condition takes %d instructions of %d", ErrTooLong, s.size(v), s.limit)
	}
	if err := s.close(); err != nil {
		return err
	}
	return s.add(v)
}

// close ends the open filter and begins the one to be installed before it.
func (s *splitter) close() error {
	s.length += s.filter.KernelLen() + bpf.StackedExtra
	s.parts = append(s.parts, s.filter)
	if s.length > bpf.MaxStacked {
		return fmt.Errorf("%w: in %d filters it is more than the %d instructions, as the kernel counts, that it takes in all "+
			"filters of a program: name fewer argument values, or use ranges and masks; or fewer architectures",
			ErrTooLong, len(s.parts), bpf.MaxStacked)
	}
	s.open, s.filter = s.allow, nil
	return nil
}
