//go:build linux && amd64

package sandbox

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"monban/bpf"
)

// Behind outer filters that kill the thread for any call that the tracing thread makes, every start ends, at once, and
// its child with it; what has run is never said not to have been started.
func TestKilledThread(t *testing.T) {
	dynamic, static := build(t, "gcc", "gated"), build(t, "gcc", "gated", "-static")
	calls := []lie{
		{"wait4", unix.SYS_WAIT4, -1, 0, bpf.KillThread},
		{"wait4 of the program", unix.SYS_WAIT4, 2, unix.WUNTRACED | unix.WCONTINUED | unix.WALL | unix.WNOTHREAD, bpf.KillThread},
		{"wait4 of anyone", unix.SYS_WAIT4, 2, unix.WALL | unix.WNOTHREAD, bpf.KillThread},
		{"waitid", unix.SYS_WAITID, -1, 0, bpf.KillThread},
		{"waitid WNOWAIT of one kind", unix.SYS_WAITID, 3, unix.WEXITED | unix.WNOHANG | unix.WNOWAIT | unix.WNOTHREAD, bpf.KillThread},
		{"kill", unix.SYS_KILL, -1, 0, bpf.KillThread},
		{"pidfd_send_signal", unix.SYS_PIDFD_SEND_SIGNAL, -1, 0, bpf.KillThread},
		{"process_vm_writev", unix.SYS_PROCESS_VM_WRITEV, -1, 0, bpf.KillThread},
		{"process_vm_readv", unix.SYS_PROCESS_VM_READV, -1, 0, bpf.KillThread},
	}
	for _, request := range []uint32{unix.PTRACE_CONT, unix.PTRACE_GETREGSET, unix.PTRACE_SETREGSET, unix.PTRACE_GETREGS, unix.PTRACE_SETREGS,
		unix.PTRACE_DETACH, unix.PTRACE_SYSCALL, unix.PTRACE_SETOPTIONS, unix.PTRACE_GETEVENTMSG, unix.PTRACE_GETSIGINFO, unix.PTRACE_SEIZE,
		unix.PTRACE_INTERRUPT, unix.PTRACE_PEEKSIGINFO, unix.PTRACE_GETSIGMASK, unix.PTRACE_SETSIGMASK} {
		calls = append(calls, lie{fmt.Sprintf("ptrace %#x", request), unix.SYS_PTRACE, 0, request, bpf.KillThread})
	}
	early := []lie{ // these take seconds
		{"set_tid_address", unix.SYS_SET_TID_ADDRESS, -1, 0, bpf.KillThread},
		{"prctl", unix.SYS_PRCTL, -1, 0, bpf.KillThread},
	}
	deny := []bpf.Program{gate(answer{nativeArch, unix.SYS_GETPRIORITY, bpf.Errno | 42})}
	before := gate(answer{nativeArch, unix.SYS_GETSID, bpf.Errno | 43})
	for _, c := range []Command{
		{Path: static, Gates: deny}, {Path: static, Gates: deny, Watch: true}, {Path: static, Gates: deny, AllowExec: true},
		{Path: dynamic, Gates: deny, Loader: []bpf.Program{before}}, {Path: dynamic, Gates: deny, Loader: []bpf.Program{before}, Watch: true},
		{Path: dynamic, Strict: true},
	} {
		calls := append(calls, early...)
		early = nil // once is enough
		for _, call := range calls {
			t.Run(fmt.Sprintf("%s; watch %v, allow exec %v, strict %v, loader %v", call.name, c.Watch, c.AllowExec, c.Strict, len(c.Loader) > 0),
				func(t *testing.T) {
					t.Parallel()
					marker := filepath.Join(t.TempDir(), "word")
					c := c
					c.Args = []string{"gated", marker}
					p := plan{Command: c, Outer: []bpf.Program{filterOf([]lie{call})}}
					cmd, r := p.command(t)
					if err := cmd.Start(); err != nil {
						t.Fatal(err)
					}
					over := time.AfterFunc(20*time.Second, func() { // startLimit is more
						t.Error("hung")
						cmd.Process.Kill()
					})
					cmd.Wait()
					over.Stop()
					cmd.ExtraFiles[0].Close()
					var o outcome
					err := json.NewDecoder(r).Decode(&o)
					if left := withArgument(t, marker); len(left) > 0 {
						t.Errorf("left behind: processes %v", left)
					}
					word, missing := os.ReadFile(marker)
					switch {
					case err != nil: // hung, as said above
					case len(word) > 0 && string(word) != "gated":
						t.Errorf("the program ran and wrote %q; %v", word, o)
					case o.Err == "" && c.Strict: // strict mode can't be entered behind a filter
						t.Errorf("%v", o)
					case o.Err == "":
					case o.Status != 125 && o.Status != 137, o.Status == 125 && missing == nil, strings.Contains(o.Err, "\n"):
						t.Errorf("%v; the program wrote %q (%v)", o, word, missing)
					}
				})
		}
	}
}
