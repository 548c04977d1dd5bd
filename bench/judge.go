package main

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	"monban/abi"
	"monban/bpf"
	"monban/compile"
	"monban/policy"
	"monban/verdict"
)

// A judgement says whether a program is equal to its policy.
type judgement struct {
	equal bool // for every number of the policy's architectures, but for calls that the compiler left out
	text  string
	stats compile.Stats
	max   int // executed by the longest of the calls that were measured
}

// judge lifts a program and compares it, exactly, with the rules that it was made from.
func judge(r *Rules, gaps []gap, runc bool, p bpf.Program) (judgement, error) {
	s := verdict.NewSpace(verdict.DefaultBudget)
	return verdict.Exact(s, func() (judgement, error) { return judgeIn(s, r, gaps, runc, p) })
}

func judgeIn(s *verdict.Space, r *Rules, gaps []gap, runc bool, p bpf.Program) (j judgement, err error) {
	whole, err := r.verdict(s, runc, nil)
	if err != nil {
		return j, err
	}
	got, err := s.Of(p, binary.LittleEndian)
	if err != nil {
		return j, err
	}
	want := whole
	if gaps != nil {
		if want, err = r.verdict(s, runc, gaps); err != nil {
			return j, err
		}
	}
	scope := scopeOf(s, r.Archs)
	in := func(v verdict.Verdict) verdict.Verdict {
		return s.Verdict(s.If(scope, v.Node(), s.Action(bpf.KillProcess)))
	}
	j.equal = in(got) == in(want)
	switch {
	case !j.equal:
		j.text = "**no**, " + witness(r, in(want), in(got))
	case gaps != nil:
		j.text = "yes, less what it does not know: " + count(gaps)
	default:
		j.text = "yes"
	}
	if j.equal && got != want {
		j.text += elsewhere(want, got)
	}
	if j.stats, err = compile.Measure([]bpf.Program{p}, whole, r.Archs, binary.LittleEndian, compile.Options{}); err != nil {
		return j, err
	}
	j.max = longestCall(p, whole, r.Archs)
	return j, nil
}

// scopeOf is the condition that a call is of one of the architectures.
func scopeOf(s *verdict.Space, archs []abi.Arch) verdict.Node {
	scope := verdict.False
	for _, a := range archs {
		scope = s.Or(scope, s.Calls(a))
	}
	return scope
}

// witness is a call on which a program errs, and how many calls there are like it.
func witness(r *Rules, want, got verdict.Verdict) string {
	calls, first := 0, ""
	tell := func(name string, d verdict.Difference) string {
		return fmt.Sprintf("%s gets %s, not %s", name, d.B, d.A)
	}
	for _, a := range r.Archs {
		for nr := range a.Calls() {
			x := want.Call(a, nr)
			y := got.Call(a, nr)
			if x == y {
				continue
			}
			if calls++; first != "" {
				continue
			}
			d := verdict.Differences(x, y)[0]
			d.Data.Arch, d.Data.Nr = a.Token(), nr
			first = tell(policy.FormatCall(a, &d.Data), d)
			if len(r.Archs) > 1 {
				first = a.String() + " " + first
			}
		}
	}
	switch calls {
	case 0:
		d := verdict.Differences(want, got)[0]
		return "numbers that no call has: " + tell(fmt.Sprintf("%#x on %#x", d.Data.Nr, d.Data.Arch), d)
	case 1:
		return "1 call: " + first
	}
	return fmt.Sprintf("%d calls: %s", calls, first)
}

// count tells how many calls are missing, and on which architecture if only on one of several.
func count(gaps []gap) string {
	calls := map[string][]abi.Arch{}
	for _, g := range gaps {
		calls[g.call] = append(calls[g.call], g.arch)
	}
	if len(calls) > 1 {
		return fmt.Sprintf("%d calls", len(calls))
	}
	return fmt.Sprintf("%s on %s", gaps[0].call, strings.Trim(fmt.Sprint(calls[gaps[0].call]), "[]"))
}

// elsewhere tells how a program answers architectures that the policy is not for, where not as the policy does.
func elsewhere(want, got verdict.Verdict) string {
	answers := map[string][]string{}
	for _, d := range verdict.Differences(want, got) {
		who := "other architectures"
		if d.Data.Arch == abi.X32.Token() {
			who = "x32"
		}
		if do := d.B.String(); !slices.Contains(answers[who], do) {
			answers[who] = append(answers[who], do)
		}
	}
	text := ""
	for _, who := range slices.Sorted(maps.Keys(answers)) {
		text += fmt.Sprintf("; %s: %s", who, strings.Join(answers[who], " or "))
	}
	return text
}

// longestCall is what the longest of the known calls executes, over one call for each action that it can get.
func longestCall(p bpf.Program, v verdict.Verdict, archs []abi.Arch) int {
	longest := 0
	for _, a := range archs {
		own := v.Restrict(verdict.Arch, a.Token())
		for nr := range a.Calls() {
			leaf := own.Restrict(verdict.Nr, nr)
			for do := range leaf.Actions() {
				d, _ := leaf.Witness(func(x bpf.Action) bool { return x == do })
				d.Arch, d.Nr = a.Token(), nr
				longest = max(longest, p.Executed(&d, binary.LittleEndian))
			}
		}
	}
	return longest
}
