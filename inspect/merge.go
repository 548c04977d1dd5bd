package inspect

import (
	"fmt"

	"monban/verdict"
)

// How says what several gates make together.
type How string

// The ways of merging. Actions are ordered as the kernel orders them, kill_process the strictest, allow the loosest.
const (
	Union     How = "union"     // a call gets the loosest of the gates' answers: what any of them allows
	Intersect How = "intersect" // the strictest: what all of them allow; of equals the first gate's
	Stack     How = "stack"     // what the kernel does with filters installed in this order: the strictest; of equals the last one's
)

// Merge joins verdicts of one space, in order. The error may be verdict.ErrTooComplex.
func Merge(how How, first verdict.Verdict, rest ...verdict.Verdict) (verdict.Verdict, error) {
	return verdict.Exact(first.Space(), func() (verdict.Verdict, error) { return merge(how, first, rest) })
}

func merge(how How, first verdict.Verdict, rest []verdict.Verdict) (verdict.Verdict, error) {
	v := first
	for _, w := range rest {
		switch how {
		case Union:
			v = verdict.Loosest(v, w)
		case Intersect:
			v = verdict.Strictest(v, w)
		case Stack:
			v = verdict.Stack(v, w)
		default:
			return v, fmt.Errorf("gates can be merged by union, intersect or stack, not by %q", how)
		}
	}
	return v, nil
}
