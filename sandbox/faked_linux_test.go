//go:build linux && (amd64 || arm64)

package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"monban/bpf"
)

// fakeIf makes a filter that pretends the success of a native call if k compares with the low word of an argument.
func fakeIf(nr uint32, arg int, compare uint16, k uint32) bpf.Program {
	return bpf.Program{
		{Code: bpf.LD | bpf.W | bpf.ABS, K: bpf.OffsetNr},
		{Code: bpf.JMP | bpf.JEQ | bpf.K, Jf: 3, K: nr},
		{Code: bpf.LD | bpf.W | bpf.ABS, K: uint32(16 + 8*arg)}, // little-endian
		{Code: bpf.JMP | compare | bpf.K, Jf: 1, K: k},
		{Code: bpf.RET | bpf.K, K: uint32(bpf.Errno)},
		{Code: bpf.RET | bpf.K, K: uint32(bpf.Allow)},
	}
}

// An outer filter that fakes just the calls which matter leaves no program without its gate.
func TestFakedByOuterFilter(t *testing.T) {
	install := fakeIf(unix.SYS_SECCOMP, 2, bpf.JGT, 0)
	traceMe := fakeIf(unix.SYS_PTRACE, 0, bpf.JEQ, unix.PTRACE_TRACEME)
	harmless := gate()
	for _, tt := range []struct {
		name  string
		outer []bpf.Program
		c     Command
		text  string // of the error, "" if the program runs
	}{
		{"seccomp", []bpf.Program{install}, Command{}, "it is not there"},
		{"seccomp, watched", []bpf.Program{install}, Command{Watch: true}, "it is not there"},
		{"seccomp, AllowExec", []bpf.Program{install}, Command{AllowExec: true}, "it is not there"},
		{"seccomp, by a gate", nil, Command{Gates: []bpf.Program{install, gate()}}, "gate 2 of 2"},
		{"seccomp, by a gate, AllowExec", nil, Command{AllowExec: true, Gates: []bpf.Program{install, gate()}}, "gate 2 of 2"},
		{"TRACEME", []bpf.Program{traceMe}, Command{}, "a filter answers in the kernel's place"},
		{"TRACEME, watched", []bpf.Program{traceMe}, Command{Watch: true}, "a filter answers in the kernel's place"},
		{"TRACEME, strict", []bpf.Program{traceMe}, Command{Strict: true}, "a filter answers in the kernel's place"},
		{"nothing", []bpf.Program{harmless}, Command{}, ""},
		{"nothing, watched", []bpf.Program{harmless}, Command{Watch: true}, ""},
		{"nothing, AllowExec", []bpf.Program{harmless}, Command{AllowExec: true}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			marker := filepath.Join(t.TempDir(), "ran")
			p := plan{Command: tt.c, Outer: tt.outer}
			p.Path, p.Args = "touch", []string{"touch", marker}
			if p.Gates == nil && !p.Strict {
				p.Gates = []bpf.Program{gate()}
			}
			o, out := p.run(t)
			_, err := os.Stat(marker)
			if tt.text == "" {
				if o.Err != "" || err != nil {
					t.Errorf("%v, %q, %v", o, out, err)
				}
				return
			}
			if o.Status != 125 || !strings.Contains(o.Err, tt.text) {
				t.Errorf("%v, want %q", o, tt.text)
			}
			if err == nil {
				t.Error("the program ran")
			}
		})
	}
}

