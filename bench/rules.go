package main

import (
	"encoding/json"
	"fmt"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"monban/abi"
	"monban/bpf"
	"monban/format/oci"
	"monban/policy"
	"monban/verdict"
)

// Rules are the one form in which every compiler gets a policy: calls by name, each under a conjunction of tests with
// at most one test an argument. A call has either one rule without tests, or rules with tests of which those of
// different actions exclude each other. Tests are those of the OCI runtime specification: unsigned, 64 bits wide,
// SCMP_CMP_MASKED_EQ being arg & Value == ValueTwo.
type Rules struct {
	Name    string
	Archs   []abi.Arch
	Default bpf.Action // of all other numbers of these architectures
	List    []Rule
}

// A Rule is one alternative of one call.
type Rule struct {
	Call   string
	Tests  []specs.LinuxSeccompArg // all must hold
	Action bpf.Action
}

// maxAlternatives is how many conjunctions one call's condition may come to.
const maxAlternatives = 4096

var ociActions = map[specs.LinuxSeccompAction]bpf.Action{
	specs.ActAllow: bpf.Allow, specs.ActErrno: bpf.Errno, specs.ActKillProcess: bpf.KillProcess, specs.ActKillThread: bpf.KillThread,
	specs.ActKill: bpf.KillThread, specs.ActLog: bpf.Log, specs.ActTrap: bpf.Trap, specs.ActTrace: bpf.Trace,
}

// action is the filter's answer that a profile's action stands for; an errno that isn't named is EPERM.
func action(a specs.LinuxSeccompAction, data *uint) (bpf.Action, error) {
	do, ok := ociActions[a]
	switch {
	case !ok:
		return 0, fmt.Errorf("the action %s has no place in this comparison", a)
	case do != bpf.Errno && do != bpf.Trace:
		return do, nil
	case data == nil:
		return do | 1, nil
	}
	return do | bpf.Action(*data), nil
}

// fromProfile takes a resolved profile of a container. Of several rules of one call the first without tests decides, as
// in libseccomp, and names that none of the architectures has are left out.
func fromProfile(name string, p *specs.LinuxSeccomp, archs []abi.Arch) (*Rules, error) {
	def, err := action(p.DefaultAction, p.DefaultErrnoRet)
	if err != nil {
		return nil, err
	}
	r := &Rules{Name: name, Archs: archs, Default: def}
	always := map[string]bool{}
	for _, s := range p.Syscalls {
		do, err := action(s.Action, s.ErrnoRet)
		if err != nil {
			return nil, err
		}
		if do == def {
			continue
		}
		for _, call := range s.Names {
			if always[call] || !slices.ContainsFunc(archs, func(a abi.Arch) bool { return exists(a, call) }) {
				continue
			}
			always[call] = len(s.Args) == 0
			r.List = append(r.List, Rule{call, s.Args, do})
		}
	}
	r.List = slices.DeleteFunc(r.List, func(x Rule) bool { return always[x.Call] && len(x.Tests) > 0 })
	return r, nil
}

func exists(a abi.Arch, call string) bool {
	_, own := a.Number(call)
	_, behind := a.Mux(call)
	return own || behind
}

// fromVerdict writes the meaning of an x86_64 filter down as rules.
func fromVerdict(name string, v verdict.Verdict, def bpf.Action) (*Rules, error) {
	return verdict.Exact(v.Space(), func() (*Rules, error) { return rulesOf(name, v, def) })
}

func rulesOf(name string, v verdict.Verdict, def bpf.Action) (*Rules, error) {
	s := v.Space()
	own := v.Restrict(verdict.Arch, abi.X86_64.Token())
	r := &Rules{Name: name, Archs: []abi.Arch{abi.X86_64}, Default: def}
	for nr, call := range abi.X86_64.Calls() {
		leaf := own.Restrict(verdict.Nr, nr)
		for _, do := range slices.Sorted(leaf.Actions()) {
			if do == def {
				continue
			}
			all, err := conjunctions(s, s.When(leaf, do))
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", name, call, err)
			}
			for _, tests := range all {
				r.List = append(r.List, Rule{call, tests, do})
			}
		}
	}
	return r, nil
}

// conjunctions lists conjunctions of tests, excluding each other, that together make up a condition on arguments.
func conjunctions(s *verdict.Space, cond verdict.Node) (all [][]specs.LinuxSeccompArg, err error) {
	switch cond {
	case verdict.True:
		return [][]specs.LinuxSeccompArg{nil}, nil
	case verdict.False:
		return nil, nil
	}
	first, _ := s.Verdict(cond).First()
	hi := first &^ 1
	if hi < verdict.ArgHi(0) || hi > verdict.ArgHi(5) {
		return nil, fmt.Errorf("it looks at more than arguments")
	}
	parts, ok := s.Parts(s.Verdict(cond), hi+1, maxAlternatives)
	for _, p := range parts {
		rest, err := conjunctions(s, p.Then.Node())
		if err != nil {
			return nil, err
		}
		if rest == nil {
			continue
		}
		tests, simple := register(s, p.Cond, int(hi-verdict.ArgHi(0))/2)
		ok = ok && simple
		for _, t := range tests {
			for _, r := range rest {
				all = append(all, append([]specs.LinuxSeccompArg{t}, r...))
			}
		}
	}
	if !ok || len(all) > maxAlternatives {
		return nil, fmt.Errorf("its condition is more than %d alternatives", maxAlternatives)
	}
	return all, nil
}

