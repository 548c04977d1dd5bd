package abi

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func TestNumbersBothWays(t *testing.T) {
	for _, a := range Archs() {
		count, last := 0, -1
		for nr, call := range a.Calls() {
			count++
			if int(nr) <= last {
				t.Errorf("%v: %d after %d", a, nr, last)
			}
			last = int(nr)
			if got, ok := a.Number(call); !ok || got != nr {
				t.Errorf("%v: Number(%s) = %d, %v; want %d", a, call, got, ok, nr)
			}
			if got, ok := a.Name(nr); !ok || got != call {
				t.Errorf("%v: Name(%d) = %s, %v; want %s", a, nr, got, ok, call)
			}
			if !Known(call) {
				t.Errorf("%v: %s isn't known", a, call)
			}
			if a == X32 && nr&X32Bit == 0 {
				t.Errorf("x32 %s is %d, without bit 30", call, nr)
			}
		}
		if count < 290 {
			t.Errorf("%v has only %d calls", a, count)
		}
		if name, ok := a.Name(0xfffffff0); ok {
			t.Errorf("%v: %s has number 0xfffffff0", a, name)
		}
	}
}

func TestKnownNumbers(t *testing.T) {
	for _, c := range []struct {
		a    Arch
		call string
		nr   uint32
	}{
		{X86_64, "openat", 257}, {X86_64, "read", 0}, {X86_64, "uretprobe", 335}, {X86_64, "uprobe", 336},
		{X32, "read", 0x40000000}, {X32, "ioctl", X32Bit + 514}, {X86, "socket", 359}, {X86, "shutdown", 373}, {X86, "semget", 393},
		{S390X, "socket", 359}, {S390, "shutdown", 373}, {M68K, "socket", 356}, {PPC, "socket", 326}, {MIPS, "socket", 4183},
		{MIPSEL, "accept", 4168}, {SH, "socket", 340}, {ARM, "set_tls", 0xf0005}, {AArch64, "openat", 56}, {RISCV64, "riscv_hwprobe", 258},
		{LoongArch64, "memfd_secret", 447}, {MIPS64N32, "read", 6000}, {PARISC, "socket", 17},
		{X86_64, "setxattrat", 463}, {AArch64, "removexattrat", 466}, {S390X, "open_tree_attr", 467}, {PPC64LE, "file_getattr", 468},
		{RISCV64, "file_setattr", 469}, {X86_64, "listns", 470},
	} {
		if nr, ok := c.a.Number(c.call); !ok || nr != c.nr {
			t.Errorf("%v %s = %d, %v; want %d", c.a, c.call, nr, ok, c.nr)
		}
	}
	for _, c := range []struct {
		a    Arch
		call string
	}{{X86_64, "socketcall"}, {X86_64, "recv"}, {AArch64, "open"}, {X86, "accept"}, {X86, "semop"}, {X86_64, "nonsense"}} {
		if nr, ok := c.a.Number(c.call); ok {
			t.Errorf("%v %s has number %d", c.a, c.call, nr)
		}
	}
}

// Every number that golang.org/x/sys knows is in the tables, and it knows every number of theirs except ARM's private
// ones and those of kernels that are newer than it is.
func TestNumbersOfUnix(t *testing.T) {
	dir := unixDir(t)
	constant := regexp.MustCompile(`(?m)^\tSYS_(\w+)\s*= (\d+)$`)
	placeholder := regexp.MustCompile(`^(UNUSED|RESERVED)\d+$|^SYSCALL_MASK$|^ARCH_SPECIFIC_SYSCALL$`)
	for _, a := range Archs() {
		goarch := a.GOARCH()
		if a == PPC {
			goarch = "ppc" // gccgo's
		}
		if goarch == "" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, "zsysnum_linux_"+goarch+".go"))
		if err != nil {
			t.Fatal(err)
		}
		theirs, newest := map[string]uint32{}, uint32(0)
		for _, m := range constant.FindAllStringSubmatch(string(text), -1) {
			if placeholder.MatchString(m[1]) {
				continue
			}
			call := strings.ToLower(m[1])
			nr, _ := strconv.ParseUint(m[2], 10, 32)
			theirs[call] = uint32(nr)
			newest = max(newest, uint32(nr))
			if got, ok := a.Number(call); !ok || got != uint32(nr) {
				t.Errorf("%v: %s = %d, %v; x/sys has %d", a, call, got, ok, nr)
			}
		}
		for nr, call := range a.Calls() {
			if _, ok := theirs[call]; !ok && nr <= newest {
				t.Errorf("%v: %s = %d, which x/sys hasn't", a, call, nr)
			}
		}
	}
}

