package lint

import (
	"monban/abi"
	"monban/bpf"
	"monban/verdict"
)

// archUnchecked looks for calls that pass whatever the calling convention is.
func archUnchecked(s *subject) []Finding {
	if s.arch != s.Archs[0] {
		return nil // it is not about one architecture
	}
	for _, leaf := range s.Verdict.Elsewhere() {
		if w, ok := leaf.Then.Witness(passes); ok {
			w.Arch = leaf.Least
			return s.found("", nil, w)
		}
	}
	return nil
}

// x32Bypass looks for the classic bypass: what is refused by number passes with bit 30 set.
func x32Bypass(s *subject) []Finding {
	if s.arch != abi.X86_64 {
		return nil
	}
	all := s.Verdict.Restrict(verdict.Arch, s.arch.Token())
	var names []string
	var first bpf.Data
	for nr, name := range s.arch.Calls() {
		do, constant := all.Restrict(verdict.Nr, nr).Constant()
		if !constant || !refuses(do) {
			continue
		}
		if w, ok := all.Restrict(verdict.Nr, nr|abi.X32Bit).Witness(passes); ok {
			if names == nil {
				first = w
				first.Arch, first.Nr = s.arch.Token(), nr|abi.X32Bit
			}
			names = append(names, name)
		}
	}
	if names == nil {
		return nil
	}
	return s.found(": "+some(names), names, first)
}

// multiplexer looks for calls that are refused by their own number, always or for some arguments, and pass through
// socketcall or ipc. A condition that somebody wrote says more than a call that nobody named.
func multiplexer(s *subject) []Finding {
	var conditional, refused []string
	witness := map[string]bpf.Data{}
	for _, name := range s.arch.Calls() {
		m, muxed := s.arch.Mux(name)
		if !muxed {
			continue
		}
		through, nr, ok := s.call(m.Call)
		if !ok || s.how(name, refuses) == never {
			continue
		}
		w, ok := through.Restrict(verdict.ArgHi(0), 0).Restrict(verdict.ArgLo(0), m.Sub).Witness(passes)
		if !ok {
			continue
		}
		w.Arch, w.Nr, w.Args[0] = s.arch.Token(), nr, uint64(m.Sub)
		witness[name] = w
		if s.how(name, refuses) == sometimes {
			conditional = append(conditional, name)
		} else {
			refused = append(refused, name)
		}
	}
	var out []Finding
	if conditional != nil {
		m, _ := s.arch.Mux(conditional[0])
		out = s.found("a condition on "+some(conditional)+" can be walked around through "+m.Call, conditional, witness[conditional[0]])
	}
	if refused != nil {
		m, _ := s.arch.Mux(refused[0])
		out = append(out, s.found("what is refused passes through "+m.Call+": "+some(refused), refused, witness[refused[0]])...)
	}
	return out
}

// clone3Bypass looks at the newer form of clone, whose flags no filter sees.
func clone3Bypass(s *subject) []Finding {
	if s.how("clone", passes) == never || s.how("clone", refuses) != sometimes || s.how("clone3", passes) == never {
		return nil
	}
	return s.finding("", []string{"clone", "clone3"}, "clone3", passes)
}

// clone3Errno looks for an answer to clone3 after which libc does not fall back to clone.
func clone3Errno(s *subject) []Finding {
	v, nr, ok := s.call("clone3")
	if !ok || s.how("clone", passes) == never {
		return nil
	}
	enosys, _ := s.arch.Errno("ENOSYS")
	do, constant := v.Constant()
	if !constant || !refuses(do) || do == bpf.Errno|bpf.Action(enosys) {
		return nil
	}
	return s.found("", []string{"clone3"}, bpf.Data{Arch: s.arch.Token(), Nr: nr})
}

func newMountAPI(s *subject) []Finding {
	newer := s.which([]string{"move_mount", "fsopen", "fsmount", "open_tree", "open_tree_attr", "mount_setattr"}, passes)
	if newer == nil || s.how("mount", refuses) != always {
		return nil
	}
	return s.finding("mount is refused, and "+some(newer)+" allowed", newer, newer[0], passes)
}

// ioUring looks for io_uring beside refusals that it gets around.
func ioUring(s *subject) []Finding {
	if s.how("io_uring_setup", passes) == never {
		return nil
	}
	does := []string{"openat", "openat2", "socket", "connect", "accept4", "bind", "listen", "sendmsg", "recvmsg", "unlinkat", "renameat2",
		"mkdirat", "symlinkat", "linkat", "statx", "fallocate", "setxattr", "splice", "madvise", "shutdown"}
	refused := s.which(does, refuses)
	if refused == nil {
		return nil
	}
	return s.finding(": "+some(refused), refused, "io_uring_setup", passes)
}

// tiocsti looks for ioctls that type into a terminal.
func tiocsti(s *subject) []Finding {
	v, nr, ok := s.call("ioctl")
	if !ok {
		return nil
	}
	for _, request := range []string{"TIOCSTI", "TIOCLINUX"} {
		value, ok := s.arch.Constant(request)
		if !ok {
			continue
		}
		w, ok := v.Restrict(verdict.ArgHi(1), 0).Restrict(verdict.ArgLo(1), uint32(value)).Witness(passes)
		if !ok {
			continue
		}
		w.Arch, w.Nr, w.Args[1] = s.arch.Token(), nr, value
		return s.found("input can be pushed into a terminal: ioctl's "+request, []string{"ioctl"}, w)
	}
	return nil
}

// twins are calls that do the same. A condition on the first ones of a row says nothing where the last one passes.
var twins = [][]string{
	{"open", "creat", "openat", "openat2"},
	{"execve", "execveat"},
	{"kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal"},
	{"mprotect", "pkey_mprotect"},
	{"init_module", "finit_module"},
	{"kexec_load", "kexec_file_load"},
	{"unlink", "unlinkat"},
	{"rename", "renameat", "renameat2"},
	{"mkdir", "mkdirat"},
	{"mknod", "mknodat"},
	{"link", "linkat"},
	{"symlink", "symlinkat"},
	{"chmod", "fchmodat", "fchmodat2"},
	{"chown", "lchown", "fchownat"},
	{"setxattr", "lsetxattr", "setxattrat"},
	{"fork", "vfork", "clone", "clone3"},
	{"ptrace", "process_vm_writev"},
	{"process_vm_readv", "process_vm_writev"},
}

// hidden are calls and the ones that do the same with the deciding arguments where no filter looks.
var hidden = [][2]string{{"open", "openat2"}, {"openat", "openat2"}, {"mprotect", "pkey_mprotect"}, {"execve", "execveat"}}

// siblings looks for calls that do what others are refused to do.
func siblings(s *subject) []Finding {
	var out []Finding
	for _, h := range hidden {
		if s.how(h[0], refuses) == sometimes && s.how(h[1], passes) == always {
			out = append(out, s.finding("a condition on "+h[0]+" can be walked around by "+h[1], h[:], h[1], passes)...)
		}
	}
	if !s.denyList() {
		return out
	}
	for _, family := range twins {
		var refused, open []string
		for _, name := range family {
			switch {
			case s.how(name, refuses) == always:
				refused = append(refused, name)
			case s.how(name, passes) == always:
				open = append(open, name)
			}
		}
		if refused == nil || open == nil {
			continue
		}
		title := some(refused) + " is refused, and " + some(open) + " does the same"
		if len(refused) > 1 {
			title = some(refused) + " are refused, and " + some(open) + " does the same"
		}
		out = append(out, s.finding(title, append(refused, open...), open[0], passes)...)
	}
	return out
}
