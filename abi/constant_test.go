package abi

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestConstants(t *testing.T) {
	for _, c := range []struct {
		a    Arch
		name string
		want uint64
	}{
		{X86_64, "AF_INET", 2}, {SH, "AF_INET6", 10}, {X86_64, "AT_FDCWD", 0xffffffffffffff9c}, {PARISC, "AT_FDCWD", 0xffffffffffffff9c},
		{X86_64, "CLONE_NEWUSER", 0x10000000}, {X86_64, "TIOCSTI", 0x5412}, {MIPS, "TIOCSTI", 0x5472}, {PPC64LE, "TIOCSTI", 0x5412},
		{MIPS, "SOCK_STREAM", 2}, {M68K, "SOCK_STREAM", 1}, {PARISC, "SOCK_NONBLOCK", 0x40000000}, {PARISC, "MAP_ANONYMOUS", 0x10},
		{X86_64, "O_LARGEFILE", 0x8000}, {ARM, "O_LARGEFILE", 0x20000}, {X86, "F_GETLK", 5}, {X86, "F_GETLK64", 12}, {MIPS, "F_GETLK", 14},
		{X86_64, "FUTEX_WAIT_PRIVATE", 0x80}, {X86_64, "UNAME26", 0x20000}, {AArch64, "ADDR_NO_RANDOMIZE", 0x40000},
		{X86_64, "PER_LINUX32", 8}, {X86_64, "ARCH_SET_FS", 0x1002}, {X86_64, "CLONE_INTO_CGROUP", 0x200000000}, {X86_64, "SIGRTMIN", 32},
		{X86_64, "SEEK_END", 2}, {X86_64, "STDERR_FILENO", 2}, {X86_64, "MEMBARRIER_CMD_PRIVATE_EXPEDITED", 8}, {X86_64, "IPC_CREAT", 0x200},
		{X86_64, "SHM_HUGETLB", 0x800}, {X86_64, "KVM_RUN", 0xae80}, {X86_64, "FS_IOC_GETFLAGS", 0x80086601},
		{X86, "FS_IOC_GETFLAGS", 0x80046601},
		{S390, "FS_IOC_GETFLAGS", 0x80046601}, {MIPS64N32, "FS_IOC_GETFLAGS", 0x40046601},
		{X86_64, "EPERM", 1}, {MIPS, "ENOSYS", 89}, {PARISC64, "ENOSYS", 251}, {X86_64, "EWOULDBLOCK", 11}, {PARISC, "SIGUSR1", 16},
		{X86_64, "LINUX_REBOOT_CMD_RESTART", 0x1234567},
	} {
		if v, ok := c.a.Constant(c.name); !ok || v != c.want {
			t.Errorf("%v %s = %#x, %v; want %#x", c.a, c.name, v, ok, c.want)
		}
	}
	for _, c := range []struct {
		a    Arch
		name string
	}{{X86_64, "AF_INTE"}, {X86_64, ""}, {X86_64, "#"}, {X86_64, "ZZZ"}, {X86_64, "A"}, {AArch64, "ARCH_SET_FS"}, {X86_64, "F_GETLK64"},
		{M68K, "KVM_RUN"}, {PARISC, "ENOTSUP"}} {
		if v, ok := c.a.Constant(c.name); ok {
			t.Errorf("%v %q = %#x", c.a, c.name, v)
		}
	}
}

// Each name can be found by itself, and nothing in the table is unreadable.
func TestEveryConstant(t *testing.T) {
	names := slices.Collect(Constants())
	if len(names) < 4000 || !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Fatalf("%d names, sorted %v", len(names), slices.IsSorted(names))
	}
	for _, name := range names {
		known := 0
		for _, a := range Archs() {
			if _, ok := a.Constant(name); ok {
				known++
			}
		}
		if known == 0 {
			t.Errorf("no architecture knows %s", name)
		}
	}
}