// unixDir finds the source of golang.org/x/sys/unix.
func unixDir(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "golang.org/x/sys").Output()
	if err != nil {
		t.Skipf("needs the go command and the module golang.org/x/sys: %v", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "unix")
}

func TestMux(t *testing.T) {
	for _, c := range []struct {
		a    Arch
		call string
		want Mux
	}{
		{X86, "socket", Mux{"socketcall", 1}}, {X86, "accept", Mux{"socketcall", 5}}, {X86, "recv", Mux{"socketcall", 10}},
		{X86, "shmat", Mux{"ipc", 21}}, {S390X, "sendmmsg", Mux{"socketcall", 20}}, {MIPS, "socket", Mux{"socketcall", 1}},
		{PPC64LE, "semtimedop", Mux{"ipc", 4}},
	} {
		if m, ok := c.a.Mux(c.call); !ok || m != c.want {
			t.Errorf("%v %s: %v, %v", c.a, c.call, m, ok)
		}
		if call, ok := c.a.MuxMember(c.want.Call, c.want.Sub); !ok || call != c.call {
			t.Errorf("%v %v: %s, %v", c.a, c.want, call, ok)
		}
	}
	for _, a := range []Arch{X86_64, X32, ARM, AArch64, RISCV64, LoongArch64, MIPS64, MIPSEL64N32, PARISC} {
		for _, call := range []string{"recv", "send", "socket", "msgget"} {
			if m, ok := a.Mux(call); ok {
				t.Errorf("%v %s: %v", a, call, m)
			}
		}
		if call, ok := a.MuxMember("socketcall", 1); ok {
			t.Errorf("%v: socketcall(1) is %s", a, call)
		}
	}
	if call, ok := X86.MuxMember("socketcall", 21); ok {
		t.Errorf("socketcall(21) is %s", call)
	}
	if _, ok := X86.Mux("read"); ok {
		t.Error("read is multiplexed")
	}
	n := 0
	for sub := range uint32(64) {
		for _, mux := range []string{"socketcall", "ipc"} {
			if _, ok := X86.MuxMember(mux, sub); ok {
				n++
			}
		}
	}
	if n != 32 {
		t.Errorf("%d members, want 20 of socketcall and 12 of ipc", n)
	}
}

func TestSince(t *testing.T) {
	for _, c := range []struct {
		a    Arch
		call string
		want Version
	}{
		{X86, "socket", Version{4, 3, 0}}, {X86_64, "socket", Version{2, 0, 0}}, {S390X, "semget", Version{5, 1, 0}},
		{X86_64, "openat", Version{2, 6, 16}}, {ARM, "migrate_pages", Version{4, 16, 0}}, {AArch64, "clone3", Version{5, 3, 0}},
	} {
		if v, ok := c.a.Since(c.call); !ok || v != c.want {
			t.Errorf("%v %s: %v, %v", c.a, c.call, v, ok)
		}
	}
	for _, call := range []string{"afs_syscall", "nonsense"} {
		if v, ok := Since(call); ok {
			t.Errorf("%s: %v", call, v)
		}
	}
	for _, call := range Calls() {
		if v, ok := Since(call); ok && Newest().Compare(v) < 0 {
			t.Errorf("%s is of %v, newer than %v", call, v, Newest())
		}
	}
	if Newest().Compare(Version{6, 19, 0}) < 0 {
		t.Errorf("newest is %v", Newest())
	}
}

func BenchmarkNumbers(b *testing.B) {
	for b.Loop() {
		if t := readNumbers(X86_64); len(t.ascending) < 300 {
			b.Fatal(len(t.ascending))
		}
	}
}

func BenchmarkSince(b *testing.B) {
	for b.Loop() {
		if _, ok := Since("openat2"); !ok {
			b.Fatal("openat2 isn't known")
		}
	}
}

func BenchmarkConstant(b *testing.B) {
	for b.Loop() {
		if _, ok := X86_64.Constant("CLONE_NEWUSER"); !ok {
			b.Fatal("CLONE_NEWUSER isn't known")
		}
	}
}

func BenchmarkArgs(b *testing.B) {
	for b.Loop() {
		if _, ok := X86_64.Args("openat"); !ok {
			b.Fatal("openat isn't known")
		}
	}
}
