package seccomp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"monban/bpf"
	"monban/internal/peek"
	"monban/internal/ptrace"
	"monban/internal/sys"
)

// What can't be undone happens in a child: the test binary once more, with the name of a deed in its environment.
const deedEnv = "MONBAN_TEST_DEED"

func TestMain(m *testing.M) {
	if d := os.Getenv(deedEnv); d != "" {
		deeds[d]()
		if unix.Access(os.Getenv("GOCOVERDIR"), unix.W_OK) != nil {
			syscall.Exit(0) // os.Exit would complain with -cover: this one has become an ordinary user
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

var deeds = map[string]func(){
	"install": func() {
		// On a thread of its own: root's succeeds, and threads that this one starts would have the filter, too.
		check(ptrace.OwnThread(func() { report("before", Install(denyGetpriority(7), 0) != nil) }))
		runtime.LockOSThread()
		check(NoNewPrivs())
		check(Install(denyGetpriority(7), 0))
		report("this thread", getpriority())
		other := make(chan error)
		go func() { other <- getpriority() }()
		report("another", <-other)
	},
	"tsync": func() {
		runtime.LockOSThread()
		threads := make(chan func())
		results := make(chan error)
		for range 8 {
			go func() {
				runtime.LockOSThread()
				for f := range threads {
					f()
				}
			}()
		}
		check(NoNewPrivs())
		check(Install(denyGetpriority(9), TSYNC))
		count := map[string]int{}
		for range 8 {
			threads <- func() {
				time.Sleep(10 * time.Millisecond)
				n, _ := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
				results <- fmt.Errorf("%v, no_new_privs %d", getpriority(), n)
			}
		}
		for range 8 {
			count[(<-results).Error()]++
		}
		report("threads", count)
	},
	"tsync fails": func() {
		own := make(chan int)
		go ptrace.OwnThread(func() {
			check(NoNewPrivs())
			check(Install(denyGetpriority(7), 0))
			own <- unix.Gettid()
			time.Sleep(time.Minute)
		})
		tid := <-own
		runtime.LockOSThread()
		check(NoNewPrivs())
		err := Install(denyGetpriority(9), TSYNC)
		report("names the thread", err != nil && strings.Contains(err.Error(), fmt.Sprintf("thread %d ", tid)))
		report("is ESRCH", errors.Is(err, unix.ESRCH))
		report("with TSYNC_ESRCH", errors.Is(Install(denyGetpriority(9), TSYNC|TSYNCErrno), unix.ESRCH))
		report("nothing installed", getpriority())
	},
	"too many": func() {
		runtime.LockOSThread()
		check(NoNewPrivs())
		long := append(slices.Repeat(bpf.Program{{Code: bpf.LD | bpf.W | bpf.ABS}}, 4095), allowAll...)
		for i := range 20 {
			if err := Install(long, 0); err != nil {
				report(fmt.Sprintf("after %d", i), errors.Is(err, unix.ENOMEM))
				return
			}
		}
	},
	"listener": func() {
		runtime.LockOSThread()
		check(NoNewPrivs())
		l, err := InstallListener(allowAll, 0)
		check(err)
		check(l.control(func(fd int) error {
			flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
			report("close-on-exec", flags)
			return err
		}))
		_, err = InstallListener(allowAll, 0)
		report("second", errors.Is(err, unix.EBUSY))
	},
	// An earlier filter that fakes the success of seccomp(2) when it is given a filter.
	"faked": func() {
		runtime.LockOSThread()
		check(NoNewPrivs())
		check(Install(bpf.Program{
			{Code: bpf.LD | bpf.W | bpf.ABS, K: bpf.OffsetNr},
			{Code: bpf.JMP | bpf.JEQ | bpf.K, Jt: 7, K: unix.SYS_PRCTL}, // it says that there is no filter, too
			{Code: bpf.JMP | bpf.JEQ | bpf.K, Jf: 7, K: unix.SYS_SECCOMP},
			{Code: bpf.LD | bpf.W | bpf.ABS, K: bpf.OffsetNr + 16},
			{Code: bpf.JMP | bpf.JEQ | bpf.K, Jt: 4}, // SECCOMP_SET_MODE_STRICT
			{Code: bpf.LD | bpf.W | bpf.ABS, K: 32},  // the pointer's halves
			{Code: bpf.JMP | bpf.JEQ | bpf.K, Jf: 2},
			{Code: bpf.LD | bpf.W | bpf.ABS, K: 36},
			{Code: bpf.JMP | bpf.JEQ | bpf.K, Jt: 1},
			{Code: bpf.RET | bpf.K, K: uint32(bpf.Errno)},
			{Code: bpf.RET | bpf.K, K: uint32(bpf.Allow)},
		}, 0))
		report("error", Install(denyGetpriority(7), 0))
		_, err := InstallListener(allowAll, 0)
		report("listener", err)
		report("call", getpriority())
		report("strict", Strict() != nil)
	},
	// Strict mode kills the thread and not the process.
	"strict": func() {
		tid := make(chan int)
		go ptrace.OwnThread(func() { // not the first thread, which would remain as a zombie
			tid <- unix.Gettid()
			// The runtime's SIGURG, which comes after 10 ms on a thread, ends in calls that strict mode kills for.
			var all unix.Sigset_t
			for i := range all.Val {
				all.Val[i] = ^all.Val[i]
			}
			check(unix.PthreadSigmask(unix.SIG_SETMASK, &all, nil))
			if err := Strict(); err != nil {
				os.Exit(3)
			}
			buf := []byte("in strict mode\n")
			for range 2 {
				unix.RawSyscall(unix.SYS_WRITE, 1, uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)))
			}
			unix.RawSyscall(unix.SYS_GETPPID, 0, 0, 0) // SIGKILL
			os.Exit(4)
		})
		id := <-tid
		// No Go scheduling from here on is safe: poll with raw calls.
		for range 2000 {
			if _, _, e := unix.RawSyscall(unix.SYS_TGKILL, uintptr(unix.Getpid()), uintptr(id), 0); e == unix.ESRCH {
				buf := []byte("the thread is gone, the process is not\n")
				unix.RawSyscall(unix.SYS_WRITE, 1, uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)))
				unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
			}
			ts := unix.Timespec{Nsec: 1_000_000}
			unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&ts)), 0, 0)
		}
		unix.RawSyscall(unix.SYS_EXIT_GROUP, 5, 0, 0)
	},
	// Stands still with three filters on its first thread, one on a second, none on a third; prints the ids.
	"stand": func() {
		ids := make(chan int)
		// A main goroutine in TestMain is on the first thread or not; OwnThread never is.
		go ptrace.OwnThread(func() {
			check(NoNewPrivs())
			check(Install(denyGetpriority(4), 0))
			ids <- unix.Gettid()
			select {}
		})
		one := <-ids
		go ptrace.OwnThread(func() { ids <- unix.Gettid(); select {} })
		none := <-ids
		go ptrace.OwnThread(func() {
			check(NoNewPrivs())
			for i := range 3 {
				check(Install(denyGetpriority(uint16(i+1)), 0))
			}
			ids <- unix.Gettid()
			select {}
		})
		fmt.Println("threads", <-ids, one, none)
		io.Copy(io.Discard, os.Stdin)
		fmt.Println("alive")
	},
	"dump": func() {
		pid, err := strconv.Atoi(os.Args[1])
		check(err)
		_, err = Dump(pid)
		fmt.Printf("EPERM: %v, takes root: %v\n", errors.Is(err, unix.EPERM), strings.Contains(fmt.Sprint(err), "it takes root"))
	},
	"features": func() {
		for _, f := range Features() {
			report(string(f.Feature), fmt.Sprintf("%v %v (%s; %s)", f.Err == nil, f.Err, f.Detail, f.Since))
		}
		time.Sleep(20 * time.Millisecond)
		tasks, err := os.ReadDir("/proc/self/task")
		check(err)
		for _, task := range tasks {
			status, err := os.ReadFile("/proc/self/task/" + task.Name() + "/status")
			if err == nil && (!strings.Contains(string(status), "\nSeccomp:\t0") || !strings.Contains(string(status), "\nNoNewPrivs:\t0")) {
				report("left on thread", task.Name())
			}
		}
	},
}