func TestErrnos(t *testing.T) {
	for _, c := range []struct {
		a    Arch
		name string
		n    uint16
	}{
		{X86_64, "EPERM", 1}, {X86_64, "ENOSYS", 38}, {MIPS, "ENOSYS", 89}, {MIPSEL64N32, "ENOSYS", 89}, {PARISC, "ENOSYS", 251},
		{M68K, "EAFNOSUPPORT", 97}, {X86_64, "EAGAIN", 11}, {X86_64, "EDEADLK", 35}, {PPC, "EDEADLOCK", 58}, {X86_64, "EOPNOTSUPP", 95},
		{S390, "EKEYREJECTED", 129}, {MIPS, "EDQUOT", 1133},
	} {
		if n, ok := c.a.Errno(c.name); !ok || n != c.n {
			t.Errorf("%v %s = %d, %v; want %d", c.a, c.name, n, ok, c.n)
		}
		if name, ok := c.a.ErrnoName(c.n); !ok || name != c.name {
			t.Errorf("%v %d is %s, %v; want %s", c.a, c.n, name, ok, c.name)
		}
	}
	for _, a := range Archs() {
		for n := range uint16(133) {
			name, ok := a.ErrnoName(n)
			if !ok {
				continue
			}
			if back, ok := a.Errno(name); !ok || back != n {
				t.Errorf("%v: %d is %s, which is %d, %v", a, n, name, back, ok)
			}
		}
		if n, ok := a.Errno("EWOULDBLOCK"); ok && a != PARISC {
			if name, _ := a.ErrnoName(n); name != "EAGAIN" {
				t.Errorf("%v: EWOULDBLOCK's number is called %s", a, name)
			}
		}
	}
	if n, ok := X86_64.Errno("EWHAT"); ok {
		t.Errorf("EWHAT is %d", n)
	}
	if name, ok := X86_64.ErrnoName(0); ok {
		t.Errorf("error 0 is %s", name)
	}
}

