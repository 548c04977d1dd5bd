//go:build linux && (amd64 || arm64)

package sandbox

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"monban/bpf"
	"monban/seccomp"
)

func TestStrict(t *testing.T) {
	for _, tt := range []struct {
		name   string
		source string
		flags  []string
		args   []string
		signal syscall.Signal
		nr     int64 // of the killed call, -1 for whatever it is
		out    string
	}{
		{name: "PIE", source: "strict", out: "sum 55\n"},
		{name: "no PIE", source: "strict", flags: []string{"-no-pie"}, out: "sum 55\n"},
		{name: "i386", source: "strict", flags: []string{"-m32"}, out: "sum 55\n"},
		{name: "returns from main", source: "strict", args: []string{"x", "y"}, signal: unix.SIGKILL, nr: unix.SYS_EXIT_GROUP, out: "sum 55\n"},
		{name: "i386 returns from main", source: "strict", flags: []string{"-m32"}, args: []string{"x", "y"}, signal: unix.SIGKILL, nr: 252, out: "sum 55\n"},
		{name: "stripped", source: "strict", flags: []string{"-s"}, out: "sum 55\n"}, // glibc makes no call between entry and main
		{name: "static", source: "strict", flags: []string{"-static"}, signal: unix.SIGKILL, nr: -1},
		{name: "static, no libc", source: "nolibc", flags: []string{"-static", "-nostdlib"}, out: "first\n"},
		{name: "static i386, no libc", source: "nolibc", flags: []string{"-static", "-nostdlib", "-m32"}, out: "first\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := build(t, "gcc", tt.source, tt.flags...)
			for _, uid := range uids() {
				for _, watch := range []bool{false, true} {
					p := plan{UID: uid, Command: Command{Path: path, Args: tt.args, Strict: true, Watch: watch}}
					o, out := p.run(t)
					if o.Err != "" || o.Result.Signal != tt.signal || o.Result.ExitCode != 0 || out != tt.out {
						t.Fatalf("uid %d, watch %v: %v, output %q", uid, watch, o, out)
					}
					if !watch || tt.signal == 0 {
						if len(o.Result.Killed) != 0 {
							t.Errorf("killed: %v", o)
						}
						continue
					}
					if len(o.Result.Killed) != 1 || !o.Result.Killed[0].Strict ||
						tt.nr >= 0 && int64(o.Result.Killed[0].Data.Nr) != tt.nr {
						t.Errorf("killed: %v", o)
					}
				}
			}
		})
	}
}

// no_new_privs takes the effect from a set-user-id file.
func TestSetUserID(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	path := build(t, "gcc", "call", "-pthread", "-DSUID") // a copy of its own
	if err := os.Chmod(path, os.ModeSetuid|0o755); err != nil {
		t.Fatal(err)
	}
	args := []string{"call", "main", strconv.Itoa(unix.SYS_GETEUID)}
	bare := exec.Command(path, args[1:]...)
	bare.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := bare.Output(); err != nil || string(out) != "0 errno 0\n" {
		t.Skipf("needs a file system with set-user-id: %q, %v", out, err)
	}
	for _, c := range []Command{{Watch: true}, {}, {AllowExec: true}} {
		c.Path, c.Args, c.Gates = path, args, []bpf.Program{gate()}
		p := plan{Command: c, UID: 65534}
		if o, out := p.run(t); o.Err != "" || out != "65534 errno 0\n" {
			t.Errorf("allow exec %v: %v, effective user id %q", c.AllowExec, o, out)
		}
	}
}

