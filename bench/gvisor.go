package main

import (
	"fmt"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	gvisor "gvisor.dev/gvisor/pkg/seccomp"

	"monban/abi"
	"monban/bpf"
)

// gvisorCompiler is gVisor's own generator, with the optimisations that it uses for itself.
func gvisorCompiler() compiler {
	return compiler{"gVisor pkg/seccomp", false, func(r *Rules) (built, error) {
		p, err := gvisorProgram(r)
		if err != nil {
			return built{}, err
		}
		start := time.Now()
		ins, _, err := p.Build()
		took := time.Since(start)
		if err != nil {
			return built{}, err
		}
		var out bpf.Program
		for _, i := range ins {
			out = append(out, bpf.Instruction{Code: i.OpCode, Jt: i.JumpIfTrue, Jf: i.JumpIfFalse, K: i.K})
		}
		return built{program: out, took: took}, nil
	}}
}

// gvisorProgram has one set of rules an action: the order of sets doesn't matter, as our rules exclude each other.
func gvisorProgram(r *Rules) (*gvisor.Program, error) {
	if err := several(r); err != nil {
		return nil, err
	}
	var order []bpf.Action
	sets := map[bpf.Action]gvisor.SyscallRules{}
	for _, x := range r.List {
		set, ok := sets[x.Action]
		if !ok {
			set = gvisor.NewSyscallRules()
			sets[x.Action] = set
			order = append(order, x.Action)
		}
		nr, ok := abi.X86_64.Number(x.Call)
		if !ok {
			return nil, fmt.Errorf("x86_64 has no call %s", x.Call)
		}
		var rule gvisor.SyscallRule = gvisor.MatchAll{}
		if len(x.Tests) > 0 {
			var args gvisor.PerArg
			for i := range args {
				args[i] = gvisor.AnyValue{}
			}
			for _, t := range x.Tests {
				args[t.Index] = gvisorTest(t)
			}
			rule = args
		}
		set.Add(uintptr(nr), rule)
	}
	p := &gvisor.Program{}
	var err error
	if p.Options.DefaultAction, err = gvisorAction(r.Default); err != nil {
		return nil, err
	}
	p.Options.BadArchAction = gvisor.KillProcess
	for _, do := range order {
		a, err := gvisorAction(do)
		if err != nil {
			return nil, err
		}
		p.RuleSets = append(p.RuleSets, gvisor.RuleSet{Rules: sets[do], Action: a})
	}
	return p, nil
}

func gvisorTest(t specs.LinuxSeccompArg) gvisor.ValueMatcher {
	x := uintptr(t.Value)
	switch t.Op {
	case specs.OpNotEqual:
		return gvisor.NotEqual(x)
	case specs.OpLessThan:
		return gvisor.LessThan(x)
	case specs.OpLessEqual:
		return gvisor.LessThanOrEqual(x)
	case specs.OpGreaterThan:
		return gvisor.GreaterThan(x)
	case specs.OpGreaterEqual:
		return gvisor.GreaterThanOrEqual(x)
	case specs.OpMaskedEqual:
		return gvisor.MaskedEqual(x, uintptr(t.ValueTwo))
	}
	return gvisor.EqualTo(x)
}

func gvisorAction(a bpf.Action) (gvisor.Action, error) {
	switch a.Kind() {
	case bpf.Allow:
		return gvisor.Allow, nil
	case bpf.Errno:
		return gvisor.ReturnError.Code(a.Data()), nil
	case bpf.KillProcess:
		return gvisor.KillProcess, nil
	case bpf.KillThread:
		return gvisor.KillThread, nil
	case bpf.Trap:
		return gvisor.Trap, nil
	}
	return "", fmt.Errorf("%w: the action %s", errCannot, a)
}