func check(err error) {
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(2)
	}
}

func report(what string, v any) { fmt.Printf("%s: %v\n", what, v) }

func getpriority() error {
	_, _, errno := unix.RawSyscall(unix.SYS_GETPRIORITY, 0, 0, 0)
	if errno == 0 {
		return nil
	}
	return errno
}

func denyGetpriority(errno uint16) bpf.Program {
	return bpf.Program{
		{Code: bpf.LD | bpf.W | bpf.ABS, K: bpf.OffsetNr},
		{Code: bpf.JMP | bpf.JEQ | bpf.K, Jf: 1, K: unix.SYS_GETPRIORITY},
		{Code: bpf.RET | bpf.K, K: uint32(bpf.Errno) | uint32(errno)},
		{Code: bpf.RET | bpf.K, K: uint32(bpf.Allow)},
	}
}

func deed(t *testing.T, name string) string {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), deedEnv+"="+name)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

func TestInstall(t *testing.T) {
	root := os.Geteuid() == 0
	for name, want := range map[string]string{
		// Root needs no no_new_privs: the first installation succeeds.
		"install":     fmt.Sprintf("before: %v\nthis thread: argument list too long\nanother: <nil>\n", !root),
		"tsync":       "threads: map[bad file descriptor, no_new_privs 1:8]\n",
		"tsync fails": "names the thread: true\nis ESRCH: true\nwith TSYNC_ESRCH: true\nnothing installed: <nil>\n",
		"too many":    "after 7: true\n",
		"faked": "error: installing a filter: " + ptrace.ErrFaked.Error() +
			"\nlistener: installing a filter: " + ptrace.ErrFaked.Error() + "\ncall: <nil>\nstrict: true\n",
		"listener": "close-on-exec: 1\nsecond: true\n",
		"strict":   "in strict mode\nin strict mode\nthe thread is gone, the process is not\n",
	} {
		t.Run(name, func(t *testing.T) {
			if got := deed(t, name); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// These don't get past the kernel's first look, so they are safe here.
func TestInstallErrors(t *testing.T) {
	for _, tt := range []struct {
		p    bpf.Program
		f    Flags
		want error
		text string
	}{
		{nil, 0, unix.EINVAL, "1 to 4096 instructions, this one has 0"},
		{make(bpf.Program, 4097), 0, unix.EINVAL, "this one has 4097"},
		{bpf.Program{{Code: bpf.RET | bpf.X}}, 0, unix.EINVAL, "does not admit"},
		{allowAll, 1 << 12, unix.EINVAL, "flag (0x1000)"},
		{allowAll, NewListener, unix.EINVAL, "InstallListener"},
		{allowAll, WaitKillableRecv, unix.EINVAL, "WAIT_KILLABLE_RECV"},
	} {
		// Of an ordinary user's thread without no_new_privs the kernel looks at nothing else.
		var err error
		ptrace.OwnThread(func() {
			if err = NoNewPrivs(); err == nil {
				err = Install(tt.p, tt.f)
			}
		})
		if !errors.Is(err, tt.want) || !strings.Contains(fmt.Sprint(err), tt.text) {
			t.Errorf("%v: %v, want %q", tt.f, err, tt.text)
		}
	}
}

func TestFlagsString(t *testing.T) {
	for f, want := range map[Flags]string{0: "0", TSYNC: "TSYNC", LOG | NewListener: "LOG|NEW_LISTENER", 1<<20 | SpecAllow: "SPEC_ALLOW|0x100000"} {
		if got := f.String(); got != want {
			t.Errorf("%#x: %s, want %s", uint32(f), got, want)
		}
	}
}

// stand starts the child of deed "stand" and returns the ids of its threads with three, one and no filters.
func stand(t *testing.T) (cmd *exec.Cmd, ids [3]int, end func() string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	cmd = exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), deedEnv+"=stand")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	r := bufio.NewReader(out)
	line, _ := r.ReadString('\n')
	if _, err := fmt.Sscanf(line, "threads %d %d %d", &ids[0], &ids[1], &ids[2]); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return cmd, ids, func() string {
		in.Close()
		line, _ := r.ReadString('\n')
		return line
	}
}

// ways are the two that Dump has of reading filters.
var ways = map[string]func(tid int) ([]bpf.Program, error){"Dump": Dump, "stopped": dumpStopped}

func TestDump(t *testing.T) {
	for name, read := range ways {
		t.Run(name, func(t *testing.T) { testDump(t, read) })
	}
}

func testDump(t *testing.T, read func(int) ([]bpf.Program, error)) {
	_, ids, end := stand(t)
	for i, n := range []int{3, 1} { // nothing besides what was installed
		for range 3 {
			got, err := read(ids[i])
			if err != nil || len(got) != n {
				t.Fatalf("thread with %d filters: %v, %v", n, got, err)
			}
			for j, p := range got {
				want := denyGetpriority(uint16(j + 1)) // the oldest denies with 1
				if i == 1 {
					want = denyGetpriority(4)
				}
				if !slices.Equal(p, want) {
					t.Errorf("filter %d is %v, want %v", j, p, want)
				}
			}
		}
	}
	if _, err := read(ids[2]); !errors.Is(err, ErrNoFilter) {
		t.Errorf("thread without: %v", err)
	}
	if got := end(); got != "alive\n" {
		t.Errorf("afterwards the process says %q", got)
	}
}

// A process that was stopped stays so, and goes on when it is told to.
func TestDumpOfStopped(t *testing.T) {
	for name, read := range ways {
		t.Run(name, func(t *testing.T) { testDumpOfStopped(t, read) })
	}
}

func testDumpOfStopped(t *testing.T, read func(int) ([]bpf.Program, error)) {
	cmd, ids, end := stand(t)
	pid := cmd.Process.Pid
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	waitStopped := func() bool {
		for range 100 {
			status, err := sys.ReadStatus(ids[0])
			if err != nil {
				t.Fatal(err)
			}
			if status.State == 'T' {
				return true
			}
			time.Sleep(5 * time.Millisecond)
		}
		return false
	}
	if !waitStopped() {
		t.Fatal("it doesn't stop")
	}
	if got, err := read(ids[0]); err != nil || len(got) != 3 {
		t.Fatalf("%v, %v", got, err)
	}
	time.Sleep(20 * time.Millisecond)
	if !waitStopped() {
		t.Error("it was stopped before and isn't any more")
	}
	if err := unix.Kill(pid, unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if got := end(); got != "alive\n" {
		t.Errorf("afterwards the process says %q", got)
	}
}

func TestDumpErrors(t *testing.T) {
	if _, err := Dump(unix.Getpid()); !errors.Is(err, ErrNoFilter) {
		t.Errorf("ourselves: %v", err)
	}
	for _, pid := range []int{0, -1, 1 << 30} {
		if _, err := Dump(pid); !errors.Is(err, unix.ESRCH) || !strings.Contains(err.Error(), strconv.Itoa(pid)) {
			t.Errorf("process %d: %v", pid, err)
		}
	}
	t.Run("traced already", func(t *testing.T) {
		_, ids, _ := stand(t)
		seized := make(chan int)
		done := make(chan struct{})
		go ptrace.OwnThread(func() {
			if err := ptrace.Seize(ids[0], 0); err != nil {
				t.Error(err)
			}
			seized <- unix.Getpid()
			<-done
		})
		tracer := <-seized
		_, err := dumpStopped(ids[0])
		if _, err := peek.Filters(ids[0]); err != nil && !errors.Is(err, peek.ErrUnavailable) {
			t.Errorf("from memory: %v", err)
		}
		close(done)
		if !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), fmt.Sprintf("process %d traces it", tracer)) &&
			!strings.Contains(err.Error(), "traces it already") {
			t.Errorf("%v", err)
		}
	})
	t.Run("ordinary user", func(t *testing.T) {
		_, ids, _ := stand(t)
		cmd := exec.Command("/proc/self/exe", strconv.Itoa(ids[0]))
		cmd.Env = append(os.Environ(), deedEnv+"=dump")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.CombinedOutput()
		if err != nil || string(out) != "EPERM: true, takes root: true\n" {
			t.Errorf("%v\n%s", err, out)
		}
	})
	t.Run("strict", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("needs root")
		}
		ptrace.OwnThread(func() {
			p, err := ptrace.Start("/proc/self/exe", []string{"x"}, &syscall.ProcAttr{})
			if err != nil {
				t.Error(err)
				return
			}
			defer p.Kill()
			in, err := ptrace.NewInjection(p.Image)
			if errors.Is(err, errors.ErrUnsupported) {
				t.Skip("needs amd64 or arm64")
			}
			if err == nil {
				err = in.Do(ptrace.Prctl, unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_STRICT)
			}
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := Dump(p.PID); !errors.Is(err, ErrStrict) {
				t.Errorf("%v", err)
			}
		})
	})
}