func TestErrors(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	allow := []bpf.Program{gate()}
	bad := bpf.Program{{Code: bpf.RET | bpf.X}}
	noSeccomp := func(a bpf.Action) bpf.Program { return gate(answer{nativeArch, unix.SYS_SECCOMP, a}) }
	noExec := gate(answer{nativeArch, unix.SYS_EXECVE, bpf.KillProcess})
	invalid := []string{"no gate", "strict and gates", "empty gate", "long gate", "listener"}
	noExecErrno := gate(answer{nativeArch, unix.SYS_EXECVE, bpf.Errno | 1})
	for _, tt := range []struct {
		name   string
		c      Command
		status int
		text   string
	}{
		{"no such name", Command{Path: "no-such-command", Gates: allow}, 127, "no-such-command: command not found in PATH"},
		{"no such file", Command{Path: "/no/such/file", Gates: allow}, 127, "/no/such/file: no such file"},
		{"empty", Command{Gates: allow}, 127, "no command given"},
		{"not executable", Command{Path: file("plain", "x", 0o644), Gates: allow}, 126, "permission denied"},
		{"not executable in PATH", Command{Path: "plain", Env: []string{"PATH=" + dir}, Gates: allow}, 126, "it is not executable"},
		{"directory", Command{Path: dir, Gates: allow}, 126, "is a directory"},
		{"no format", Command{Path: file("text", "just text\n", 0o755), Gates: allow}, 126, "neither a program of this machine nor a script"},
		{"no interpreter", Command{Path: file("lost", "#!/no/such/shell\n", 0o755), Gates: allow}, 126, "interpreter"},
		{"no directory", Command{Path: "true", Dir: "/no/such/dir", Gates: allow}, 125, "working directory: stat /no/such/dir"},
		{"no gate", Command{Path: "true"}, 125, "no gate given"},
		{"strict and gates", Command{Path: "true", Strict: true, Gates: allow}, 125, "exclude each other"},
		{"empty gate", Command{Path: "true", Gates: []bpf.Program{{}}}, 125, "gate 1 has 0 instructions"},
		{"long gate", Command{Path: "true", Gates: []bpf.Program{make(bpf.Program, 4097)}}, 125, "gate 1 has 4097 instructions"},
		{"bad gate", Command{Path: "true", Gates: []bpf.Program{gate(), bad}}, 125, "gate 2 of 2 could not be installed: the kernel does not admit it"},
		{"bad flag", Command{Path: "true", Gates: allow, Flags: 1 << 20}, 125, "0x100000"},
		{"listener", Command{Path: "true", Gates: allow, Flags: seccomp.NewListener}, 125, "NEW_LISTENER"},
		{"first gate kills seccomp", Command{Path: "true", Gates: []bpf.Program{noSeccomp(bpf.KillProcess), gate()}}, 125, "gate 1, or another before it, kills seccomp(2)"},
		{"first gate traps seccomp", Command{Path: "true", Gates: []bpf.Program{noSeccomp(bpf.Trap), gate()}}, 125, "gate 1, or another before it, kills seccomp(2)"},
		{"first gate denies seccomp", Command{Path: "true", Gates: []bpf.Program{noSeccomp(bpf.Errno | 1), gate()}}, 125, "gate 1, or another before it, may deny seccomp(2)"},
		{"first gate pretends", Command{Path: "true", Gates: []bpf.Program{noSeccomp(bpf.Errno), gate()}}, 125, "fakes the answer, or a gate before it does"},
		{"allow exec: first gate pretends", Command{Path: "true", AllowExec: true, Gates: []bpf.Program{noSeccomp(bpf.Errno), gate()}}, 125, "gate 2 of 2 could not be installed"},
		{"allow exec: no such file", Command{Path: "/no/such/file", AllowExec: true, Gates: allow}, 127, "no such file"},
		{"allow exec: not executable", Command{Path: filepath.Join(dir, "plain"), AllowExec: true, Gates: allow}, 126, "permission denied"},
		{"allow exec: execve killed", Command{Path: "true", AllowExec: true, Gates: []bpf.Program{noExec}}, 125, "must allow execve"},
		{"allow exec: execve denied", Command{Path: "true", AllowExec: true, Gates: []bpf.Program{noExecErrno}}, 125, "must allow execve"},
		{"allow exec: thread killed for execve", Command{Path: "true", AllowExec: true,
			Gates: []bpf.Program{gate(answer{nativeArch, unix.SYS_EXECVE, bpf.KillThread})}}, 125, "must allow execve"},
		{"allow exec: neither execve nor an end", Command{Path: "true", AllowExec: true,
			Gates: []bpf.Program{gate(answer{nativeArch, unix.SYS_EXECVE, bpf.Errno | 1}, answer{nativeArch, unix.SYS_EXIT_GROUP, bpf.Errno | 1})}},
			125, "must allow execve"},
		{"allow exec: bad gate", Command{Path: "true", AllowExec: true, Gates: []bpf.Program{bad}}, 125, "does not admit"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, watch := range []bool{false, true} {
				tt.c.Watch = watch
				p := plan{Command: tt.c}
				o, out := p.run(t)
				if o.Result != nil || o.Status != tt.status || !strings.Contains(o.Err, tt.text) || out != "" {
					t.Errorf("%v, output %q", o, out)
				}
				if strings.Contains(o.Err, "\n") {
					t.Errorf("more than a line: %q", o.Err)
				}
				if !o.Typed || slices.Contains(o.Kinds, "invalid") != slices.Contains(invalid, tt.name) {
					t.Errorf("typed %v, kinds %q: %v", o.Typed, o.Kinds, o)
				}
			}
		})
	}
}

