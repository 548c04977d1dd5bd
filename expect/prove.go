package expect

import (
	"cmp"
	"slices"
	"strings"

	"monban/abi"
	"monban/bpf"
	"monban/policy"
	"monban/policy/lang"
	"monban/verdict"
)

// A Gate is what cases are held against.
type Gate struct {
	Verdict verdict.Verdict
	Archs   []abi.Arch
	Policy  *policy.Policy // nil for BPF
}

// A Result is what became of a case on one architecture.
type Result struct {
	*Case
	Arch     abi.Arch
	Asked    policy.Call
	Holds    bool
	Open     bool         // something was left open: the case was proven for all values
	Witness  bpf.Data     // a call that refutes the case; where it holds, one of those that it is about
	Got      bpf.Action   // what the witness gets
	Decision *DecidedBy   // what decided the witness; nil for BPF
	Live     *LiveOutcome // what the kernel did with the witness, if that was asked for
}

// DecidedBy is the rule or header that decided.
type DecidedBy struct {
	Pos  policy.Pos // Line is 0 for a header
	Rule string
}

// A LiveOutcome is what the kernel did with a call.
type LiveOutcome struct {
	Text   string // errno(EPERM), returned, killed …
	Agrees bool
}

// Prove holds the cases against a gate: a result for each architecture that has the call. Errors are of type *policy.Error, or
// verdict.ErrTooComplex.
func (f *File) Prove(g *Gate) ([]Result, error) {
	return verdict.Exact(g.Verdict.Space(), func() ([]Result, error) { return f.prove(g) })
}

func (f *File) prove(g *Gate) ([]Result, error) {
	var decider *policy.Decider
	if g.Policy != nil {
		decider = g.Policy.Decider()
	}
	var out []Result
	for i := range f.Cases {
		c := &f.Cases[i]
		archs := c.Archs
		if archs == nil {
			archs = g.Archs
		}
		found := false
		var last error
		for _, a := range archs {
			call, err := lang.ParseCall(a, c.Call)
			if err != nil {
				if last = placed(err, c.Pos); c.Archs == nil && strings.Contains(err.Error(), "has no ") {
					continue // the gate's other architectures have it
				}
				return nil, last
			}
			found = true
			if call.Arch != a && slices.Contains(archs, call.Arch) {
				continue // a number, asked about once
			}
			r, err := prove(g, c, call, decider)
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

func prove(g *Gate, c *Case, call policy.Call, decider *policy.Decider) (*Result, error) {
	asked, err := call.Ask(g.Verdict)
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
	r.Got = g.Verdict.At(&r.Witness)
	if decider != nil {
		d, err := decider.Decide(&r.Witness)
		if err != nil {
			return nil, err
		}
		r.Decision = &DecidedBy{Rule: d.Header}
		if d.Rule != nil {
			r.Decision = &DecidedBy{d.Rule.Pos, decider.Text(d.Rule)}
		}
	}
	return r, nil
}
