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
	"unsafe"

	"golang.org/x/sys/unix"

	"monban/abi"
	"monban/bpf"
	"monban/internal/peek"
	"monban/internal/ptrace"
)

const (
	sleepFor = 3 * time.Second         // how long all of them sleep
	slack    = 1500 * time.Millisecond // of a busy machine
	looks    = 100
)

// A sleep is a way to wait for sleepFor: by itself, or until wake is called then.
type sleep struct {
	name string
	call func(wake func(func())) (uintptr, syscall.Errno)
	want syscall.Errno
	anew bool // where it is stopped, a time-out begins anew
}

func spec() *unix.Timespec { s := unix.NsecToTimespec(int64(sleepFor)); return &s }

func raw(nr uintptr, args ...uintptr) (uintptr, syscall.Errno) {
	var a [6]uintptr
	copy(a[:], args)
	r, _, errno := unix.Syscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
	return r, errno
}

// pipe is one that gets a byte.
func pipe(wake func(func())) (fd uintptr) {
	var p [2]int
	check(unix.Pipe(p[:]))
	wake(func() { unix.Write(p[1], []byte{1}) })
	return uintptr(p[0])
}

func epoll(timeout time.Duration, fds ...uintptr) (uintptr, syscall.Errno) {
	ep, err := unix.EpollCreate1(0)
	check(err)
	for _, fd := range fds {
		check(unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, int(fd), &unix.EpollEvent{Events: unix.EPOLLIN}))
	}
	var ev [1]unix.EpollEvent
	return raw(unix.SYS_EPOLL_PWAIT, uintptr(ep), uintptr(unsafe.Pointer(&ev)), 1, uintptr(timeout.Milliseconds()), 0, 8)
}

var sleeps = []sleep{
	{"nanosleep", func(func(func())) (uintptr, syscall.Errno) {
		return raw(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(spec())), 0)
	}, 0, false},
	{"nanosleep and what is left", func(func(func())) (uintptr, syscall.Errno) {
		s := spec()
		return raw(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(s)), uintptr(unsafe.Pointer(s)))
	}, 0, false},
	{"clock_nanosleep", func(func(func())) (uintptr, syscall.Errno) {
		return raw(unix.SYS_CLOCK_NANOSLEEP, unix.CLOCK_MONOTONIC, 0, uintptr(unsafe.Pointer(spec())), 0)
	}, 0, false},
	{"clock_nanosleep, absolute", func(func(func())) (uintptr, syscall.Errno) {
		var now unix.Timespec
		check(unix.ClockGettime(unix.CLOCK_MONOTONIC, &now))
		end := unix.NsecToTimespec(now.Nano() + int64(sleepFor))
		return raw(unix.SYS_CLOCK_NANOSLEEP, unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, uintptr(unsafe.Pointer(&end)), 0)
	}, 0, false},
	{"poll", func(func(func())) (uintptr, syscall.Errno) {
		n, err := unix.Poll(nil, int(sleepFor.Milliseconds())) // ppoll where there is no poll
		return uintptr(n), errnoOf(err)
	}, 0, false},
	{"ppoll", func(func(func())) (uintptr, syscall.Errno) {
		return raw(unix.SYS_PPOLL, 0, 0, uintptr(unsafe.Pointer(spec())), 0, 8)
	}, 0, false},
	{"poll of a pipe", func(wake func(func())) (uintptr, syscall.Errno) {
		fd := unix.PollFd{Fd: int32(pipe(wake)), Events: unix.POLLIN}
		return raw(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&fd)), 1, 0, 0, 8)
	}, 0, false},
	{"select", func(func(func())) (uintptr, syscall.Errno) {
		return raw(unix.SYS_PSELECT6, 0, 0, 0, 0, uintptr(unsafe.Pointer(spec())), 0)
	}, 0, false},
	{"epoll", func(func(func())) (uintptr, syscall.Errno) { return epoll(sleepFor) }, 0, true},
	{"epoll of a pipe", func(wake func(func())) (uintptr, syscall.Errno) { return epoll(-time.Millisecond, pipe(wake)) }, 0, false},
	{"futex with a time-out", func(func(func())) (uintptr, syscall.Errno) {
		return raw(unix.SYS_FUTEX, uintptr(unsafe.Pointer(new(uint32))), 0, 0, uintptr(unsafe.Pointer(spec())))
	}, unix.ETIMEDOUT, false},
	{"futex", func(wake func(func())) (uintptr, syscall.Errno) {
		word := new(uint32)
		wake(func() { raw(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), 1, 1) })
		return raw(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), 0, 0, 0)
	}, 0, false},
	{"read of a pipe", func(wake func(func())) (uintptr, syscall.Errno) {
		var b [1]byte
		return raw(unix.SYS_READ, pipe(wake), uintptr(unsafe.Pointer(&b)), 1)
	}, 0, false},
	{"accept", func(wake func(func())) (uintptr, syscall.Errno) {
		s, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		check(err)
		check(unix.Bind(s, &unix.SockaddrUnix{})) // the kernel chooses a name
		check(unix.Listen(s, 1))
		name, err := unix.Getsockname(s)
		check(err)
		wake(func() {
			c, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
			check(err)
			check(unix.Connect(c, name))
		})
		return raw(unix.SYS_ACCEPT4, uintptr(s), 0, 0, 0)
	}, 0, false},
	{"sigtimedwait", func(func(func())) (uintptr, syscall.Errno) {
		set := uint64(1) << (40 - 1)
		return raw(unix.SYS_RT_SIGTIMEDWAIT, uintptr(unsafe.Pointer(&set)), 0, uintptr(unsafe.Pointer(spec())), 8)
	}, unix.EAGAIN, true},
	{"semtimedop", func(func(func())) (uintptr, syscall.Errno) {
		id, errno := raw(unix.SYS_SEMGET, 0, 1, 0o600)
		if errno == 0 {
			defer raw(unix.SYS_SEMCTL, id, 0, 0) // IPC_RMID
			take := struct{ nr, op, flags int16 }{op: -1}
			return raw(unix.SYS_SEMTIMEDOP, id, uintptr(unsafe.Pointer(&take)), 1, uintptr(unsafe.Pointer(spec())))
		}
		return 0, errno
	}, unix.EAGAIN, true},
}

func errnoOf(err error) syscall.Errno {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	return 0
}

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

// The child has a thread for each kind of sleep, behind a gate of its own. It says their numbers, and in the end how they slept.
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

// TestSleepersGoOn: whoever looks, and whoever may not, a program in whatever sleep goes on as if nobody had been there.
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
			if status, err := readStatus(tid); err == nil && strings.HasPrefix(status["State"], "S") {
				break
			}
			time.Sleep(time.Millisecond)
		}
		if status, _ := readStatus(tid); !strings.HasPrefix(status["State"], "S") {
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
		status, err := readStatus(tid)
		n, err2 := strconv.Atoi(status["voluntary_ctxt_switches"])
		if err := cmp.Or(err, err2); err != nil {
			t.Fatal(err)
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
			if attach, ok := errors.AsType[*ptrace.AttachError](err); !ok || !errors.Is(attach, unix.EPERM) || tracer(tid) == "" {
				return err
			}
		}
	})
}