// A program that can't be traced is not run.
func TestPtraceRefused(t *testing.T) {
	marker := filepath.Join(t.TempDir(), "ran")
	command := Command{Path: "touch", Args: []string{"touch", marker}, Gates: []bpf.Program{gate()}}
	ptrace := func(a bpf.Action) []bpf.Program {
		return []bpf.Program{gate(answer{nativeArch, unix.SYS_PTRACE, a})}
	}
	for _, tt := range []struct {
		name  string
		outer []bpf.Program
	}{
		{"EPERM", ptrace(bpf.Errno | 1)},
		{"ENOSYS", ptrace(bpf.Errno | 38)},
		{"pretended success", ptrace(bpf.Errno)},
		{"killed", ptrace(bpf.KillProcess)},
		{"trapped", ptrace(bpf.Trap)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, watch := range []bool{false, true} {
				p := plan{Command: command, Outer: tt.outer}
				p.Watch = watch
				o, _ := p.run(t)
				if o.Result != nil || o.Status != 125 || strings.Contains(o.Err, "--") ||
					!strings.Contains(o.Err, "an outer seccomp sandbox denies it") || fmt.Sprint(o.Kinds) != "[refused]" {
					t.Errorf("%v", o)
				}
				if _, err := os.Stat(marker); err == nil {
					t.Fatal("the program ran without its gate")
				}
			}
			p := plan{Command: Command{Path: "touch", Args: command.Args, Strict: true}, Outer: tt.outer}
			if o, _ := p.run(t); o.Status != 125 || fmt.Sprint(o.Kinds) != "[refused]" {
				t.Errorf("strict: %v", o)
			}
			p = plan{Command: command, Outer: tt.outer}
			p.AllowExec = true
			p.Args = []string{"touch", filepath.Join(t.TempDir(), "ran")}
			if o, out := p.run(t); o.Err != "" || o.Result.ExitCode != 0 || out != "" {
				t.Errorf("with AllowExec: %v, %q", o, out)
			}
			if _, err := os.Stat(p.Args[1]); err != nil {
				t.Errorf("with AllowExec: %v", err)
			}
		})
	}
	t.Run("unreadable", func(t *testing.T) {
		if os.Getuid() != 0 {
			t.Skip("needs root")
		}
		path := build(t, "gcc", "hello", "-DUNREADABLE") // a copy of its own
		if err := os.Chmod(path, 0o711); err != nil {
			t.Fatal(err)
		}
		p := plan{UID: 65534, Command: Command{Path: path, Gates: []bpf.Program{gate()}}}
		o, out := p.run(t)
		if o.Result != nil || o.Status != 125 || fmt.Sprint(o.Kinds) != "[refused]" || out != "" ||
			!strings.Contains(o.Err, "executed but not read") {
			t.Errorf("%v, %q", o, out)
		}
		p.AllowExec = true
		if o, out := p.run(t); o.Err != "" || o.Result.ExitCode != 7 || out != "hello\n" {
			t.Errorf("with AllowExec: %v, %q", o, out)
		}
	})
}

