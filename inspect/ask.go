package inspect

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"monban/abi"
	"monban/bpf"
	"monban/gate"
	"monban/policy"
	"monban/policy/decompile"
	"monban/verdict"
)

// An Answer is what happens to a call. Nothing is sampled: it is exact for all that the call leaves open.
type Answer struct {
	Call  policy.Call
	Cases []Case // one where all of the call gets one answer; else each with its condition, the most permissive first
	// Of one answer: what decided, nil for programs, whose answer is Raw with its data.
	Decision *gate.Decision
	Raw      bpf.Action
	Speaks   []abi.Arch // the architectures that the gate's policy speaks for
	// UpperHalf is nil where the upper halves of the registers of int arguments change nothing.
	UpperHalf *UpperHalf
	Example   bpf.Data // one of the calls that were asked about, which gets the first of the cases
	Trace     []Trace  // of Example, where it was asked for: the newest filter first
}

// An UpperHalf says what else can happen to a call: the kernel ignores the upper half of an int's register, and the
// gate does not.
type UpperHalf struct {
	Args    []string // those whose upper halves the gate looks at
	Actions []bpf.Action
}

// Ask says what a gate does with a call; where the whole gate is too complex, or leaves no room for the question, from
// what it says of that call alone. Errors are the gate's, or of type *policy.Error.
func Ask(g *gate.Gate, call *policy.Call) (*Answer, error) {
	a, err := gate.Exact(g, func(v verdict.Verdict) (*Answer, error) { return ask(g, v, call) })
	if !errors.Is(err, verdict.ErrTooComplex) {
		return a, err
	}
	s := verdict.NewSpace(verdict.DefaultBudget)
	v, err := g.Slice(s, call.Arch, call.Data.Nr)
	if err != nil {
		return nil, err
	}
	a, err = verdict.Exact(s, func() (*Answer, error) { return ask(g, v, call) })
	return a, g.Named(err)
}

func ask(g *gate.Gate, v verdict.Verdict, call *policy.Call) (*Answer, error) {
	out := &Answer{Call: *call}
	asked, err := call.Ask(v)
	if err != nil {
		return nil, err
	}
	if len(call.Among) == 0 {
		out.UpperHalf = upperHalf(v, call, asked.Left())
	}
	actions, err := asked.Actions()
	if err != nil {
		return nil, err
	}
	if out.Example, _, err = asked.Example(func(do bpf.Action) bool { return do == actions[0] }); err != nil {
		return nil, err
	}
	if len(actions) == 1 {
		return out, out.decide(g, v, actions[0])
	}
	outcomes, err := decompile.Answers(asked)
	if err != nil {
		out.Cases, err = unreadable(actions, err)
		return out, err
	}
	out.Cases = readable(outcomes)
	return out, nil
}

// decide finds what gives the one answer.
func (a *Answer) decide(g *gate.Gate, v verdict.Verdict, do bpf.Action) (err error) {
	a.Cases = []Case{{Action: do}}
	if g.Policy != nil {
		a.Speaks = g.Policy.Archs
	}
	a.Raw = v.At(&a.Example)
	a.Decision, err = g.Decide(&a.Example)
	if err == nil && a.Decision != nil && a.Decision.Action != do {
		err = fmt.Errorf("the two readings of %s disagree on %s: %s and %s; please report this", g.Name, &a.Call, a.Decision.Action, do)
	}
	return err
}

// Fixed says that a gate gives a call of an architecture one answer for one reason, whatever its arguments. The error
// is the gate's.
func Fixed(g *gate.Gate, a abi.Arch, call string) (bool, error) {
	nr, ok := a.Number(call)
	if !ok || !g.Fixed(a, nr) {
		return false, nil
	}
	return gate.Exact(g, func(v verdict.Verdict) (bool, error) {
		_, constant := v.Call(a, nr).Constant()
		return constant, nil
	})
}

// upperHalf is what a gate does with the call where a program leaves something in the upper halves of the registers of
// its int arguments, nil where that is the same; left is what the gate does where they are 0.
func upperHalf(v verdict.Verdict, c *policy.Call, left verdict.Verdict) *UpperHalf {
	args, known := c.Arch.Args(c.Name)
	if !known || c.Arch.Bits() < 64 {
		return nil
	}
	narrow := map[int]string{}
	for _, arg := range args {
		if arg.Bits <= 32 && c.Data.Args[arg.Index]>>32 == 0 {
			narrow[arg.Index] = arg.Name
		}
	}
	wide := v.Restrict(verdict.Arch, c.Data.Arch).Restrict(verdict.Nr, c.Data.Nr)
	for i, open := range c.Open {
		if open {
			continue
		}
		if _, ok := narrow[i]; !ok {
			wide = wide.Restrict(verdict.ArgHi(i), uint32(c.Data.Args[i]>>32))
		}
		wide = wide.Restrict(verdict.ArgLo(i), uint32(c.Data.Args[i]))
	}
	if wide == left {
		return nil
	}
	out := &UpperHalf{}
	for i, open := range c.Open {
		if !open && wide.Support(verdict.ArgHi(i)) != 0 {
			out.Args = append(out.Args, narrow[i])
		}
	}
	usual, constant := left.Constant()
	for do := range wide.Actions() {
		if !constant || do != usual {
			out.Actions = append(out.Actions, do)
		}
	}
	slices.SortFunc(out.Actions, func(x, y bpf.Action) int { return cmp.Compare(int32(y), int32(x)) })
	return out
}