// A program that never comes to its main never comes to strict mode, and must not do anything else instead. It has run:
// its end is the result.
func TestStrictWithoutMain(t *testing.T) {
	for _, tt := range []struct {
		how, what string
		signal    syscall.Signal
		code      int
	}{
		{"END", "ended", 0, 7},
		{"FORK", "forked, and was killed", unix.SIGKILL, 0},
		{"EXEC", "executed another program, and was killed", unix.SIGKILL, 0},
		{"THREAD", "made a thread or process, and was killed", unix.SIGKILL, 0},
		{"UNTRACED", "made a thread or process, and was killed", unix.SIGKILL, 0},
		{"CLONE3", "made a thread or process, and was killed", unix.SIGKILL, 0},
		{"UNTRACED32", "made a thread or process, and was killed", unix.SIGKILL, 0},
		{"UNTRACEDX32", "made a thread or process, and was killed", unix.SIGKILL, 0},
	} {
		t.Run(tt.how, func(t *testing.T) {
			if (tt.how == "UNTRACED32" || tt.how == "UNTRACEDX32") && runtime.GOARCH != "amd64" {
				t.Skip("needs amd64")
			}
			path := build(t, "gcc", "nomain", "-D"+tt.how, "-nostartfiles", "-Wl,-e,start", "-pthread")
			for _, c := range []Command{{Strict: true}, {Strict: true, Watch: true}, {Loader: []bpf.Program{gate()}, Gates: []bpf.Program{gate()}}} {
				c.Path = path
				p := plan{Command: c}
				o, out := p.run(t)
				if o.Err != "" || o.Result.BeforeMain != tt.what || o.Result.Signal != tt.signal || o.Result.ExitCode != tt.code || out != "" {
					t.Errorf("%v, %q", o, out)
				}
			}
			// What a filter keeps from us opens no way.
			const getSyscallInfo = 0x420e
			for name, outer := range map[string]bpf.Program{
				"PTRACE_SETOPTIONS":       fakeIf(unix.SYS_PTRACE, 3, bpf.JEQ, 0x10001f),
				"PTRACE_SYSCALL":          fakeIf(unix.SYS_PTRACE, 0, bpf.JEQ, unix.PTRACE_SYSCALL),
				"PTRACE_GET_SYSCALL_INFO": fakeIf(unix.SYS_PTRACE, 0, bpf.JEQ, getSyscallInfo),
				"PTRACE_GETEVENTMSG":      fakeIf(unix.SYS_PTRACE, 0, bpf.JEQ, unix.PTRACE_GETEVENTMSG),
				"PTRACE_CONT":             fakeIf(unix.SYS_PTRACE, 0, bpf.JEQ, unix.PTRACE_CONT),
			} {
				p := plan{Command: Command{Strict: true, Path: path}, Outer: []bpf.Program{outer}}
				o, out := p.run(t)
				if out != "" || o.Err == "" && o.Result.BeforeMain != tt.what || o.Err != "" && o.Status != 125 {
					t.Errorf("%s: %v, %q", name, o, out)
				}
			}
		})
	}
}

// Without /proc nobody can say that only one thread comes to main.
func TestUncountedThreads(t *testing.T) {
	noFile := gate(answer{nativeArch, unix.SYS_OPENAT, bpf.Errno | bpf.Action(unix.ENOENT)})
	p := plan{Command: Command{Path: build(t, "gcc", "strict"), Strict: true}, OuterAt: "way to main", Outer: []bpf.Program{noFile}}
	if o, out := p.run(t); o.Status != 125 || !strings.Contains(o.Err, "how many threads") || out != "" {
		t.Errorf("%v, %q", o, out)
	}
}

// The loader's gate binds before main, the others from main on.
func TestLoaderGate(t *testing.T) {
	path := build(t, "gcc", "ctor")
	deny := func(nr uint32) []bpf.Program { return []bpf.Program{gate(answer{nativeArch, nr, bpf.Errno | 42})} }
	for _, tt := range []struct {
		c    Command
		want string
	}{
		{Command{Gates: deny(unix.SYS_GETPPID)}, "constructor 42\nmain 42\n"},
		{Command{Loader: deny(unix.SYS_GETSID), Gates: deny(unix.SYS_GETPPID)}, "constructor 0\nmain 42\n"},
		{Command{Loader: deny(unix.SYS_GETPPID), Gates: deny(unix.SYS_GETSID)}, "constructor 42\nmain 42\n"},
	} {
		for _, watch := range []bool{false, true} {
			tt.c.Path, tt.c.Watch = path, watch
			p := plan{Command: tt.c}
			if o, out := p.run(t); o.Err != "" || o.Result.ExitCode != 0 || out != tt.want {
				t.Errorf("%v, %q, want %q", o, out, tt.want)
			}
		}
	}
}

