//go:build linux && (amd64 || arm64)

package sandbox

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"monban/bpf"
)

// A killed call is named with what the filter saw, whoever made it and however it was killed.
func TestKilledCallIsNamed(t *testing.T) {
	const (
		nr   = unix.SYS_GETPRIORITY
		nr32 = 96 // getpriority on i386
		i386 = unix.AUDIT_ARCH_I386
	)
	for _, tt := range []struct {
		mode   string
		flags  []string
		deny   answer
		signal syscall.Signal // the program's end; 0: it exits
		thread bool
		other  bool // the call is not made by the first thread
		trap   bool
		child  bool
		out    string
	}{
		{mode: "main", deny: answer{nativeArch, nr, bpf.KillProcess}, signal: unix.SIGSYS},
		{mode: "main", deny: answer{nativeArch, nr, bpf.KillThread}, signal: unix.SIGSYS}, // the last thread: all of it
		{mode: "main", deny: answer{nativeArch, nr, bpf.Trap}, signal: unix.SIGSYS, trap: true},
		{mode: "main", flags: []string{"-static"}, deny: answer{nativeArch, nr, bpf.KillProcess}, signal: unix.SIGSYS},
		{mode: "threads", deny: answer{nativeArch, nr, bpf.KillProcess}, signal: unix.SIGSYS},
		{mode: "threads", deny: answer{nativeArch, nr, bpf.Trap}, signal: unix.SIGSYS, trap: true},
		{mode: "thread", deny: answer{nativeArch, nr, bpf.KillProcess}, signal: unix.SIGSYS, other: true},
		{mode: "thread", deny: answer{nativeArch, nr, bpf.KillThread}, thread: true, other: true, out: "joined\n"},
		{mode: "child", deny: answer{nativeArch, nr, bpf.KillProcess}, child: true, out: "child signal 31\n"},
		{mode: "child", deny: answer{nativeArch, nr, bpf.KillThread}, child: true, out: "child signal 31\n"},
		{mode: "int80", deny: answer{i386, nr32, bpf.KillProcess}, signal: unix.SIGSYS},
		{mode: "main", flags: []string{"-m32"}, deny: answer{i386, nr32, bpf.KillProcess}, signal: unix.SIGSYS},
		{mode: "main", flags: []string{"-m32"}, deny: answer{i386, nr32, bpf.KillThread}, signal: unix.SIGSYS},
		{mode: "thread", flags: []string{"-m32"}, deny: answer{i386, nr32, bpf.KillProcess}, signal: unix.SIGSYS, other: true},
	} {
		t.Run(fmt.Sprint(tt.mode, tt.flags, tt.deny.action), func(t *testing.T) {
			if tt.deny.arch != nativeArch {
				needsI386(t)
			}
			path := build(t, "gcc", "call", append([]string{"-pthread"}, tt.flags...)...)
			for _, uid := range uids() {
				p := plan{UID: uid, Command: Command{
					Path: path, Args: []string{"call", tt.mode, fmt.Sprint(tt.deny.nr), "0x12345678", "0x9abcdef0", "3"},
					Gates: []bpf.Program{gate(tt.deny)}, Watch: true,
				}}
				o, out := p.run(t)
				if o.Err != "" || o.Result.Signal != tt.signal || o.Result.ExitCode != 0 || out != tt.out {
					t.Fatalf("uid %d: %v, output %q", uid, o, out)
				}
				if len(o.Result.Killed) != 1 {
					t.Fatalf("uid %d: %v", uid, o)
				}
				k := o.Result.Killed[0]
				if k.Data.Nr != tt.deny.nr || k.Data.Arch != tt.deny.arch || k.Data.IP == 0 ||
					[3]uint64(k.Data.Args[:3]) != [3]uint64{0x12345678, 0x9abcdef0, 3} {
					t.Errorf("call: %+v", k.Data)
				}
				if k.Thread != tt.thread || k.Trap != tt.trap || k.Strict || (k.TID != k.PID) != tt.other ||
					!strings.HasPrefix(k.Comm, "call-") {
					t.Errorf("uid %d: %+v", uid, k)
				}
			}
		})
	}
}

// Nothing is named when nothing was killed by a gate, whatever signals fly.
func TestOtherDeaths(t *testing.T) {
	for _, tt := range []struct {
		script string
		signal syscall.Signal
		code   int
	}{
		{"kill -KILL $$", unix.SIGKILL, 0},
		{"kill -SYS $$", unix.SIGSYS, 0},
		{"sh -c 'kill -SYS $$'; exit 3", 0, 3},
		{"kill -TERM $$", unix.SIGTERM, 0},
		{"trap 'exit 4' USR1; kill -USR1 $$; sleep 5", 0, 4},
	} {
		for _, watch := range []bool{false, true} {
			p := plan{Command: Command{Path: "sh", Args: []string{"sh", "-c", tt.script}, Gates: []bpf.Program{gate()}, Watch: watch}}
			o, _ := p.run(t)
			if o.Err != "" || o.Result.Signal != tt.signal || o.Result.ExitCode != tt.code || len(o.Result.Killed) != 0 {
				t.Errorf("%s, watch %v: %v", tt.script, watch, o)
			}
		}
	}
}

// What the program leaves behind outlives it and the launcher, behind the gate.
func TestLeftBehind(t *testing.T) {
	for _, watch := range []bool{false, true} {
		p := plan{Command: Command{
			Path: "sh", Args: []string{"sh", "-c", `(sleep 0.3; grep ^Seccomp: /proc/self/status >"$0") </dev/null >/dev/null 2>&1 &`,
				t.TempDir() + "/later"},
			Gates: []bpf.Program{gate()}, Watch: watch,
		}}
		if o, _ := p.run(t); o.Err != "" || o.Result.ExitCode != 0 {
			t.Fatal(o)
		}
		if got := eventually(t, p.Args[3]); !strings.HasPrefix(got, "Seccomp:\t2") {
			t.Errorf("watch %v: %q", watch, got)
		}
	}
}
