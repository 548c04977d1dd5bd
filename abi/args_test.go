package abi

import (
	"slices"
	"testing"
)

func argNamed(t *testing.T, a Arch, call, name string) Arg {
	t.Helper()
	args, ok := a.Args(call)
	if !ok {
		t.Fatalf("%v %s: arguments aren't known", a, call)
	}
	i := slices.IndexFunc(args, func(g Arg) bool { return g.Is(name) })
	if i < 0 {
		t.Fatalf("%v %s has no %s: %v", a, call, name, args)
	}
	return args[i]
}

func TestArgPlaces(t *testing.T) {
	for _, c := range []struct {
		a           Arch
		call, name  string
		index, high int
		bits        int
		signed      bool
	}{
		{X86_64, "socket", "family", 0, -1, 32, true},
		{X86_64, "socket", "domain", 0, -1, 32, true},
		{X86_64, "ioctl", "request", 1, -1, 32, false},
		{X86_64, "ioctl", "cmd", 1, -1, 32, false},
		{X86_64, "fcntl", "cmd", 1, -1, 32, false},
		{X86_64, "openat", "dirfd", 0, -1, 32, true},
		{X86_64, "openat", "mode", 3, -1, 16, false},
		{X86_64, "personality", "persona", 0, -1, 32, false},
		{X86_64, "mmap", "prot", 2, -1, 64, false},
		{X86_64, "mmap", "offset", 5, -1, 64, false},
		{X86_64, "write", "count", 2, -1, 64, false},
		{X86_64, "lseek", "offset", 1, -1, 64, true},
		{X86_64, "keyctl", "operation", 0, -1, 32, true},
		{X86_64, "quotactl", "id", 2, -1, 32, false},
		{X86_64, "clone", "flags", 0, -1, 32, false},
		{X86_64, "clone", "tls", 4, -1, 64, false},
		{X86, "clone", "tls", 3, -1, 32, false},
		{AArch64, "clone", "child_tid", 4, -1, 64, false},
		{LoongArch64, "clone", "child_tid", 3, -1, 64, false},
		{S390X, "clone", "flags", 1, -1, 32, false},
		{S390, "clone", "stack", 0, -1, 32, false},
		{X32, "write", "count", 2, -1, 64, false},
		{MIPS64N32, "write", "buf", 1, -1, 64, false},
		{X86, "write", "count", 2, -1, 32, false},
		// 64-bit values on 32-bit architectures: which registers, which half first
		{X86, "pread64", "offset", 3, 4, 64, true},
		{ARM, "pread64", "offset", 4, 5, 64, true},
		{MIPS, "pread64", "offset", 5, 4, 64, true},
		{MIPSEL, "pread64", "offset", 4, 5, 64, true},
		{PPC, "pread64", "offset", 5, 4, 64, true},
		{S390, "pread64", "offset", 4, 3, 64, true},
		{PARISC, "pread64", "offset", 4, 3, 64, true},
		{SH, "pread64", "offset", 4, 5, 64, true},
		{SHEB, "pread64", "offset", 5, 4, 64, true},
		{SH, "truncate64", "length", 1, 2, 64, true},
		{ARM, "ftruncate64", "length", 2, 3, 64, true},
		{X86, "ftruncate64", "length", 1, 2, 64, true},
		{X86, "fanotify_mark", "mask", 2, 3, 64, false},
		{X86, "fallocate", "len", 4, 5, 64, true},
		{ARM, "arm_fadvise64_64", "len", 4, 5, 64, true},
		{PPC, "fadvise64", "advice", 5, -1, 32, true},
		{PPC, "readahead", "count", 4, -1, 32, false},
		{X86_64, "pread64", "offset", 3, -1, 64, true},
		// 16-bit ids under the old names
		{X86, "chown", "owner", 1, -1, 16, false},
		{X86, "chown32", "owner", 1, -1, 32, false},
		{ARM, "setuid", "uid", 0, -1, 16, false},
		{X86_64, "setuid", "uid", 0, -1, 32, false},
		{MIPS, "setuid", "uid", 0, -1, 32, false},
		// calls that are newer than the signatures' source, or another function's under that name
		{X86_64, "setxattrat", "at_flags", 2, -1, 32, false},
		{X86, "clock_gettime64", "clockid", 0, -1, 32, true},
		{X86, "mmap2", "fd", 4, -1, 32, true},
		{X86, "sigsuspend", "mask", 2, -1, 32, false},
		{X32, "preadv2", "flags", 4, -1, 32, true},
		{X86_64, "preadv2", "flags", 5, -1, 32, true},
	} {
		g := argNamed(t, c.a, c.call, c.name)
		if g.Index != c.index || g.High != c.high || g.Bits != c.bits || g.Signed != c.signed {
			t.Errorf("%v %s %s: %+v, want register %d/%d, %d bits, signed %v", c.a, c.call, c.name, g, c.index, c.high, c.bits, c.signed)
		}
	}
}

