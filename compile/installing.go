package compile

import (
	"monban/abi"
	"monban/bpf"
	"monban/verdict"
)

// installing lists the calls that are made between the installation of the first filter of a stack and that of the
// last, and so go through the earlier ones: what they do to these calls only the last filter may decide. What a Go
// program's runtime does meanwhile isn't listed: a policy that denies it is refused anyway.
//
//	who                        calls
//	seccomp.InstallStack       seccomp(SECCOMP_SET_MODE_FILTER)
//	sandbox.Command, traced    seccomp(SECCOMP_SET_MODE_FILTER), injected
//	sandbox.Command.AllowExec  seccomp(SECCOMP_SET_MODE_FILTER); then execve, when all filters are there
//	bwrap --add-seccomp-fd     prctl(PR_SET_SECCOMP)
var installing = []struct {
	call string
	arg0 []uint32 // its low words
}{
	{"seccomp", []uint32{1}}, // SECCOMP_SET_MODE_FILTER
	{"prctl", []uint32{22}},  // PR_SET_SECCOMP
}

// lastOnly is the condition for what only the filter that is installed last may decide: installing, on every
// architecture, and what v answers with notify.
func lastOnly(v verdict.Verdict) verdict.Node {
	s := v.Space()
	is := func(w verdict.Word, value uint32) verdict.Node {
		return s.Compare(verdict.Single(w), verdict.EQ, false, uint64(value))
	}
	// Architectures that v doesn't speak for are few instructions: all of them.
	cond := s.When(v.Graft(verdict.Arch, func(own verdict.Verdict) verdict.Verdict {
		do := bpf.KillProcess
		if _, constant := own.Constant(); !constant {
			do = bpf.Allow
		}
		return s.Verdict(s.Action(do))
	}), bpf.KillProcess)
	for _, c := range installing {
		option := verdict.False
		for _, value := range c.arg0 {
			option = s.Or(option, is(verdict.ArgLo(0), value))
		}
		for _, a := range abi.Archs() {
			if nr, ok := a.Number(c.call); ok {
				cond = s.Or(cond, s.And(is(verdict.Arch, a.Token()), s.And(is(verdict.Nr, nr), option)))
			}
		}
	}
	return s.Or(cond, s.When(v, bpf.Notify))
}
