// Package lang is the policy language: text is parsed to a [File], and a file is resolved to a policy.
//
//	p, err := lang.Load("web.gate", text, lang.Options{})
//	if err != nil {
//		return err // web.gate:7:15: unknown constant AF_INTE (did you mean AF_INET?)
//	}
//
// Presets, the policies that come with Monban, are the .gate files in presets/: text that include lines take in.
package lang
