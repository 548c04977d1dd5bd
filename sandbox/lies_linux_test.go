//go:build linux && amd64

package sandbox

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"monban/bpf"
)

var allLies = flag.Bool("all-lies", false, "TestLyingFilters: every pair of lies, not only those with a lie about installing")

// A lie is an answer of an outer filter in the kernel's place.
type lie struct {
	name   string
	nr     uint32
	arg    int // -1: whatever the arguments
	value  uint32
	answer bpf.Action
}

// lies are about the calls that a start makes, and those that somebody could think it asks.
func lies() []lie {
	const success = bpf.Errno
	list := []lie{
		{"seccomp", unix.SYS_SECCOMP, 0, 1, success},
		{"seccomp EFAULT", unix.SYS_SECCOMP, 0, 1, bpf.Errno | bpf.Action(unix.EFAULT)},
		{"seccomp EINVAL", unix.SYS_SECCOMP, -1, 0, bpf.Errno | bpf.Action(unix.EINVAL)},
		{"prctl", unix.SYS_PRCTL, -1, 0, success},
		{"wait4", unix.SYS_WAIT4, -1, 0, success},
		{"wait4 ECHILD", unix.SYS_WAIT4, -1, 0, bpf.Errno | bpf.Action(unix.ECHILD)},
		{"wait4 EINTR", unix.SYS_WAIT4, -1, 0, bpf.Errno | bpf.Action(unix.EINTR)},
		{"waitid", unix.SYS_WAITID, -1, 0, success},
		{"waitid ECHILD", unix.SYS_WAITID, -1, 0, bpf.Errno | bpf.Action(unix.ECHILD)},
		{"kill", unix.SYS_KILL, -1, 0, success},
		{"kill SIGKILL", unix.SYS_KILL, 1, 9, success},
		{"kill SIGSTOP", unix.SYS_KILL, 1, 19, success},
		{"kill SIGCONT", unix.SYS_KILL, 1, 18, success},
		{"tgkill", unix.SYS_TGKILL, -1, 0, success},
		{"pidfd_send_signal", unix.SYS_PIDFD_SEND_SIGNAL, -1, 0, success},
		{"getppid", unix.SYS_GETPPID, -1, 0, success},
		{"waitid ENOSYS", unix.SYS_WAITID, -1, 0, bpf.Errno | bpf.Action(unix.ENOSYS)},
		{"execve", unix.SYS_EXECVE, -1, 0, success},
		{"execve killed", unix.SYS_EXECVE, -1, 0, bpf.KillProcess},
		{"no /proc", unix.SYS_OPENAT, -1, 0, bpf.Errno | bpf.Action(unix.ENOENT)},
		{"openat", unix.SYS_OPENAT, -1, 0, success},
		{"readlinkat", unix.SYS_READLINKAT, -1, 0, bpf.Errno | bpf.Action(unix.ENOENT)},
		{"process_vm_writev", unix.SYS_PROCESS_VM_WRITEV, -1, 0, success},
		{"process_vm_readv", unix.SYS_PROCESS_VM_READV, -1, 0, success},
		{"setpgid", unix.SYS_SETPGID, -1, 0, success},
		{"setpgid EPERM", unix.SYS_SETPGID, -1, 0, bpf.Errno | bpf.Action(unix.EPERM)},
		{"setpgid EACCES", unix.SYS_SETPGID, -1, 0, bpf.Errno | bpf.Action(unix.EACCES)},
		{"getpgid", unix.SYS_GETPGID, -1, 0, success},
		{"fcntl", unix.SYS_FCNTL, -1, 0, success},
		{"close", unix.SYS_CLOSE, -1, 0, success},
		{"rt_sigprocmask", unix.SYS_RT_SIGPROCMASK, -1, 0, success},
		{"prlimit64", unix.SYS_PRLIMIT64, -1, 0, success},
	}
	for _, option := range []uint32{unix.PR_SET_PDEATHSIG, unix.PR_GET_PDEATHSIG, unix.PR_GET_SECCOMP, unix.PR_SET_SECCOMP,
		unix.PR_SET_NO_NEW_PRIVS, unix.PR_GET_NO_NEW_PRIVS} {
		list = append(list, lie{fmt.Sprintf("prctl %d", option), unix.SYS_PRCTL, 0, option, success})
	}
	for _, request := range []uint32{unix.PTRACE_TRACEME, unix.PTRACE_PEEKDATA, unix.PTRACE_POKEDATA, unix.PTRACE_CONT, unix.PTRACE_GETREGS,
		unix.PTRACE_SETREGS, unix.PTRACE_DETACH, unix.PTRACE_SYSCALL, unix.PTRACE_SETOPTIONS, unix.PTRACE_GETEVENTMSG, unix.PTRACE_GETSIGINFO,
		unix.PTRACE_SEIZE, unix.PTRACE_LISTEN, unix.PTRACE_PEEKSIGINFO, unix.PTRACE_GETSIGMASK, unix.PTRACE_SETSIGMASK} {
		list = append(list, lie{fmt.Sprintf("ptrace %#x", request), unix.SYS_PTRACE, 0, request, success},
			lie{fmt.Sprintf("ptrace %#x ESRCH", request), unix.SYS_PTRACE, 0, request, bpf.Errno | bpf.Action(unix.ESRCH)})
	}
	return list
}

