// Package policy is what a gate says and what that means: a [Policy] has an exact meaning, its verdict, and answers
// single calls by reading its rules in order.
//
//	v, err := p.Verdict(verdict.NewSpace(verdict.DefaultBudget))
//
// For one call, rules are tried in order and the first that matches decides; see docs/language.md. Policies as text,
// and the presets that come with Monban, are package lang's; package decompile finds the policy that a verdict is of;
// package libseccomp makes one from calls of libseccomp's rule API. A single value, such as an action or a condition,
// writes itself as the language does.
package policy
