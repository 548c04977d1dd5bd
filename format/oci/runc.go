package oci

import (
	"slices"

	"monban/abi"
	"monban/bpf"
	"monban/policy"
)

// runtimeAdds is what container runtimes add: libseccomp's answer to other architectures, and the stub of runc.
func (in *importer) runtimeAdds(all []clause, listed []abi.Arch) {
	p := in.policy
	p.BadArch = policy.Action{Kind: bpf.KillThread}
	nr := func(op policy.Op, n uint32) policy.Expr {
		return policy.Compare{X: policy.Operand{Name: "nr"}, Op: op, Y: policy.Num(n)}
	}
	answer := func(a abi.Arch, do policy.Action, cond policy.Expr) {
		p.Rules = append(p.Rules, policy.Rule{Action: do, Cond: cond, Archs: []abi.Arch{a}, Pos: in.Pos(in.off)})
	}
	archs := slices.Clone(p.Archs)
	x32 := slices.Contains(archs, abi.X86_64) && !slices.Contains(archs, abi.X32)
	if x32 {
		// Of the numbers with which x32 calls are made, the one by which a tracer has a call skipped is no stranger to
		// libseccomp.
		p.Archs = append(p.Archs, abi.X32)
		answer(abi.X32, p.Default, nr(policy.EQ, 0xffffffff))
		defer func() { answer(abi.X32, p.BadArch, nr(policy.GE, abi.X32Bit)) }()
	}
	switch p.Default.Kind {
	case bpf.Allow, bpf.Log, bpf.Trace:
		return
	}
	if in.runtime == "crun" {
		return // has no such stub
	}
	enosys := policy.Action{Kind: bpf.Errno, Errno: "ENOSYS"}
	for _, a := range archs {
		if !slices.Contains(listed, a) {
			continue // runc looks only at the architectures that the profile lists, be the native one among them or not
		}
		var last uint32
		for _, c := range all {
			// To runc, a call that a multiplexer makes has a negative number, whatever other number it has.
			if _, behind := a.Mux(c.name); !behind {
				if nr, ok := a.Number(c.name); ok {
					last = max(last, nr)
				}
			}
		}
		if last == 0 {
			continue
		}
		if a == abi.S390 || a == abi.S390X {
			answer(a, enosys, nr(policy.EQ, 0)) // what the kernel makes of a number that it does not know
		}
		answer(a, enosys, nr(policy.GT, last))
		if x32 && a == abi.X86_64 { // the stub takes bit 30 alone for x32's, and numbers above it for unknown ones
			answer(abi.X32, enosys, policy.And{nr(policy.GE, 2*abi.X32Bit), nr(policy.LT, 3*abi.X32Bit)})
		}
	}
}

// plain leaves of a profile what a reader of the specification's fields sees, and notes what that changes.
func (in *importer) plain() {
	if len(in.archMap) > 0 {
		in.note(in.off, "containerd and Kubernetes do not know archMap: calls of other architectures than %s are refused", in.native)
		in.archMap = nil
	}
	if in.action.Errno != "" {
		in.note(in.off, "containerd and Kubernetes do not know defaultErrno: the default is errno(EPERM)")
		in.action = policy.Action{Kind: bpf.Errno, Data: eperm}
	}
	for i := range in.rules {
		r := &in.rules[i]
		if r.includes.conditional() || r.excludes.conditional() {
			in.note(r.off, "containerd and Kubernetes do not know includes and excludes: this rule always holds")
			r.includes, r.excludes = filter{}, filter{}
		}
		if r.action.Errno != "" {
			in.note(r.off, "containerd and Kubernetes do not know errno: the answer is errno(EPERM)")
			r.action = policy.Action{Kind: bpf.Errno, Data: eperm}
		}
		if r.single {
			in.note(r.off, "containerd and Kubernetes do not know name, only names: this rule is about nothing")
			r.names = nil
		}
	}
}

// eperm is what the specification has for an errno that is not given; it is 1 on all architectures.
const eperm = 1

func (f filter) conditional() bool {
	return len(f.caps) > 0 || len(f.arches) > 0 || !f.minKernel.IsZero()
}
