// Package policy is the policy language and what it means: text is parsed to a [File], resolved to a [Policy], and a policy has an
// exact meaning, its verdict. The way back is there too: any verdict is written down as a policy ([FromVerdict]).
//
//	p, err := policy.Load("web.gate", text, policy.Options{})
//	if err != nil {
//		return err // web.gate:7:15: unknown constant AF_INTE (did you mean AF_INET?)
//	}
//	v, err := p.Verdict(verdict.NewSpace(verdict.DefaultBudget))
//
// For one call, rules are tried in order and the first that matches decides; see docs/language.md. Presets, the policies that come
// with Monban, are the .gate files in presets/.
package policy