// register lists tests of one argument, excluding each other, that make up a condition: one comparison, or masks.
func register(s *verdict.Space, cond verdict.Node, arg int) (tests []specs.LinuxSeccompArg, ok bool) {
	if x, exact := boundary(s, cond, arg); exact {
		return []specs.LinuxSeccompArg{x}, true
	}
	one := func(c verdict.Cube, exactly specs.LinuxSeccompOperator) specs.LinuxSeccompArg {
		if c.Mask == ^uint64(0) {
			return specs.LinuxSeccompArg{Index: uint(arg), Value: c.Want, Op: exactly}
		}
		return specs.LinuxSeccompArg{Index: uint(arg), Value: c.Mask, ValueTwo: c.Want, Op: specs.OpMaskedEqual}
	}
	if not, ok := s.Cubes(s.Not(cond), verdict.ArgHi(arg), 1); ok && not[0].Mask == ^uint64(0) {
		return []specs.LinuxSeccompArg{one(not[0], specs.OpNotEqual)}, true
	}
	cubes, ok := s.Cubes(cond, verdict.ArgHi(arg), maxAlternatives)
	for _, c := range cubes {
		tests = append(tests, one(c, specs.OpEqualTo))
	}
	return tests, ok
}

// boundary finds the comparison with <= or >= that a condition is, if it is one.
func boundary(s *verdict.Space, cond verdict.Node, arg int) (t specs.LinuxSeccompArg, ok bool) {
	holds := func(x uint64) bool {
		var d bpf.Data
		d.Args[arg] = x
		return s.Verdict(cond).At(&d) == 1
	}
	low := holds(0)
	if low == holds(^uint64(0)) {
		return t, false
	}
	lo, hi := uint64(0), ^uint64(0) // the answer at lo is that at 0, the one at hi is not
	for hi-lo > 1 {
		if mid := lo + (hi-lo)/2; holds(mid) == low {
			lo = mid
		} else {
			hi = mid
		}
	}
	op, exact := verdict.GE, specs.LinuxSeccompArg{Index: uint(arg), Value: hi, Op: specs.OpGreaterEqual}
	if low {
		op, exact.Value, exact.Op = verdict.LE, lo, specs.OpLessEqual
	}
	return exact, s.Compare(verdict.Register(arg), op, false, exact.Value) == cond
}

// profile is the rules as a plain profile of the OCI runtime specification.
func (r *Rules) profile() *specs.LinuxSeccomp {
	p := &specs.LinuxSeccomp{Flags: []specs.LinuxSeccompFlag{}}
	p.DefaultAction, p.DefaultErrnoRet = ociAction(r.Default)
	for _, a := range r.Archs {
		p.Architectures = append(p.Architectures, specs.Arch(a.SCMP()))
	}
	for _, x := range r.List {
		s := specs.LinuxSyscall{Names: []string{x.Call}, Args: x.Tests}
		s.Action, s.ErrnoRet = ociAction(x.Action)
		p.Syscalls = append(p.Syscalls, s)
	}
	return p
}

func ociAction(a bpf.Action) (specs.LinuxSeccompAction, *uint) {
	data := uint(a.Data())
	for _, name := range []specs.LinuxSeccompAction{specs.ActErrno, specs.ActTrace} {
		if ociActions[name] == a.Kind() {
			return name, &data
		}
	}
	for name, do := range ociActions {
		if do == a && name != specs.ActKill {
			return name, nil
		}
	}
	return specs.LinuxSeccompAction(a.String()), nil
}

// policy is the meaning of the rules less some gaps: with libseccomp's view of architectures, x32's arguments being 32
// bits wide, and, where runc is true, with what runc adds.
func (r *Rules) policy(runc bool, gaps []gap) (*policy.Policy, error) {
	// A call that is missing everywhere never was in the profile, for runc looks for the newest call there.
	left := *r
	left.List = slices.DeleteFunc(slices.Clone(r.List), func(x Rule) bool {
		return !slices.ContainsFunc(r.Archs, func(a abi.Arch) bool { return exists(a, x.Call) && !slices.Contains(gaps, gap{x.Call, a}) })
	})
	src, err := json.Marshal(left.profile())
	if err != nil {
		return nil, err
	}
	p, _, err := oci.Parse(r.Name, src, oci.Options{Archs: r.Archs, Native: &r.Archs[0], Runtime: "runc"})
	if err != nil {
		return nil, err
	}
	if !runc {
		p.BadArch = policy.Action{Kind: bpf.KillProcess}
		p.Rules = slices.DeleteFunc(p.Rules, isStub)
		p.Archs = slices.DeleteFunc(p.Archs, func(a abi.Arch) bool { return !slices.Contains(r.Archs, a) })
	}
	for i := range p.Rules {
		x := &p.Rules[i]
		if !slices.ContainsFunc(gaps, func(g gap) bool { return g.call == x.Call }) {
			continue
		}
		if x.Archs == nil {
			x.Archs = p.Archs
		}
		x.Archs = slices.DeleteFunc(slices.Clone(x.Archs), func(a abi.Arch) bool { return slices.Contains(gaps, gap{x.Call, a}) })
	}
	p.Rules = slices.DeleteFunc(p.Rules, func(x policy.Rule) bool { return x.Archs != nil && len(x.Archs) == 0 })
	return p, nil
}

// isStub tells what the runtime adds from the profile's own rules, which are all about a call by name: runc's answers
// to numbers above the newest that a profile names, and libseccomp's to x32's numbers.
func isStub(r policy.Rule) bool { return r.Call == "" }

// verdict is policy's meaning in a space.
func (r *Rules) verdict(s *verdict.Space, runc bool, gaps []gap) (verdict.Verdict, error) {
	p, err := r.policy(runc, gaps)
	if err != nil {
		return verdict.Verdict{}, err
	}
	return p.Verdict(s)
}
