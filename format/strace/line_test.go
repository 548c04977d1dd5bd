package strace

import (
	"slices"
	"strings"
	"testing"

	"monban/abi"
	"monban/format/codec"
)

// A line is taken apart at the commas that part arguments.
func TestCall(t *testing.T) {
	for line, want := range map[string][]string{ // the name and the arguments; nil: it is not a call
		`openat(AT_FDCWD, "/etc/ld.so.cache", O_RDONLY|O_CLOEXEC) = 3`: {"openat", "AT_FDCWD", `"/etc/ld.so.cache"`, "O_RDONLY|O_CLOEXEC"},
		`getpid() = 7`: {"getpid"},
		`[pid 12] 10:11:12.345678 close(3</a b>) = 0`: {"close", "3</a b>"},
		`12 close(3) = 0`:                                  {"close", "3"},
		`write(1, "a\", b)", 5) = 5`:                       {"write", "1", `"a\", b)"`, "5"},
		`poll([{fd=3, events=POLLIN}, {fd=4}], 2, -1) = 1`: {"poll", "[{fd=3, events=POLLIN}, {fd=4}]", "2", "-1"},
		`connect(3, {sa_family=AF_INET, sin_addr=inet_addr("1.2.3.4")}, 16) = 0`: {"connect", "3", `{sa_family=AF_INET, sin_addr=inet_addr("1.2.3.4")}`, "16"},
		`read(0,  <unfinished ...>`:                           {"read", "0"},
		`read(0, "\\", 1) = 1`:                                {"read", "0", `"\\"`, "1"},
		`ioctl(0, _IOC(_IOC_READ, 0x54, 0x1, 0), 0x7ffc) = 0`: {"ioctl", "0", "_IOC(_IOC_READ, 0x54, 0x1, 0)", "0x7ffc"},
		`read(0, "abc`:                                        nil,
		`read(0, (`:                                           nil,
		`<... read resumed>"x", 1) = 1`:                       nil,
		`--- SIGCHLD {si_signo=SIGCHLD} ---`:                  nil,
		`+++ exited with 0 +++`:                               nil,
		`strace: Process 12 attached`:                         nil,
		`(3) = 0`:                                             nil,
		`3read(0) = 0`:                                        nil,
		``:                                                    nil,
	} {
		name, args, ok := Call(line)
		if ok != (want != nil) {
			t.Errorf("%s is a call: %v", line, ok)
		}
		if ok && !slices.Equal(append([]string{name}, args...), want) {
			t.Errorf("%s: %s %q, want %q", line, name, args, want)
		}
	}
}

func TestIsLine(t *testing.T) {
	for line, want := range map[string]bool{
		"close(3) = 0": true, "close(3)                = -1 EBADF (Bad file descriptor)": true, "1 read(0,  <unfinished ...>": true,
		"<... read resumed>\"x\", 1) = 1": true, "--- SIGCHLD {si_signo=SIGCHLD} ---": true, "+++ exited with 0 +++": true,
		"strace: Process 12 attached": true, "[ Process PID=7 runs in 32 bit mode. ]": true,
		"": false, "hello": false, "close(3)": false, "x = 3": false, "--- x": false, "a <unfinished ...": false, ") = 0": false,
	} {
		if got := IsLine(line); got != want {
			t.Errorf("%q is strace's: %v", line, got)
		}
	}
}

// A program of another architecture says so where it begins; its calls are counted there.
func TestModes(t *testing.T) {
	for _, c := range []struct {
		native abi.Arch
		mode   string
		call   string
		want   abi.Arch
	}{
		{abi.X86_64, "32 bit", "mmap2", abi.X86}, {abi.X86_64, "x32", "read", abi.X32}, {abi.X86_64, "64 bit", "read", abi.X86_64},
		{abi.AArch64, "32 bit", "mmap2", abi.ARM}, {abi.AArch64, "64 bit", "read", abi.AArch64},
	} {
		src := "[ Process PID=7 runs in " + c.mode + " mode. ]\n" + c.call + "(0) = 0\n"
		g, err := Format().Read(&codec.Input{Name: "t.strace", Src: []byte(src), Options: codec.Options{Native: c.native}})
		if err != nil || !slices.Equal(g.Policy.Archs, []abi.Arch{c.want}) {
			t.Errorf("%s on %s: %+v, %v", c.mode, c.native, g, err)
		}
	}
	for _, c := range []struct {
		native abi.Arch
		mode   string
	}{{abi.S390X, "32 bit"}, {abi.AArch64, "x32"}} {
		src := "[ Process PID=7 runs in " + c.mode + " mode. ]\nread(0) = 0\n"
		if _, err := Format().Read(&codec.Input{Name: "t.strace", Src: []byte(src), Options: codec.Options{Native: c.native}}); err == nil ||
			!strings.HasPrefix(err.Error(), "t.strace:1:1: a program in "+c.mode+" mode") {
			t.Errorf("%s on %s: %v", c.mode, c.native, err)
		}
	}
	// Named by the caller, whatever the machine is.
	g, err := Format().Read(&codec.Input{Name: "t.strace", Src: []byte("mmap2(0) = 0\n"), Options: codec.Options{Native: abi.X86_64, Archs: []abi.Arch{abi.X86}}})
	if err != nil || !slices.Equal(g.Policy.Archs, []abi.Arch{abi.X86}) {
		t.Errorf("%+v, %v", g, err)
	}
}