// The probes see what the kernel says elsewhere, and leave nothing behind.
func TestFeatures(t *testing.T) {
	out := deed(t, "features")
	t.Log(out)
	controlled := "true <nil>"
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		controlled = "false started programs can be controlled on amd64 and arm64 only"
	}
	for _, want := range []string{"filter mode: true <nil>", "strict mode: " + controlled, "ptrace: " + controlled, "unprivileged install: true <nil>",
		"flag TSYNC: true <nil>", "action kill_process: true <nil>"} {
		if !strings.Contains(out, want) {
			t.Errorf("missing %q", want)
		}
	}
	if strings.Contains(out, "left on thread") {
		t.Error("a probe left something")
	}
	avail, err := os.ReadFile("/proc/sys/kernel/seccomp/actions_avail")
	if err != nil {
		t.Skipf("needs /proc/sys/kernel/seccomp: %v", err)
	}
	for _, a := range []struct{ ours, theirs string }{{"kill_process", "kill_process"}, {"notify", "user_notif"}, {"log", "log"}, {"trap", "trap"}} {
		has := slices.Contains(strings.Fields(string(avail)), a.theirs)
		if strings.Contains(out, "action "+a.ours+": true") != has {
			t.Errorf("action %s: the kernel says %v", a.ours, has)
		}
	}
	if zombies := children(t); len(zombies) > 0 {
		t.Errorf("children left: %v", zombies)
	}
}

func children(t *testing.T) []string {
	t.Helper()
	tasks, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range tasks {
		list, _ := os.ReadFile(f)
		all = append(all, strings.Fields(string(list))...)
	}
	return all
}

func BenchmarkFeatures(b *testing.B) {
	for b.Loop() {
		Features()
	}
}
