// Package lint looks for what surprises people in a gate. It judges a verdict, so that a policy, a container profile
// and somebody's BPF get the same findings; only what cannot be seen in a meaning, such as a rule that no call reaches,
// is looked for in the text. Every finding of [Find] belongs to a line of the catalogue, [Checks], and has a witness: a
// call that shows it.
package lint
