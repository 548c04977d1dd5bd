package seccomp

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"monban/abi"
	"monban/bpf"
	"monban/internal/peek"
	"monban/internal/ptrace"
	"monban/internal/sys"
)

const (
	sleepFor = 3 * time.Second         // how long all of them sleep
	slack    = 1500 * time.Millisecond // of a busy machine
	looks    = 100
)

// restarts is a gate for restart_syscall alone.
func restarts(do bpf.Action) bpf.Program {
	nr, _ := abi.Native().Number("restart_syscall")
	return bpf.Program{
		{Code: bpf.LD | bpf.W | bpf.ABS, K: bpf.OffsetNr},
		{Code: bpf.JMP | bpf.JEQ | bpf.K, Jf: 1, K: nr},
		{Code: bpf.RET | bpf.K, K: uint32(do)},
		{Code: bpf.RET | bpf.K, K: uint32(bpf.Allow)},
	}
}

// A slept is what a sleeper says afterwards.
type slept struct {
	TID   int
	Name  string
	Errno syscall.Errno
	Took  time.Duration
}

// The child has a thread for each kind of sleep, behind a gate of its own. It says their numbers, and in the end how
// they slept.
func init() {
	for name, do := range map[string]bpf.Action{"refused": bpf.Errno | bpf.Action(unix.EPERM), "killed": bpf.KillProcess} {
		deeds["sleepers "+name] = func() { sleepers(do) }
	}
}

func sleepers(do bpf.Action) {
	said := json.NewEncoder(os.Stdout)
	out := make(chan slept, len(sleeps))
	for _, s := range sleeps {
		begun := make(chan int)
		go func() {
			runtime.LockOSThread()
			var set unix.Sigset_t
			for i := range set.Val {
				set.Val[i] = ^set.Val[i]
			}
			check(unix.PthreadSigmask(unix.SIG_SETMASK, &set, nil))
			check(NoNewPrivs())
			check(Install(restarts(do), 0))
			begun <- unix.Gettid()
			begin := time.Now()
			_, errno := s.call(func(f func()) { time.AfterFunc(time.Until(begin.Add(sleepFor)), f) })
			out <- slept{unix.Gettid(), s.name, errno, time.Since(begin)}
			select {} // the thread stays
		}()
		check(said.Encode(slept{TID: <-begun, Name: s.name}))
	}
	for range sleeps {
		check(said.Encode(<-out))
	}
}

// TestSleepersGoOn: whoever looks, and whoever may not, a program in whatever sleep goes on as if nobody had been
// there.
func TestSleepersGoOn(t *testing.T) {
	root := os.Geteuid() == 0
	all := []struct {
		name string
		look func(tid int) error
		user string // the deed of an ordinary user, who owns the sleepers
		stop bool
	}{
		{"from memory, as dump does", func(tid int) error { p, err := Dump(tid); return seen(len(p), err) }, "", false},
		{"stopped", func(tid int) error { p, err := dumpStopped(tid); return seen(len(p), err) }, "", true},
		{"by an ordinary user", nil, "look", false},
		{"stopped by an ordinary user", nil, "stop", true}, // who can't suspend seccomp
	}
	for _, w := range all {
		for _, gate := range []string{"refused", "killed"} {
			t.Run(w.name+", restart_syscall "+gate, func(t *testing.T) {
				t.Parallel()
				if !root && w.user == "" {
					t.Skip("needs root")
				}
				if w.stop && runtime.GOARCH != "amd64" {
					t.Skip("needs amd64, whose registers tell how a sleep was ended")
				}
				if _, err := peek.Filters(os.Getpid()); w.user == "" && !w.stop && errors.Is(err, peek.ErrUnavailable) {
					t.Skipf("needs Linux 6.1 with type information: %v", err)
				}
				bed := startSleepers(t, gate, w.user != "" && root)
				before := bed.switches(t)
				begin := time.Now()
				if w.user != "" {
					bed.asUser(t, w.user, root)
				} else {
					for range looks {
						for tid, name := range bed.names {
							if err := w.look(tid); err != nil {
								t.Fatalf("looking at %s: %v", name, err)
							}
						}
						time.Sleep(time.Until(begin) / looks) // the next
					}
				}
				looked := time.Since(begin)
				if after := bed.switches(t); !w.stop && looked < sleepFor/2 {
					for tid, n := range before {
						if after[tid] != n {
							t.Errorf("%s: it woke %d times", bed.names[tid], after[tid]-n)
						}
					}
				}
				t.Logf("%d looks at each of %d took %v", looks, len(bed.names), looked)
				for range sleeps {
					s := bed.next(t)
					var kind sleep
					for _, k := range sleeps {
						if k.name == s.Name {
							kind = k
						}
					}
					limit := sleepFor + slack
					if w.stop && (kind.anew || w.user != "") {
						limit += looked
					}
					if s.Errno != kind.want || s.Took < sleepFor-10*time.Millisecond || s.Took > limit {
						t.Errorf("%s: %v after %v, want %v after %v", s.Name, s.Errno, s.Took, kind.want, sleepFor)
					}
				}
			})
		}
	}
}

