package lint

import (
	"slices"

	"monban/abi"
	"monban/bpf"
	"monban/verdict"
)

// dangers are calls that little of what is confined needs, by the entry that says why.
var dangers = []struct {
	id, title string
	calls     []string
}{
	{"MB016", "calls that change the kernel itself are allowed: ", []string{"init_module", "finit_module", "delete_module", "create_module",
		"kexec_load", "kexec_file_load", "reboot", "iopl", "ioperm", "swapon", "swapoff", "open_by_handle_at", "acct", "settimeofday",
		"clock_settime", "clock_settime64", "stime", "pciconfig_read", "pciconfig_write", "pciconfig_iobase"}},
	{"MB017", "calls with a history of kernel bugs are allowed: ", []string{"bpf", "userfaultfd", "perf_event_open", "add_key", "keyctl",
		"request_key", "quotactl", "lookup_dcookie", "nfsservctl", "_sysctl", "uselib", "ustat", "sysfs", "vm86", "vm86old"}},
	{"MB019", "other processes can be read, changed or robbed of their files: ", []string{"ptrace", "process_vm_readv", "process_vm_writev",
		"pidfd_getfd", "process_madvise", "kcmp"}},
}

func dangerous(s *subject) []Finding {
	var out []Finding
	for _, d := range dangers {
		if open := s.which(d.calls, passes); open != nil {
			out = append(out, s.finding(d.id, d.title+some(open), open, open[0], passes)...)
		}
	}
	return append(out, namespaces(s)...)
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
			return s.found("MB018", "namespaces and mounts can be made: "+some(open), open, w)
		}
	}
	if open == nil {
		return nil
	}
	return s.finding("MB018", "namespaces and mounts can be made: "+some(open), open, open[0], passes)
}

// oldPtrace matters where the text says which kernel it is for.
func oldPtrace(s *subject) []Finding {
	if s.Policy == nil || s.Policy.Kernel.IsZero() || s.Policy.Kernel.Compare(abi.Version{Major: 4, Minor: 8}) >= 0 {
		return nil
	}
	if s.how("ptrace", passes) == never {
		return nil
	}
	return s.finding("MB015", "", []string{"ptrace"}, "ptrace", passes)
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
	return s.finding("MB020", title, killed, killed[0], kills)
}
