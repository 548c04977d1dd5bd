package policy

import (
	"cmp"
	"slices"

	"monban/abi"
	"monban/bpf"
	"monban/verdict"
)

// An Answer is a call put to a verdict: what can happen to it. It is exact, over all values that the call leaves open.
type Answer struct {
	Call  Call
	left  verdict.Verdict // where the arguments that have a value have it
	among verdict.Node    // what is asked of the others
}

// Ask puts a call to a verdict. Errors are of type *Error, or verdict.ErrTooComplex.
func (c *Call) Ask(v verdict.Verdict) (*Answer, error) {
	return verdict.Exact(v.Space(), func() (*Answer, error) { return c.ask(v) })
}

func (c *Call) ask(v verdict.Verdict) (*Answer, error) {
	left := v.Restrict(verdict.Arch, c.Data.Arch).Restrict(verdict.Nr, c.Data.Nr)
	for i, open := range c.Open {
		if !open {
			left = left.Restrict(verdict.ArgHi(i), uint32(c.Data.Args[i]>>32)).Restrict(verdict.ArgLo(i), uint32(c.Data.Args[i]))
		}
	}
	a := &Answer{Call: *c, left: left, among: verdict.True}
	if len(c.Among) > 0 {
		n, err := c.binder().bind(c.Among)
		if err != nil {
			return nil, err
		}
		a.among = n.node(v.Space())
		// What a program passes in an int register: zeros above its value.
		args, _ := c.Arch.Args(c.Name)
		for _, arg := range args {
			if c.args[arg.Index] != "" && arg.Bits <= 32 && arg.High < 0 {
				a.left = a.left.Restrict(verdict.ArgHi(arg.Index), 0)
			}
		}
	}
	return a, nil
}

// Actions are the answers that are possible, the most permissive first. The error is verdict.ErrTooComplex.
func (a *Answer) Actions() ([]bpf.Action, error) {
	return verdict.Exact(a.left.Space(), func() ([]bpf.Action, error) { return a.actions(), nil })
}

func (a *Answer) actions() []bpf.Action {
	if do, ok := a.left.Constant(); ok {
		return []bpf.Action{do}
	}
	actions := slices.SortedFunc(a.left.Actions(), func(x, y bpf.Action) int { return cmp.Compare(int32(y), int32(x)) })
	return slices.DeleteFunc(actions, func(do bpf.Action) bool { return a.when(do) == verdict.False })
}

// when is the condition for an answer.
func (a *Answer) when(do bpf.Action) verdict.Node {
	s := a.left.Space()
	return s.And(a.among, s.When(a.left, do))
}

// When is the condition on the arguments for an answer. The error is verdict.ErrTooComplex.
func (a *Answer) When(do bpf.Action) (verdict.Node, error) {
	return verdict.Exact(a.left.Space(), func() (verdict.Node, error) { return a.when(do), nil })
}

// Example is one call of those that are asked about which gets an answer that want accepts; ok is false where there is
// none. The error is verdict.ErrTooComplex.
func (a *Answer) Example(want func(bpf.Action) bool) (d bpf.Data, ok bool, err error) {
	err = a.left.Space().Do(func() error {
		d, ok = a.example(want)
		return nil
	})
	return d, ok, err
}

func (a *Answer) example(want func(bpf.Action) bool) (bpf.Data, bool) {
	s := a.left.Space()
	d, ok := s.Verdict(s.And(a.among, a.left.Where(want))).Witness(func(v bpf.Action) bool { return v == 1 })
	d.Arch, d.Nr = a.Call.Data.Arch, a.Call.Data.Nr
	for i, open := range a.Call.Open {
		if !open {
			d.Args[i] = a.Call.Data.Args[i]
		}
	}
	return d, ok
}

// Left is what the verdict says where the arguments that have a value have it.
func (a *Answer) Left() verdict.Verdict { return a.left }

// On is the action's number on an architecture; the error says that its errno is not known there.
func (a Action) On(arch abi.Arch) (bpf.Action, error) {
	do, err := a.on(arch, Pos{File: "action"})
	return do.Canonical(), err
}