// Gates stack: the kernel takes the most restrictive answer of all.
func TestStackedGates(t *testing.T) {
	path := build(t, "gcc", "call", "-pthread")
	deny := func(nr uint32, a bpf.Action) bpf.Program { return gate(answer{nativeArch, nr, a}) }
	gates := []bpf.Program{
		deny(unix.SYS_GETPRIORITY, bpf.Errno|7),
		deny(unix.SYS_GETPPID, bpf.Errno|8),
		deny(unix.SYS_GETPRIORITY, bpf.Errno|9), // of equal actions the newest filter's data counts
	}
	for _, allowExec := range []bool{false, true} {
		for nr, want := range map[int]string{unix.SYS_GETPRIORITY: "-1 errno 9\n", unix.SYS_GETPPID: "-1 errno 8\n", unix.SYS_GETUID: "0 errno 0\n"} {
			p := plan{Command: Command{Path: path, Args: []string{"call", "main", strconv.Itoa(nr)}, Gates: gates, AllowExec: allowExec}}
			if o, out := p.run(t); o.Err != "" || o.Result.ExitCode != 0 || (out != want && nr != unix.SYS_GETUID) {
				t.Errorf("call %d: %v, %q, want %q", nr, o, out, want)
			}
		}
	}
}

// The longest filter fits below the stack pointer, with the least stack that the kernel lets an exec have.
func TestLongGate(t *testing.T) {
	long := make(bpf.Program, bpf.MaxInstructions-1, bpf.MaxInstructions)
	for i := range long {
		long[i] = bpf.Instruction{Code: bpf.LD | bpf.W | bpf.ABS, K: bpf.OffsetNr}
	}
	long = append(long, bpf.Instruction{Code: bpf.RET | bpf.K, K: uint32(bpf.Allow)})
	for _, c := range []Command{{}, {Watch: true}, {AllowExec: true}} {
		c.Path, c.Gates = "true", []bpf.Program{long, long}
		p := plan{Command: c}
		if o, out := p.run(t); o.Err != "" || o.Result.ExitCode != 0 {
			t.Errorf("%v %q", o, out)
		}
	}
}

