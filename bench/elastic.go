package main

import (
	"fmt"
	"slices"
	"time"

	elastic "github.com/elastic/go-seccomp-bpf"
	elasticarch "github.com/elastic/go-seccomp-bpf/arch"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	xbpf "golang.org/x/net/bpf"

	"monban/abi"
	"monban/bpf"
)

// elasticCompiler is Elastic's library. It knows calls by name only, and takes no default but plain actions.
func elasticCompiler() compiler {
	return compiler{"elastic/go-seccomp-bpf", false, func(r *Rules) (built, error) {
		p, unknown, err := elasticPolicy(r)
		if err != nil {
			return built{}, err
		}
		start := time.Now()
		symbolic, err := p.Assemble()
		if err != nil {
			return built{}, err
		}
		raw, err := xbpf.Assemble(symbolic)
		took := time.Since(start)
		if err != nil {
			return built{}, err
		}
		var out bpf.Program
		for _, i := range raw {
			out = append(out, bpf.Instruction{Code: i.Op, Jt: i.Jt, Jf: i.Jf, K: i.K})
		}
		return built{out, took, unknown}, nil
	}}
}

func elasticPolicy(r *Rules) (*elastic.Policy, []gap, error) {
	if err := several(r); err != nil {
		return nil, nil, err
	}
	def, ok := elasticDefault(r.Default)
	if !ok {
		return nil, nil, fmt.Errorf("%w: the default %s", errCannot, r.Default)
	}
	here, err := elasticarch.GetInfo("")
	if err != nil {
		return nil, nil, err
	}
	p := &elastic.Policy{DefaultAction: def}
	var unknown []gap
	groups := map[bpf.Action]int{}
	for _, x := range r.List {
		if _, known := here.SyscallNames[x.Call]; !known {
			if g := (gap{x.Call, abi.X86_64}); !slices.Contains(unknown, g) {
				unknown = append(unknown, g)
			}
			continue
		}
		g, ok := groups[x.Action]
		if !ok {
			g = len(p.Syscalls)
			groups[x.Action] = g
			do, plain := elasticDefault(x.Action)
			if !plain {
				do = elastic.Action(x.Action)
			}
			p.Syscalls = append(p.Syscalls, elastic.SyscallGroup{Action: do})
		}
		group := &p.Syscalls[g]
		if len(x.Tests) == 0 {
			group.Names = append(group.Names, x.Call)
			continue
		}
		var all elastic.ArgumentConditions
		for _, t := range x.Tests {
			all = append(all, elasticTests(t)...)
		}
		group.NamesWithCondtions = append(group.NamesWithCondtions, elastic.NameWithConditions{Name: x.Call, Conditions: all})
	}
	return p, unknown, nil
}

// elasticDefault is an action that the library takes as a default: those without data, its errno being EPERM.
func elasticDefault(a bpf.Action) (elastic.Action, bool) {
	switch a {
	case bpf.Allow:
		return elastic.ActionAllow, true
	case bpf.KillProcess:
		return elastic.ActionKillProcess, true
	case bpf.KillThread:
		return elastic.ActionKillThread, true
	case bpf.Log:
		return elastic.ActionLog, true
	case bpf.Trap:
		return elastic.ActionTrap, true
	case bpf.Errno | 1:
		return elastic.ActionErrno, true
	}
	return 0, false
}

var elasticOps = map[specs.LinuxSeccompOperator]elastic.Operation{
	specs.OpEqualTo: elastic.Equal, specs.OpNotEqual: elastic.NotEqual, specs.OpLessThan: elastic.LessThan,
	specs.OpLessEqual: elastic.LessOrEqual, specs.OpGreaterThan: elastic.GreaterThan, specs.OpGreaterEqual: elastic.GreaterOrEqual,
}

// elasticTests are one test in the library's words. It has no comparison under a mask: the bits that must be 0 make one
// condition, each bit that must be 1 another.
func elasticTests(t specs.LinuxSeccompArg) []elastic.Condition {
	arg := uint32(t.Index)
	if t.Op != specs.OpMaskedEqual {
		return []elastic.Condition{{Argument: arg, Operation: elasticOps[t.Op], Value: t.Value}}
	}
	var all []elastic.Condition
	if zero := t.Value &^ t.ValueTwo; zero != 0 {
		all = append(all, elastic.Condition{Argument: arg, Operation: elastic.BitsNotSet, Value: zero})
	}
	for bits := t.Value & t.ValueTwo; bits != 0; bits &= bits - 1 {
		all = append(all, elastic.Condition{Argument: arg, Operation: elastic.BitsSet, Value: bits & -bits})
	}
	return all
}
