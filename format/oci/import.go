package oci

import (
	"maps"
	"slices"

	"monban/format/codec"
	"monban/policy"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Places are where the parts of a profile stand in a text, as byte offsets.
type Places struct {
	Profile int
	Rules   []int
	Names   [][]int // of each rule
}

// Import is [Parse] for a profile that came in another dress and has been checked: its names of actions, architectures,
// operators and flags are the specification's, and where names no other.
func Import(src *codec.Source, p *specs.LinuxSeccomp, where Places, o Options) (*policy.Policy, *Report, error) {
	prof := &profile{
		off: where.Profile, action: withErrno(p.DefaultAction, p.DefaultErrnoRet), architectures: p.Architectures,
		listener: p.ListenerPath != "",
	}
	for _, f := range p.Flags {
		prof.flags = append(prof.flags, string(f))
	}
	for i, call := range p.Syscalls {
		r := rule{action: withErrno(call.Action, call.ErrnoRet), args: call.Args, off: where.Rules[i]}
		for j, name := range call.Names {
			r.names = append(r.names, callName{name, where.Names[i][j]})
		}
		prof.rules = append(prof.rules, r)
	}
	return resolve(src, prof, o)
}

func withErrno(name specs.LinuxSeccompAction, n *uint) policy.Action {
	a := actions[string(name)]
	if n != nil && a.Kind.NeedsData() {
		a.Data = uint16(*n)
	}
	return a
}

// Actions are the specification's names of actions.
func Actions() []string { return slices.Sorted(maps.Keys(actions)) }

// Operators are the names of comparisons.
func Operators() []string { return operators }

// Flags are the names of flags.
func Flags() []string { return flags }