// The program has the files, limits, mask and dispositions that it would have had without us.
func TestInherits(t *testing.T) {
	path, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("needs sh")
	}
	script := `ls /proc/self/fd; cat <&5; pwd; echo "$A"; ulimit -n; ulimit -Hn; grep -E '^(Sig(Blk|Cgt)|NoNewPrivs|Seccomp)' /proc/self/status`
	want := func(c *exec.Cmd) string {
		c.Dir, c.Env = "/usr", []string{"A=b c", "PATH=/usr/bin:/bin"}
		out, err := c.Output()
		if err != nil {
			t.Fatal(err)
		}
		s := strings.ReplaceAll(string(out), "NoNewPrivs:\t0", "NoNewPrivs:\t1")
		return strings.ReplaceAll(s, "Seccomp:\t0", "Seccomp:\t2")
	}
	filters := func(s string) string { // Seccomp_filters counts
		lines := strings.Split(s, "\n")
		var keep []string
		for _, l := range lines {
			if !strings.HasPrefix(l, "Seccomp_filters") {
				keep = append(keep, l)
			}
		}
		return strings.Join(keep, "\n")
	}
	pass := filepath.Join(t.TempDir(), "passed")
	if err := os.WriteFile(pass, []byte("through\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	open := func() *os.File {
		f, err := os.Open(pass)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	bare := exec.Command(path, "-c", script)
	bare.ExtraFiles = []*os.File{nil, nil, open()} // descriptor 5
	expected := filters(want(bare))
	for _, c := range []Command{{}, {Watch: true}, {AllowExec: true}} {
		c.Path, c.Args, c.Gates = path, []string{"sh", "-c", script}, []bpf.Program{gate()}
		c.Dir, c.Env = "/usr", []string{"A=b c", "PATH=/usr/bin:/bin"}
		p := plan{Command: c}
		cmd, r := p.command(t)
		cmd.ExtraFiles = append(cmd.ExtraFiles, nil, open())
		out, err := cmd.CombinedOutput()
		cmd.ExtraFiles[0].Close()
		report, _ := io.ReadAll(r)
		if got := filters(string(out)); err != nil || got != expected {
			t.Errorf("allow exec %v, watch %v: %s\n%s\nwant\n%s", c.AllowExec, c.Watch, report, got, expected)
		}
	}
}

func TestContext(t *testing.T) {
	for _, c := range []Command{{}, {Watch: true}, {AllowExec: true}} {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		c.Path, c.Args, c.Gates, c.KeepSignals = "sleep", []string{"sleep", "20"}, []bpf.Program{gate()}, true
		start := time.Now()
		res, err := c.Run(ctx)
		cancel()
		if err != nil || res.Signal != unix.SIGKILL || time.Since(start) > 10*time.Second {
			t.Errorf("%v, %v after %v", res, err, time.Since(start))
		}
		if _, err := c.Run(ctx); err == nil {
			t.Error("ran with an ended context")
		}
	}
}

// Whenever the launcher is killed, no program is left that runs without its gate.
func TestKillLauncher(t *testing.T) {
	path := build(t, "gcc", "marker")
	check := func(t *testing.T, marker string) {
		t.Helper()
		for range 300 {
			if pids := withArgument(t, marker); len(pids) == 0 {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if pids := withArgument(t, marker); len(pids) > 0 {
			t.Errorf("left behind: processes %v", pids)
		}
		if b, err := os.ReadFile(marker); err == nil && len(b) > 0 && string(b) != "2" {
			t.Errorf("ran in seccomp mode %q", b)
		}
	}
	kinds := []Command{{}, {Detach: true, Watch: true}, {Watch: true}, {AllowExec: true}, {Loader: []bpf.Program{gate()}}}
	t.Run("steps", func(t *testing.T) {
		for _, c := range kinds {
			for _, step := range stepsOf(&c) {
				if step == end.name {
					continue // the program has ended
				}
				marker := filepath.Join(t.TempDir(), "marker")
				c.Path, c.Args, c.Gates = path, []string{"marker", marker}, []bpf.Program{gate()}
				p := plan{Command: c, DieAt: step}
				cmd, _ := p.command(t)
				cmd.Args = append(cmd.Args, marker) // the child before its exec shows the launcher's arguments
				err := cmd.Run()
				if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || ws.Signal() != unix.SIGKILL {
					t.Fatalf("step %s: the launcher lived: %v", step, err)
				}
				check(t, marker)
			}
		}
	})
	t.Run("any time", func(t *testing.T) {
		// A launcher needs some 8 ms until its program runs, most of it to start itself; a slow machine takes longer.
		marker := filepath.Join(t.TempDir(), "marker")
		p := plan{Command: Command{Path: path, Args: []string{"marker", marker}, Gates: []bpf.Program{gate()}}}
		cmd, _ := p.command(t)
		start := time.Now()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for time.Since(start) < 10*time.Second {
			if _, err := os.Stat(marker); err == nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
		whole := time.Since(start)
		cmd.Process.Kill()
		cmd.Wait()
		began, tried := 0, 0
		for start := time.Now(); tried < 120 && time.Since(start) < 20*time.Second; tried++ {
			i := tried
			marker := filepath.Join(t.TempDir(), "marker")
			c := kinds[i%len(kinds)]
			c.Path, c.Args, c.Gates = path, []string{"marker", marker}, []bpf.Program{gate()}
			p := plan{Command: c}
			cmd, _ := p.command(t)
			cmd.Args = append(cmd.Args, marker)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(rand.N(2 * whole))
			cmd.Process.Kill()
			cmd.Wait()
			check(t, marker)
			if _, err := os.Stat(marker); err == nil {
				began++
			}
		}
		t.Logf("%d of %d programs had begun", began, tried)
	})
}

// withArgument lists the live processes that have an argument; a zombie has none.
func withArgument(t *testing.T, arg string) []int {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, d := range dirs {
		line, _ := os.ReadFile(d + "/cmdline")
		for a := range bytes.SplitSeq(line, []byte{0}) {
			if string(a) == arg {
				pid, _ := strconv.Atoi(filepath.Base(d))
				pids = append(pids, pid)
			}
		}
	}
	return pids
}
