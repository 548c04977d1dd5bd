package strace_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"monban/abi"
	"monban/format/codec"
	"monban/format/strace"
	"monban/gate"
)

func read(text string) (*gate.Gate, error) {
	return strace.Format().Read(&codec.Input{Name: "t.strace", Src: []byte(text), Options: codec.Options{Native: abi.X86_64}})
}

const trace = `1234  execve("/bin/true", ["true"], 0x7ffd /* 3 vars */) = 0
[pid 12] 12:00:01.123456 openat(AT_FDCWD, "a\nb) = 3", O_RDONLY) = 3</etc/x> <0.000010>
1234  read(3, "\177ELF", 832) = 832
1234  wait4(-1,  <unfinished ...>
1235  1700000000.000001 --- SIGCHLD {si_signo=SIGCHLD} ---
1234  <... wait4 resumed>NULL, 0, NULL) = 1235
     0.000012 close(3) = 0
strace: Process 1236 attached
strace: [ Process PID=1236 runs in 32 bit mode. ]
1236  mmap2(NULL, 4096, PROT_READ, MAP_PRIVATE, 3, 0) = 0xf7f00000
strace: [ Process PID=1236 runs in 64 bit mode. ]
1234  exit_group(0)                     = ?
1234  +++ exited with 0 +++
`

func calls(p *gate.Gate, a abi.Arch) (all []string) {
	for _, r := range p.Policy.Rules {
		if r.Archs == nil || slices.Contains(r.Archs, a) {
			all = append(all, r.Call)
		}
	}
	return all
}

func TestRead(t *testing.T) {
	p, err := read(trace)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := calls(p, abi.X86_64), strings.Fields("execve openat read wait4 close exit_group"); !slices.Equal(got, want) {
		t.Errorf("x86_64: %v, want %v", got, want)
	}
	if got := calls(p, abi.X86); !slices.Equal(got, []string{"mmap2"}) {
		t.Errorf("x86: %v", got)
	}
	const table = `% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.000300          30        10         2 openat
 40.00    0.000200          20        10           read
------ ----------- ----------- --------- --------- ----------------
100.00    0.000500          25        20         2 total
`
	if p, err = read(table); err != nil {
		t.Fatal(err)
	}
	if got := calls(p, abi.X86_64); !slices.Equal(got, []string{"openat", "read"}) {
		t.Errorf("table: %v", got)
	}
	for _, text := range []string{trace, table, "+++ x"} {
		if strace.Format().Sniff([]byte(text)) != (text != "+++ x") {
			t.Errorf("recognised wrongly: %.20q", text)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"\n", "t.strace: no call is in this trace (strace -f -o FILE COMMAND writes one)"},
		{"read(0) = 0\nhello", "t.strace:2:1: this is not a line of strace's (a call is  name(arguments) = result)"},
		{"1 raed(0) = 0", "t.strace:1:3: x86_64 has no system call raed (did you mean read?)"},
		{"mmap2(0) = 0", "t.strace:1:1: x86_64 has no system call mmap2 (is the trace from another architecture?)"},
		{"syscall_0x1ff(0) = 0", "t.strace:1:1: x86_64 has no system call syscall_0x1ff (strace is older than the call, which no gate can name: remove the line)"},
		{"read(0) = 0\n7 write(1, \"ab", "t.strace:2:15: the line ends within a call (is the trace truncated? remove the line)"},
		{"[ Process PID=7 runs in odd mode. ]", "t.strace:1:1: a program in odd mode: which architecture that is on x86_64 is not known here (trace it alone)"},
		{"% time     seconds  usecs/call     calls    errors syscall\nx", "t.strace:2:1: this is not a row of strace -c (percent, seconds, usecs/call, calls, errors, syscall)"},
	} {
		if _, err := read(c.text); err == nil || err.Error() != c.want {
			t.Errorf("%q:\n got  %v\n want %s", c.text, err, c.want)
		}
	}
}

// TestReal reads what strace writes.
func TestReal(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs Linux")
	}
	path, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("needs strace")
	}
	for _, flags := range []string{"-f", "-f -tt", "-f -T -y", "-r", "-f -i", "-f -ttt -yy", "-c"} {
		out := filepath.Join(t.TempDir(), "trace")
		args := append(strings.Fields(flags), "-o", out, "sh", "-c", "ls / | cat >/dev/null; true")
		if said, err := exec.Command(path, args...).CombinedOutput(); err != nil {
			t.Skipf("needs ptrace: %v: %s", err, said)
		}
		src, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		if !strace.Format().Sniff(src) {
			t.Errorf("%s: not recognised: %.80q", flags, src)
		}
		p, err := strace.Format().Read(&codec.Input{Name: "trace", Src: src, Options: codec.Options{Native: abi.Native()}})
		if err != nil {
			t.Errorf("%s: %v", flags, err)
			continue
		}
		for _, want := range []string{"execve", "read", "close"} {
			if !slices.Contains(calls(p, abi.Native()), want) {
				t.Errorf("%s: no %s", flags, want)
			}
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(trace)
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := read(text); err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("more than a line: %v", err)
		}
	})
}
