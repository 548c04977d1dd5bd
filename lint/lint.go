// Package lint finds what is wrong, or surprising, with a gate. It looks at the meaning, so it works on a policy, a container
// profile and somebody's BPF alike; every finding has a witness: a call that shows it.
//
//	for _, f := range lint.Check(v, []abi.Arch{abi.X86_64}) {
//		fmt.Println(f.Title, "-", f.Reason)
//	}
package lint

import (
	"slices"

	"monban/abi"
	"monban/bpf"
	"monban/verdict"
)

// A Finding is one thing that a reader of the gate should know.
type Finding struct {
	Name   string // short and stable: kill-thread
	Title  string // one line
	Reason string // why it matters, and what to do
	Arch   abi.Arch
	Call   bpf.Data // a call that shows it
	Action bpf.Action
}

// Check looks for every known pitfall on the architectures given, the machine's own first.
func Check(v verdict.Verdict, archs []abi.Arch) []Finding {
	// What an architecture lacks matters only where something of it passes: a filter that refuses x32 whole need not allow exit there.
	meant := slices.DeleteFunc(slices.Clone(archs), func(a abi.Arch) bool {
		_, ok := of(v, a).Witness(passes)
		return !ok
	})
	if len(meant) > 0 {
		archs = meant
	}
	var all []Finding
	for _, check := range checks {
		for _, a := range archs {
			if f, ok := check(v, a); ok {
				f.Arch = a
				all = append(all, f)
				break // once is enough: the witness names the architecture
			}
		}
	}
	return all
}

var checks = []func(verdict.Verdict, abi.Arch) (Finding, bool){killThread, exitGroup, sigreturn, x32, mux, archUnchecked}

// of is the verdict on one architecture's calls; numbers of x86_64 and x32 are kept apart.
func of(v verdict.Verdict, a abi.Arch) verdict.Verdict {
	v = v.Restrict(verdict.Arch, a.Token())
	s := v.Space()
	low := s.Compare(verdict.Single(verdict.Nr), verdict.LT, false, abi.X32Bit)
	switch a {
	case abi.X86_64:
		return s.Verdict(s.If(low, v.Node(), s.Action(bpf.KillProcess)))
	case abi.X32:
		return s.Verdict(s.If(low, s.Action(bpf.KillProcess), v.Node()))
	}
	return v
}

// call is the verdict on one call by name; ok is false where the architecture does not have it.
func call(v verdict.Verdict, a abi.Arch, name string) (verdict.Verdict, bpf.Data, bool) {
	nr, ok := a.Number(name)
	return of(v, a).Restrict(verdict.Nr, nr), bpf.Data{Arch: a.Token(), Nr: nr}, ok
}

func passes(a bpf.Action) bool { return a.Kind() == bpf.Allow || a.Kind() == bpf.Log }

func killThread(v verdict.Verdict, a abi.Arch) (Finding, bool) {
	for nr := range a.Calls() {
		w, ok := of(v, a).Restrict(verdict.Nr, nr).Witness(func(x bpf.Action) bool { return x.Kind() == bpf.KillThread })
		if !ok {
			continue
		}
		w.Arch, w.Nr = a.Token(), nr
		return Finding{
			Name:   "kill-thread",
			Title:  "a forbidden call kills the calling thread only",
			Reason: "a process with more threads lives on without this one, often hung on a lock that it held; SCMP_ACT_KILL means this, kill_process (SCMP_ACT_KILL_PROCESS) is what people expect",
			Call:   w, Action: bpf.KillThread,
		}, true
	}
	return Finding{}, false
}

func exitGroup(v verdict.Verdict, a abi.Arch) (Finding, bool) {
	group, d, ok := call(v, a, "exit_group")
	do, constant := group.Constant()
	if !ok || !constant || passes(do) {
		return Finding{}, false
	}
	return Finding{
		Name:   "exit-group",
		Title:  "exit_group is not allowed",
		Reason: "returning from main and exit(3) end in exit_group, so a program cannot end in the ordinary way; only the bare system call exit, which ends one thread, can be allowed in its place",
		Call:   d, Action: do,
	}, true
}

