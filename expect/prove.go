package expect

import (
	"cmp"
	"errors"
	"slices"

	"monban/abi"
	"monban/bpf"
	"monban/gate"
	"monban/policy"
	"monban/policy/lang"
	"monban/verdict"
)

// A Result is what became of a case on one architecture.
type Result struct {
	*Case
	Arch     abi.Arch
	Asked    policy.Call
	Holds    bool
	Open     bool           // something was left open: the case was proven for all values
	Witness  bpf.Data       // a call that refutes the case; where it holds, one of those that it is about
	Got      bpf.Action     // what the witness gets
	Decision *gate.Decision // what decided the witness; nil for programs
	Live     *LiveOutcome   // what the kernel did with the witness, if that was asked for
}

// A LiveOutcome is what the kernel did with a call.
type LiveOutcome struct {
	Text   string // errno(EPERM), returned, killed …
	Agrees bool
}

// Prove holds the cases against a gate: a result for each architecture that has the call. Errors are of type
// *policy.Error, or the gate's.
func (f *File) Prove(g *gate.Gate) ([]Result, error) {
	archs, err := g.Archs()
	if err != nil {
		return nil, err
	}
	return gate.Exact(g, func(v verdict.Verdict) ([]Result, error) { return f.prove(g, v, archs) })
}

func (f *File) prove(g *gate.Gate, v verdict.Verdict, its []abi.Arch) ([]Result, error) {
	var out []Result
	for i := range f.Cases {
		c := &f.Cases[i]
		archs := c.Archs
		if archs == nil {
			archs = its
		}
		found := false
		var last error
		for _, a := range archs {
			call, err := lang.ParseCall(a, c.Call)
			if err != nil {
				if last = placed(err, c.Pos); c.Archs == nil && elsewhere(err) {
					continue // the gate's other architectures have it
				}
				return nil, last
			}
			found = true
			if call.Arch != a && slices.Contains(archs, call.Arch) {
				continue // a number, asked about once
			}
			r, err := prove(g, v, c, call)
			if err != nil {
				return nil, err
			}
			out = append(out, *r)
		}
		if !found {
			return nil, last
		}
	}
	return out, nil
}

func prove(g *gate.Gate, v verdict.Verdict, c *Case, call policy.Call) (*Result, error) {
	asked, err := call.Ask(v)
	if err != nil {
		return nil, err
	}
	r := &Result{Case: c, Arch: call.Arch, Asked: call, Open: len(call.Among) > 0}
	if args, known := call.Arch.Args(call.Name); known {
		for _, a := range args {
			r.Open = r.Open || call.Open[a.Index]
		}
	} else {
		r.Open = true
	}
	var refused error
	wrong := func(do bpf.Action) bool {
		ok, err := c.Want.Accepts(&call, do)
		if err != nil {
			refused = placed(err, c.Pos)
		}
		return !ok
	}
	var refuted bool
	if r.Witness, refuted, err = asked.Example(wrong); err != nil || refused != nil {
		return nil, cmp.Or(err, refused)
	}
	if r.Holds = !refuted; r.Holds {
		if r.Witness, _, err = asked.Example(func(bpf.Action) bool { return true }); err != nil {
			return nil, err
		}
	}
	r.Got = v.At(&r.Witness)
	if r.Decision, err = g.Decide(&r.Witness); err != nil {
		return nil, err
	}
	return r, nil
}

// elsewhere says of an error that another architecture may have what this one has not: the call, a number for it, an
// argument.
func elsewhere(err error) bool {
	return errors.As(err, new(*policy.NoCallError)) || errors.As(err, new(*policy.MultiplexedError)) || errors.As(err, new(*policy.NoArgumentError))
}