func seen(filters int, err error) error {
	if err == nil && filters == 0 {
		return errors.New("no filter was seen")
	}
	return err
}

// A bed is a child of deed "sleepers", all of whose threads are asleep.
type bed struct {
	cmd   *exec.Cmd
	names map[int]string // by thread
	lines *json.Decoder
}

func startSleepers(t *testing.T, gate string, asNobody bool) *bed {
	t.Helper()
	b := &bed{cmd: exec.Command("/proc/self/exe"), names: map[int]string{}}
	// The child's own runtime is to send its threads no signals.
	b.cmd.Env = append(os.Environ(), deedEnv+"=sleepers "+gate, "GODEBUG=asyncpreemptoff=1", "GOGC=off")
	b.cmd.Stderr = os.Stderr
	if asNobody {
		b.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	out, err := b.cmd.StdoutPipe()
	if err == nil {
		err = b.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.Once
	t.Cleanup(func() { wait.Do(func() { b.cmd.Process.Kill(); b.cmd.Wait() }) })
	b.lines = json.NewDecoder(bufio.NewReader(out))
	for range sleeps {
		s := b.next(t)
		b.names[s.TID] = s.Name
	}
	for tid, name := range b.names {
		for range 1000 {
			if stat, err := sys.ReadStat(tid); err == nil && stat.State == 'S' {
				break
			}
			time.Sleep(time.Millisecond)
		}
		if stat, _ := sys.ReadStat(tid); stat.State != 'S' {
			t.Fatalf("%s: it does not sleep", name)
		}
	}
	return b
}

func (b *bed) next(t *testing.T) (s slept) {
	t.Helper()
	if err := b.lines.Decode(&s); err != nil {
		t.Fatalf("the sleepers are gone: %v, %v", err, b.cmd.Wait())
	}
	return s
}

// switches is how often each thread has given its processor away.
func (b *bed) switches(t *testing.T) map[int]int {
	t.Helper()
	out := map[int]int{}
	for tid := range b.names {
		var n int
		status, err := os.ReadFile(sys.Path(tid, "status"))
		_, after, _ := strings.Cut(string(status), "\nvoluntary_ctxt_switches:")
		if _, err2 := fmt.Sscan(after, &n); cmp.Or(err, err2) != nil {
			t.Fatal(cmp.Or(err, err2))
		}
		out[tid] = n
	}
	return out
}

// asUser has an ordinary user, who owns the sleepers, do a deed to each of them again and again.
func (b *bed) asUser(t *testing.T, deed string, root bool) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	for tid := range b.names {
		cmd.Args = append(cmd.Args, strconv.Itoa(tid))
	}
	cmd.Env = append(os.Environ(), deedEnv+"="+deed)
	if root {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), "attaching to it: operation not permitted") {
		t.Skip("needs ptrace of any process of one's own (kernel.yama.ptrace_scope is 0)")
	}
	if want := fmt.Sprintf("right: %d\n", looks*len(b.names)); err != nil || string(out) != want {
		t.Errorf("%v: %s, want %s", err, out, want)
	}
}

func init() {
	user := func(right func(tid int) error) func() {
		return func() {
			n := 0
			for range looks {
				for _, arg := range os.Args[1:] {
					tid, err := strconv.Atoi(arg)
					check(err)
					check(right(tid))
					n++
				}
			}
			report("right", n)
		}
	}
	deeds["look"] = user(func(tid int) error {
		if _, err := Dump(tid); !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), "it takes root: CAP_SYS_ADMIN") {
			return fmt.Errorf("not told what it takes: %v", err)
		}
		return nil
	})
	deeds["stop"] = user(func(tid int) error { // another stop's tracer may not have ended yet
		for {
			err := ptrace.Look(tid, stopLimit, func() error { return nil })
			if attach, ok := errors.AsType[*ptrace.AttachError](err); !ok || !errors.Is(attach, unix.EPERM) || tracer(tid) <= 0 {
				return err
			}
		}
	})
}