func sigreturn(v verdict.Verdict, a abi.Arch) (Finding, bool) {
	back, d, ok := call(v, a, "rt_sigreturn")
	do, constant := back.Constant()
	if !ok || !constant || passes(do) {
		return Finding{}, false
	}
	return Finding{
		Name:   "sigreturn",
		Title:  "rt_sigreturn is not allowed",
		Reason: "a signal handler cannot return: the first signal that is handled ends the program",
		Call:   d, Action: do,
	}, true
}

// x32 looks for the classic bypass: what is denied by number passes with bit 30 set (firejail#87, kafel#19).
func x32(v verdict.Verdict, a abi.Arch) (Finding, bool) {
	if a != abi.X86_64 {
		return Finding{}, false
	}
	all := v.Restrict(verdict.Arch, a.Token())
	for nr, name := range a.Calls() {
		do, constant := all.Restrict(verdict.Nr, nr).Constant()
		if !constant || passes(do) {
			continue
		}
		if w, ok := all.Restrict(verdict.Nr, nr|abi.X32Bit).Witness(passes); ok {
			w.Arch, w.Nr = a.Token(), nr|abi.X32Bit
			return Finding{
				Name:   "x32",
				Title:  "what is denied passes as an x32 call: " + name,
				Reason: "x32 calls have the same architecture token and bit 30 set in the number; a filter must refuse those numbers where it does not mean to treat x32",
				Call:   w, Action: all.At(&w),
			}, true
		}
	}
	return Finding{}, false
}

// mux looks for calls that are denied by their own number, always or for some arguments, and pass through socketcall or ipc.
func mux(v verdict.Verdict, a abi.Arch) (first Finding, found bool) {
	for _, name := range a.Calls() {
		m, muxed := a.Mux(name)
		if !muxed {
			continue
		}
		through, w, ok := call(v, a, m.Call)
		if !ok {
			continue
		}
		direct, _, _ := call(v, a, name)
		_, always := direct.Constant()
		if _, denied := direct.Witness(func(x bpf.Action) bool { return !passes(x) }); !denied {
			continue
		}
		open, ok := through.Restrict(verdict.ArgHi(0), 0).Restrict(verdict.ArgLo(0), m.Sub).Witness(passes)
		if !ok {
			continue
		}
		open.Arch, open.Nr, open.Args[0] = w.Arch, w.Nr, uint64(m.Sub)
		f := Finding{
			Name:   "mux",
			Title:  "a condition on " + name + " can be walked around through " + m.Call,
			Reason: m.Call + " does the same with its arguments in memory, where no filter can look; only denying that subcall closes the way",
			Call:   open, Action: v.At(&open),
		}
		if !always {
			return f, true // a condition that somebody wrote says more than a call that nobody named
		}
		if !found {
			f.Title = "what is denied passes through " + m.Call + ": " + name
			first, found = f, true
		}
	}
	return first, found
}

// archUnchecked looks for calls that pass whatever the calling convention is.
func archUnchecked(v verdict.Verdict, a abi.Arch) (Finding, bool) {
	var free uint32
	for slices.ContainsFunc(abi.Archs(), func(a abi.Arch) bool { return a.Token() == free }) {
		free++
	}
	w, ok := v.Restrict(verdict.Arch, free).Witness(passes)
	if !ok {
		return Finding{}, false
	}
	w.Arch = free
	return Finding{
		Name:   "arch-unchecked",
		Title:  "calls of other architectures pass unchecked",
		Reason: "the same number is another call there (int 0x80 on x86_64): a filter must look at the architecture first",
		Call:   w, Action: bpf.Allow,
	}, true
}