// The C compiler is the judge for this machine, and for its 32-bit half where the headers are there.
func TestConstantsOfC(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs Linux's C headers")
	}
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("needs gcc")
	}
	names := strings.Fields(`AF_INET AF_UNIX AF_NETLINK AF_VSOCK SOCK_STREAM SOCK_CLOEXEC SOCK_NONBLOCK O_CREAT O_CLOEXEC O_TMPFILE O_DIRECTORY
		AT_FDCWD AT_EMPTY_PATH CLONE_NEWUSER CLONE_THREAD PROT_EXEC MAP_ANONYMOUS MAP_STACK MADV_DONTNEED PR_SET_NO_NEW_PRIVS PR_SET_SECCOMP
		TIOCSTI TIOCGWINSZ TCGETS FIONREAD FIOCLEX F_SETFL F_DUPFD_CLOEXEC F_ADD_SEALS SIGCHLD SIGSYS SIGSTKFLT ENOSYS EPERM EAFNOSUPPORT
		EHWPOISON IPPROTO_TCP IPPROTO_ICMPV6 NETLINK_ROUTE SO_REUSEADDR SO_PEERCRED SOL_SOCKET BPF_PROG_LOAD KEYCTL_READ PTRACE_SEIZE
		PTRACE_SECCOMP_GET_FILTER MS_BIND MS_REC FUTEX_WAIT FUTEX_PRIVATE_FLAG PER_LINUX32 ADDR_NO_RANDOMIZE UNAME26 IPC_CREAT IPC_RMID
		SHM_HUGETLB CLOCK_MONOTONIC CLOCK_BOOTTIME SEEK_DATA STDERR_FILENO RLIMIT_NOFILE WNOHANG MFD_CLOEXEC GRND_NONBLOCK EFD_CLOEXEC
		SECCOMP_SET_MODE_FILTER SECCOMP_FILTER_FLAG_TSYNC FS_IOC_GETFLAGS KVM_RUN TUNSETIFF SIOCGIFCONF LOCK_EX PRIO_USER R_OK`)
	headers := strings.Fields(`errno.h fcntl.h sched.h signal.h sys/epoll.h sys/eventfd.h sys/file.h sys/ioctl.h sys/ipc.h sys/mman.h
		sys/mount.h sys/personality.h sys/prctl.h sys/ptrace.h sys/random.h sys/resource.h sys/shm.h sys/socket.h sys/time.h sys/wait.h time.h
		unistd.h netinet/in.h linux/bpf.h linux/fs.h linux/futex.h linux/if_tun.h linux/keyctl.h linux/kvm.h linux/netlink.h linux/ptrace.h
		linux/seccomp.h linux/sockios.h linux/vm_sockets.h`)
	var src strings.Builder
	src.WriteString("#define _GNU_SOURCE\n#include <stdio.h>\n")
	for _, h := range headers {
		fmt.Fprintf(&src, "#include <%s>\n", h)
	}
	src.WriteString("int main(void) {\n")
	for _, name := range names {
		fmt.Fprintf(&src, "\tprintf(\"%s %%lld\\n\", (long long)(%s));\n", name, name)
	}
	src.WriteString("}\n")
	dir := t.TempDir()
	file := filepath.Join(dir, "constants.c")
	if err := os.WriteFile(file, []byte(src.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	judge := func(a Arch, flags ...string) func(*testing.T) {
		return func(t *testing.T) {
			prog := filepath.Join(t.TempDir(), "constants")
			if out, err := exec.Command(gcc, append(flags, "-w", "-o", prog, file)...).CombinedOutput(); err != nil {
				if len(flags) > 0 {
					t.Skipf("needs gcc-multilib: %v", err)
				}
				t.Fatalf("%v\n%s", err, out)
			}
			out, err := exec.Command(prog).Output()
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			if len(lines) != len(names) {
				t.Fatalf("%d lines for %d names", len(lines), len(names))
			}
			for _, line := range lines {
				name, text, _ := strings.Cut(line, " ")
				want, err := strconv.ParseInt(text, 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				if v, ok := a.Constant(name); !ok || v != uint64(want) {
					t.Errorf("%v %s = %#x, %v; gcc has %#x", a, name, v, ok, uint64(want))
				}
			}
		}
	}
	if Native() != X86 { // where the compiler's own is x86_64
		t.Run("native", judge(Native()))
	}
	if Native() == X86_64 || Native() == X86 {
		t.Run("x86", judge(X86, "-m32"))
	}
}

// Another project's table of the same names, made by its own means, agrees.
func TestConstantsOfMinijail(t *testing.T) {
	corpus := os.Getenv("MONBAN_CORPUS")
	if corpus == "" {
		t.Skip("MONBAN_CORPUS is unset: no constants of another project to compare with")
	}
	text, err := os.ReadFile(filepath.Join(corpus, "minijail", "x86_64", "constants.json"))
	if err != nil {
		t.Fatal(err)
	}
	var theirs struct{ Constants map[string]json.Number }
	if err := json.Unmarshal(text, &theirs); err != nil {
		t.Fatal(err)
	}
	// The first grows with the kernel.
	newer := []string{"MOVE_MOUNT__MASK"}
	same := 0
	for name, number := range theirs.Constants {
		want, err := strconv.ParseInt(number.String(), 10, 64)
		if err != nil {
			u, err := strconv.ParseUint(number.String(), 10, 64)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			want = int64(u)
		}
		v, ok := X86_64.Constant(name)
		switch {
		case !ok || slices.Contains(newer, name):
		case uint32(v) != uint32(want): // theirs are of 32 bits where C's are int
			t.Errorf("%s = %#x; minijail has %#x", name, v, want)
		default:
			same++
		}
	}
	if same < 1000 {
		t.Errorf("only %d of %d names are known", same, len(theirs.Constants))
	}
	t.Logf("%d names agree", same)
}
