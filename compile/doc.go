// Package compile turns the meaning of a policy into the classic BPF program that the kernel runs, and proves that it
// did: every program is lifted back into a verdict before anyone gets it, and a difference is an error.
//
//	space := verdict.NewSpace(verdict.DefaultBudget)
//	v, err := policy.Verdict(space)
//	programs, err := compile.Programs(v, binary.LittleEndian, compile.Options{})
//
// That is one program, or several for a policy that does not fit the kernel's 4096 instructions: installed in their
// order, they mean the same, which is proven of all together.
//
// Programs are small first, then short on the paths that are really run. The kernel (5.11 and later) finds out by
// itself which calls are always allowed and never runs the filter for them, provided that nothing but loads of arch and
// nr, jumps and AND with constants lies on their path; so the paths of calls that are plainly allowed cost nothing, and
// only the calls whose arguments matter, and denials, are worth shortening.
package compile