func TestArgLists(t *testing.T) {
	for _, c := range []struct {
		a    Arch
		call string
		want int
	}{{X86_64, "getpid", 0}, {X86, "mmap", 1}, {S390X, "mmap", 1}, {SH, "mmap", 6}, {X86_64, "mmap", 6}, {MIPS, "pipe", 0}, {X86, "pipe", 1},
		{MIPS, "fadvise64", 3}, {X86, "select", 1}, {S390X, "select", 5}} {
		if args, ok := c.a.Args(c.call); !ok || len(args) != c.want {
			t.Errorf("%v %s: %v, %v; want %d arguments", c.a, c.call, args, ok, c.want)
		}
	}
	for _, call := range []string{"", "nonsense", "afs_syscall", "#", "zzz"} {
		if args, ok := X86_64.Args(call); ok {
			t.Errorf("%q: %v", call, args)
		}
	}
	if args, ok := PPC.Args("select"); ok {
		t.Errorf("ppc select means two things, but is %v", args)
	}
}

// Every call has arguments, but those that are gone and a few that are nobody's business; and no two share a register
// or a name.
func TestArgsOfAllCalls(t *testing.T) {
	obsolete, _ := Group("@obsolete", Version{})
	unknown := append(obsolete, "select", "sync_file_range")
	for _, a := range Archs() {
		for _, call := range a.Calls() {
			args, ok := a.Args(call)
			if !ok && !slices.Contains(unknown, call) {
				t.Errorf("%v %s: arguments aren't known", a, call)
			}
			used, names := map[int]bool{}, map[string]bool{}
			for _, g := range args {
				for _, r := range []int{g.Index, g.High} {
					if r == -1 {
						continue
					}
					if r < 0 || r > 5 || used[r] {
						t.Errorf("%v %s: register %d of %+v", a, call, r, args)
					}
					used[r] = true
				}
				if (g.High >= 0) != (g.Bits > a.Bits()) || g.Type == "" || g.Pointer && g.Signed {
					t.Errorf("%v %s: %+v", a, call, g)
				}
				for _, name := range append([]string{g.Name}, g.Aliases...) {
					if names[name] || name == "" {
						t.Errorf("%v %s: two arguments are called %q", a, call, name)
					}
					names[name] = true
				}
			}
		}
	}
}

func TestConstantName(t *testing.T) {
	for _, c := range []struct {
		a     Arch
		call  string
		arg   int
		value uint64
		want  string
	}{
		{X86_64, "socket", 0, 2, "AF_INET"},
		{X86_64, "socket", 0, 1, "AF_UNIX"},
		{X86_64, "socket", 1, 0x80801, "SOCK_STREAM|SOCK_CLOEXEC|SOCK_NONBLOCK"},
		{MIPS, "socket", 1, 1, "SOCK_DGRAM"},
		{X86_64, "socket", 0, 9999, ""},
		{X86_64, "openat", 0, 0xffffff9c, "AT_FDCWD"},
		{X86_64, "openat", 0, 0xffffffffffffff9c, "AT_FDCWD"},
		{X86_64, "openat", 2, 0, "O_RDONLY"},
		{X86_64, "openat", 2, 0x80241, "O_WRONLY|O_CLOEXEC|O_CREAT|O_TRUNC"},
		{X86_64, "clone", 0, 0x10000100, "CLONE_VM|CLONE_NEWUSER"},
		{X86_64, "clone", 0, 0x11, "SIGCHLD"},
		{S390X, "clone", 1, 0x10000000, "CLONE_NEWUSER"},
		{X86_64, "mmap", 2, 0, "PROT_NONE"},
		{X86_64, "mmap", 2, 5, "PROT_READ|PROT_EXEC"},
		{X86_64, "mmap", 3, 0x22, "MAP_PRIVATE|MAP_ANONYMOUS"},
		{MIPS64, "mmap", 3, 0x802, "MAP_PRIVATE|MAP_ANONYMOUS"},
		{X86_64, "ioctl", 1, 0x5412, "TIOCSTI"},
		{X86_64, "ioctl", 1, 0xae80, "KVM_RUN"},
		{X86_64, "ioctl", 1, 3, ""},
		{X86_64, "prctl", 0, 38, "PR_SET_NO_NEW_PRIVS"},
		{X86_64, "futex", 1, 0x81, "FUTEX_WAKE|FUTEX_PRIVATE_FLAG"},
		{X86_64, "personality", 0, 0xffffffff, ""},
		{X86_64, "kill", 1, 9, "SIGKILL"},
		{X86_64, "kill", 0, 9, ""},
		{X86_64, "write", 2, 9, ""},
		{X86_64, "write", 9, 9, ""},
		{X86_64, "nonsense", 0, 0, ""},
		{X86, "socketcall", 0, 3, "SYS_CONNECT"},
		{X86_64, "statx", 0, 0xffffff9c, "AT_FDCWD"},
		{X86_64, "reboot", 2, 0x4321fedc, "LINUX_REBOOT_CMD_POWER_OFF"},
	} {
		if got := c.a.ConstantName(c.call, c.arg, c.value); got != c.want {
			t.Errorf("%v %s(%d: %#x) = %q, want %q", c.a, c.call, c.arg, c.value, got, c.want)
		}
	}
}
