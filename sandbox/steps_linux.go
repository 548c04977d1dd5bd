package sandbox

import (
	"cmp"
	"errors"
	"slices"

	"monban/internal/child"
	"monban/internal/ptrace"
)

// A step is one thing that a start does. What it has done is believed by its effect only: a step is over when it has
// been seen to hold, by what no filter around this process can answer.
type step struct {
	// name is what an error says. Each step of a list has another.
	name string
	// child adds to the child's script what the child does itself, before its exec, and what shows that it holds: the
	// result of a call that nobody else gives, a word of poisoned memory that the kernel writes to. The child ends at
	// the first that does not. An error is that this process can't have it done; there is no child then.
	child func(*run, *child.Script) error
	// parent is what the thread does that is the child's parent, once all steps before have been seen to hold.
	parent func(*run) error
	// holds looks at the effect, where parent and child don't do so themselves.
	holds func(*run) error
	// failed makes the error of a start that has come to its end in this step; without it, it is a StartError that
	// names the step.
	failed func(*run, error) error
}

// begun is how a child begins, in each list. What is to bind a program in every kind of start, from its exec on, is one
// more of these: nobody traces the child yet, and no gate is there.
var begun = []step{spawn, dieWithParent, directory, files, openFiles}

// The lists of steps, one for each kind of start.

// traced has the gates put on by the tracer, after the exec.
func traced() []step {
	return slices.Concat([]step{noNewPrivs}, begun, []step{hold, load, preparation, gates, release, end})
}

// beforeExec is for AllowExec: the child has the gates put on itself.
func beforeExec() []step {
	return slices.Concat([]step{noNewPrivs, preparation}, begun, []step{defaultSignals, ownGates, ownExec, end})
}

// behindLoader has other gates bind the dynamic loader and constructors.
func behindLoader() []step {
	return slices.Concat([]step{noNewPrivs}, begun,
		[]step{hold, load, preparation, loaderGates, wayToMain, oneThread, gates, release, end})
}

// strict has the kernel's strict mode in the place of gates.
func strict() []step {
	return slices.Concat([]step{noNewPrivs}, begun,
		[]step{hold, load, preparation, wayToMain, oneThread, strictMode, release, end})
}

// steps is the list of a start. Only what is prepared tells whether there are gates for the loader; up to there the
// list is the same.
func (r *run) steps() []step {
	switch {
	case r.AllowExec:
		return beforeExec()
	case r.Strict:
		return strict()
	case r.ready && len(r.set.Loader) > 0:
		return behindLoader()
	}
	return traced()
}

// preparation waits for what binds the program, which is made while it is being loaded.
var preparation = step{
	name: "preparation",
	parent: func(r *run) error {
		err := r.prepared()
		r.ready = err == nil
		return err
	},
	failed: func(_ *run, err error) error { return err },
}

// errEnded is what a step returns after which there is nothing to be done: the program has ended.
var errEnded = errors.New("the program has ended")

// stepDone, in tests, is told of each step that the parent has done.
var stepDone func(name string)

// do performs the steps.
func (r *run) do() error {
	r.process = ptrace.NewProcess()
	defer r.process.Close()
	r.list = r.steps()
	for i := 0; i < len(r.list); i++ {
		st, ready := &r.list[i], r.ready
		switch err := st.do(r); {
		case err == errEnded:
			return nil
		case err != nil:
			r.process.Kill()
			return cmp.Or(r.prepared(), r.failure(st, err))
		}
		if r.ready != ready {
			r.list = r.steps()
		}
	}
	return nil
}

// do performs the parent's part.
func (st *step) do(r *run) error {
	for _, part := range [...]func(*run) error{st.parent, st.holds} {
		if part == nil {
			continue
		}
		if err := part(r); err != nil {
			return err
		}
	}
	if stepDone != nil && (st.parent != nil || st.holds != nil) {
		stepDone(st.name)
	}
	return nil
}

// script is all that the child does itself.
func (r *run) script() (*child.Script, error) {
	s := new(child.Script)
	for i := range r.list {
		st := &r.list[i]
		if st.child == nil {
			continue
		}
		s.Part = st.name
		if err := st.child(r, s); err != nil {
			return nil, r.failure(st, err)
		}
	}
	return s, nil
}

// failure is the error of a start that a step has ended: the one that the thread is at, or one of the child's.
func (r *run) failure(at *step, err error) error {
	var (
		started *StartError
		lost    *LostError
		inChild *child.StepError
	)
	if errors.As(err, &inChild) {
		if i := slices.IndexFunc(r.list, func(st step) bool { return st.name == inChild.Part }); i >= 0 {
			at = &r.list[i]
		}
	}
	switch {
	case errors.As(err, &started), errors.As(err, &lost): // it says all
	case at.failed != nil:
		err = at.failed(r, err)
	default:
		err = r.failed(err, "%s: %v", at.name, err)
	}
	if e, ok := err.(*StartError); ok {
		e.Step = cmp.Or(e.Step, at.name)
	}
	return err
}