// filterOf tells the lies.
func filterOf(lies []lie) bpf.Program {
	var p bpf.Program
	for _, l := range lies {
		p = append(p, bpf.Instruction{Code: bpf.LD | bpf.W | bpf.ABS, K: bpf.OffsetNr})
		if l.arg < 0 {
			p = append(p, bpf.Instruction{Code: bpf.JMP | bpf.JEQ | bpf.K, Jf: 1, K: l.nr})
		} else {
			p = append(p, bpf.Instruction{Code: bpf.JMP | bpf.JEQ | bpf.K, Jf: 3, K: l.nr},
				bpf.Instruction{Code: bpf.LD | bpf.W | bpf.ABS, K: uint32(16 + 8*l.arg)},
				bpf.Instruction{Code: bpf.JMP | bpf.JEQ | bpf.K, Jf: 1, K: l.value})
		}
		p = append(p, bpf.Instruction{Code: bpf.RET | bpf.K, K: uint32(l.answer)})
	}
	return append(p, bpf.Instruction{Code: bpf.RET | bpf.K, K: uint32(bpf.Allow)})
}

// Behind outer filters that lie about anything, alone and in pairs, every start ends and nothing runs without its gate.
func TestLyingFilters(t *testing.T) {
	path := build(t, "gcc", "gated", "-static")
	list := lies()
	var told [][]lie
	for i, a := range list {
		told = append(told, []lie{a})
		for j, b := range list[:i] {
			if *allLies || i%11 == j%11 || j < 2 && i%3 == 0 {
				told = append(told, []lie{a, b})
			}
		}
	}
	kinds := []Command{{}, {Watch: true}, {AllowExec: true}}
	deny := gate(answer{nativeArch, unix.SYS_GETPRIORITY, bpf.Errno | 42})
	var starts, ran, ungated, hung atomic.Int64
	work := make(chan int)
	dir := t.TempDir()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for n := range work {
				lies, c := told[n/len(kinds)], kinds[n%len(kinds)]
				var names []string
				for _, l := range lies {
					names = append(names, l.name)
				}
				what := fmt.Sprintf("%s; watch %v, allow exec %v", strings.Join(names, " and "), c.Watch, c.AllowExec)
				marker := filepath.Join(dir, fmt.Sprint(n))
				c.Path, c.Args, c.Gates = path, []string{"gated", marker}, []bpf.Program{deny}
				p := plan{Command: c, Outer: []bpf.Program{filterOf(lies)}, Limit: 2 * time.Second}
				cmd, r := p.command(t)
				if err := cmd.Start(); err != nil {
					t.Error(err)
					continue
				}
				starts.Add(1)
				over := time.AfterFunc(40*time.Second, func() {
					hung.Add(1)
					t.Errorf("%s: hung", what)
					cmd.Process.Kill()
				})
				cmd.Wait()
				over.Stop()
				cmd.ExtraFiles[0].Close()
				var o outcome
				reported := json.NewDecoder(r).Decode(&o) == nil
				r.Close()
				word, err := os.ReadFile(marker)
				switch {
				case err != nil:
				case string(word) == "": // killed while it ran, gated: it could not be waited for
				case string(word) != "gated":
					ungated.Add(1)
					t.Errorf("%s: the program ran and wrote %q; %v", what, word, o)
				default:
					ran.Add(1)
				}
				if reported && o.Err != "" && (o.Status != 125 && o.Status != 137 || o.Status == 125 && err == nil || strings.Contains(o.Err, "\n")) {
					t.Errorf("%s: %v, and the program ran: %v", what, o, err == nil)
				}
			}
		})
	}
	for n := range len(told) * len(kinds) {
		work <- n
	}
	close(work)
	all.Wait()
	t.Logf("%d starts behind %d sets of lies: %d programs ran gated, %d ungated, %d hung", starts.Load(), len(told), ran.Load(),
		ungated.Load(), hung.Load())
}
