package lint

import (
	"slices"

	"monban/abi"
	"monban/bpf"
	"monban/verdict"
)

// allows looks for calls that little of what is confined needs.
func allows(calls ...string) func(*subject) []Finding {
	return func(s *subject) []Finding { return s.listing(s.which(calls, passes), passes) }
}

// namespaces looks for ways to make namespaces and mounts, clone's among them.
func namespaces(s *subject) []Finding {
	open := s.which([]string{"unshare", "setns", "mount", "umount2", "pivot_root", "fsmount", "move_mount", "mount_setattr"}, passes)
	v, nr, ok := s.call("clone")
	d := bpf.Data{Arch: s.arch.Token(), Nr: nr}
	newuser, _ := s.arch.Constant("CLONE_NEWUSER")
	args, _ := s.arch.Args("clone")
	for _, arg := range args {
		if !ok || !arg.Is("flags") {
			continue
		}
		d.Args[arg.Index] = newuser
		if w, yes := v.Restrict(verdict.ArgHi(arg.Index), 0).Restrict(verdict.ArgLo(arg.Index), uint32(newuser)).Witness(passes); yes {
			w.Arch, w.Nr, w.Args[arg.Index] = d.Arch, nr, newuser
			open = append([]string{"clone(CLONE_NEWUSER)"}, open...)
			return s.found(": "+some(open), open, w)
		}
	}
	return s.listing(open, passes)
}

// oldPtrace matters where the text says which kernel it is for.
func oldPtrace(s *subject) []Finding {
	if s.Policy == nil || s.Policy.Kernel.IsZero() || s.Policy.Kernel.Compare(abi.Version{Major: 4, Minor: 8}) >= 0 {
		return nil
	}
	if s.how("ptrace", passes) == never {
		return nil
	}
	return s.finding("", []string{"ptrace"}, "ptrace", passes)
}

// killThread lists the calls that kill their thread.
func killThread(s *subject) []Finding {
	kills := func(x bpf.Action) bool { return x.Kind() == bpf.KillThread }
	var names []string
	for _, name := range s.arch.Calls() {
		names = append(names, name)
	}
	killed := s.which(names, kills)
	if killed == nil {
		return nil
	}
	slices.Sort(killed)
	title := ""
	if len(killed) == 1 {
		title = killed[0] + " kills the calling thread only"
	}
	return s.finding(title, killed, killed[0], kills)
}
