package verdict

import (
	"errors"
	"fmt"
)

// DefaultBudget is the number of nodes a space may hold unless told otherwise: about 60 MB with its tables.
const DefaultBudget = 2_000_000

// stepsPerNode bounds the work of a space in units of its budget: operations can run long without making nodes. The
// default budget's steps take about a second.
const stepsPerNode = 24

// What work costs, in steps: what takes some tens of nanoseconds is one.
const (
	visit   = 6 // of a node, remembering it
	operate = 4 // on nodes: looking the result up, or making it
	perStep = 8 // elements of a list that are gone through in one
)

// ErrTooComplex says that a meaning does not fit the space's budget. It is never an approximation's excuse: nothing is
// returned with it.
var ErrTooComplex = errors.New("too complex to decide exactly")

// A spentError is what an operation panics with whose space has no budget left for it.
type spentError struct {
	budget int
	what   string
}

func (e *spentError) Error() string {
	return fmt.Sprintf("%v within the budget of %d %s", ErrTooComplex, e.budget, e.what)
}
func (e *spentError) Unwrap() error { return ErrTooComplex }

// Do calls f, which works with the space's nodes and verdicts, and returns its error, or ErrTooComplex where the budget
// did not suffice. Doors may stand inside others: it is the outermost that returns, so that nobody in between can take
// a part of an answer for the answer.
//
// No operation returns anything but the truth. One that can't afford it panics; without a door around it that ends the
// program. What a package exports that works on a verdict has a door of its own, and returns the error.
func (s *Space) Do(f func() error) (err error) {
	s.doors++
	defer func() {
		s.doors--
		if s.spent == nil || s.doors > 0 {
			return // a panic goes on to the outermost door
		}
		if r := recover(); r != nil && r != any(s.spent) {
			panic(r)
		}
		err = s.spent
	}()

	return f()
}

// Attempt calls f with half of what is left of the budget. Where that does not suffice it returns ErrTooComplex, and
// the rest is there for what can be done without f's answer.
func (s *Space) Attempt(f func() error) (err error) {
	if s.spent != nil {
		return s.spent
	}
	steps, nodes := s.maxSteps, s.budget
	s.maxSteps, s.budget = s.steps+(steps-s.steps)/2, len(s.nodes)+(nodes-len(s.nodes))/2
	s.doors++
	defer func() {
		s.doors--
		s.maxSteps, s.budget = steps, nodes
		if s.spent == nil {
			return
		}
		if r := recover(); r != nil && r != any(s.spent) {
			panic(r)
		}
		err, s.spent = s.spent, nil
	}()
	return f()
}

// Exact is s.Do for what has a result.
func Exact[T any](s *Space, f func() (T, error)) (T, error) {
	var r T
	err := s.Do(func() (err error) {
		r, err = f()
		return err
	})
	if err != nil {
		var none T
		return none, err
	}
	return r, nil
}

// Charge counts work that is done outside of the space's operations but grows with what it holds: a step for some tens
// of nanoseconds.
func (s *Space) Charge(steps int) { s.charge(steps) }

// charge counts work.
func (s *Space) charge(steps int) {
	s.steps += steps
	if s.steps > s.maxSteps {
		s.exceed("nodes")
	}
}

// exceed ends the operation at hand.
func (s *Space) exceed(what string) {
	if s.spent == nil {
		s.spent = &spentError{s.budget, what}
	}
	panic(s.spent)
}