// With AllowExec, whatever the program does first and whatever an outer filter says about process groups and
// descriptors, its exec is seen, and so is that it failed.
func TestSeesExec(t *testing.T) {
	path := build(t, "gcc", "session", "-static")
	outer := map[string][]bpf.Program{"nothing": nil}
	for name, nr := range map[string]uint32{"setpgid": unix.SYS_SETPGID, "getpgid": unix.SYS_GETPGID, "close": unix.SYS_CLOSE,
		"pipe2": unix.SYS_PIPE2} {
		for _, errno := range []syscall.Errno{0, unix.EPERM, unix.EACCES} {
			outer[fmt.Sprintf("%s %d", name, errno)] = []bpf.Program{gate(answer{nativeArch, nr, bpf.Errno | bpf.Action(errno)})}
		}
	}
	for name, outer := range outer {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := Command{Path: path, AllowExec: true, Gates: []bpf.Program{gate()}}
			p := plan{Command: c, Outer: outer}
			if o, out := p.run(t); o.Err != "" || o.Result.ExitCode != 7 || out != "ran\n" {
				t.Errorf("%v, %q", o, out)
			}
			p.Path = "/no/such/file"
			if o, out := p.run(t); o.Status != 127 || !strings.Contains(o.Err, "no such file") || out != "" {
				t.Errorf("%v, %q", o, out)
			}
		})
	}
}

// Where a filter pretends that every thread of this process has children none is taken.
func TestNoThreadWillDo(t *testing.T) {
	p := plan{Command: Command{Path: "true", Gates: []bpf.Program{gate()}}, Outer: []bpf.Program{gate(answer{nativeArch, unix.SYS_WAITID, bpf.Errno})}}
	if o, _ := p.run(t); o.Status != 125 || !strings.Contains(o.Err, "waitid(2)") {
		t.Errorf("%v", o)
	}
}

// With AllowExec a gate that kills execve is named, and a program that runs to its end is not said not to have been
// started, also where a filter answers what a parent could ask.
func TestMisreported(t *testing.T) {
	path := build(t, "gcc", "gated", "-static")
	deny := gate(answer{nativeArch, unix.SYS_GETPRIORITY, bpf.Errno | 42})
	for _, outer := range []answer{
		{nativeArch, unix.SYS_SETPGID, bpf.Errno}, {nativeArch, unix.SYS_SETPGID, bpf.Errno | bpf.Action(unix.EACCES)},
		{nativeArch, unix.SYS_WAIT4, bpf.Errno}, {nativeArch, unix.SYS_WAIT4, bpf.Errno | bpf.Action(unix.ECHILD)},
	} {
		marker := filepath.Join(t.TempDir(), "word")
		c := Command{Path: path, Args: []string{"gated", marker}, AllowExec: true, Gates: []bpf.Program{deny}}
		p := plan{Command: c, Outer: []bpf.Program{gate(outer)}}
		o, _ := p.run(t)
		if word, err := os.ReadFile(marker); err == nil && (o.Status == 125 || string(word) != "gated" && o.Status != 137) {
			t.Errorf("call %d: %v, and the program ran and wrote %q", outer.nr, o, word)
		}
		p.Gates = []bpf.Program{gate(answer{nativeArch, unix.SYS_EXECVE, bpf.KillProcess})}
		if o, _ := p.run(t); o.Status != 125 || outer.nr == unix.SYS_SETPGID && !strings.Contains(o.Err, "must allow execve") {
			t.Errorf("call %d, execve killed: %v", outer.nr, o)
		}
	}
}

// A call that a gate for the loader kills before main is named.
func TestKilledBeforeMain(t *testing.T) {
	path := build(t, "gcc", "ctor")
	for action, trap := range map[bpf.Action]bool{bpf.KillProcess: false, bpf.KillThread: false, bpf.Trap: true} {
		c := Command{Path: path, Loader: []bpf.Program{gate(answer{nativeArch, unix.SYS_GETPPID, action})}, Gates: []bpf.Program{gate()}, Watch: true}
		p := plan{Command: c}
		o, out := p.run(t)
		if o.Err != "" || o.Result.BeforeMain != "ended" || o.Result.Signal != unix.SIGSYS || out != "" ||
			len(o.Result.Killed) != 1 || o.Result.Killed[0].Data.Nr != unix.SYS_GETPPID || o.Result.Killed[0].Trap != trap {
			t.Errorf("%v: %v, %q", action, o, out)
		}
	}
}

// A filter that denies what a start looks at is named at once.
func TestNamesDenied(t *testing.T) {
	denied := fakeIf(unix.SYS_PTRACE, 0, bpf.JEQ, unix.PTRACE_GETSIGINFO)
	denied[len(denied)-2].K = uint32(bpf.Errno | bpf.Action(unix.EPERM))
	p := plan{Command: Command{Path: "true", Gates: []bpf.Program{gate()}}, Outer: []bpf.Program{denied}}
	if o, _ := p.run(t); o.Status != 125 || !strings.Contains(o.Err, "PTRACE_GETSIGINFO") {
		t.Errorf("%v", o)
	}
}
