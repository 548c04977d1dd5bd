// Package verdict is the exact meaning of a seccomp filter.
//
// A filter is a pure function: the 512 bits of struct seccomp_data in, one action out. A [Verdict] is that function,
// written down as a reduced ordered decision diagram with actions at its ends. Two verdicts of one [Space] mean the
// same if and only if they are the same node, so equality is a comparison of two integers and every difference has a
// witness.
//
//	space := verdict.NewSpace(verdict.DefaultBudget)
//	err := space.Do(func() error {
//		mine, err := space.Of(program, binary.LittleEndian)
//		theirs, err := space.Of(other, binary.LittleEndian)
//		for _, d := range verdict.Differences(mine, theirs) {
//			fmt.Println(d.A, "became", d.B, "for", d.Data)
//		}
//		return err
//	})
//
// The bits are tested in this order: the architecture, the call's number, the arguments (of each the high word before
// the low), the instruction pointer; of each word the most significant bit first. Actions are canonical
// ([bpf.Action.Canonical]).
//
// Diagrams can explode, when a filter compares two arguments with each other for example. Every space therefore has a
// budget, of nodes and of work, and what does not fit ends in [ErrTooComplex]. No operation gives a part of an answer:
// one that the budget does not suffice for panics, and [Space.Do], the door around all work with a space, returns the
// error.
package verdict
