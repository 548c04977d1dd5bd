package monban_test

import (
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"monban/scan"

	"golang.org/x/sys/unix"

	"monban"
)

// A filter cannot be taken off again, so each test of one runs this binary anew, with what to do in the environment.
const childEnv = "MONBAN_TEST_CHILD"

func TestMain(m *testing.M) {
	if what := os.Getenv(childEnv); what != "" {
		if err := child(what); err != nil {
			fmt.Fprintln(os.Stderr, err)
			syscall.Exit(1)
		}
		syscall.Exit(0) // with -cover, os.Exit would write counters, which the gate need not allow
	}
	os.Exit(m.Run())
}

// run runs a child and returns how it ended and what it said.
func run(t *testing.T, what string, uid int) (syscall.WaitStatus, string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childEnv+"="+what)
	if uid != os.Getuid() {
		if os.Getuid() != 0 {
			t.Skip("needs root to become another user")
		}
		copied := t.TempDir() + "/test"
		b, err := os.ReadFile(exe)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(copied, b, 0o755); err != nil {
			t.Fatal(err)
		}
		for dir := copied; strings.Contains(dir, "Test"); dir = dir[:strings.LastIndexByte(dir, '/')] {
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		cmd.Path = copied
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	}
	out, err := cmd.CombinedOutput()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		t.Fatal(err)
	}
	return cmd.ProcessState.Sys().(syscall.WaitStatus), string(out)
}

// needs is what Enforce insists on.
//
//go:embed runtime.gate
var needs string

var children = map[string]struct {
	gate string
	do   func() error
}{
	"runtime":   {"include @go-runtime\nallow @network-io\n", useRuntime},
	"exec":      {"include @go-exec\n", useExec},
	"fork":      {"include @go-runtime\nallow write exit exit_group\n", forkNow},
	"threads":   {"include @go-runtime\nerrno(EXDEV) getppid\n", everyThread},
	"nnp":       {"include @go-runtime\nallow prctl\n", noNewPrivs},
	"container": {"include @container\n", useRuntime},
	"long":      {manyRequests() + "include @go-runtime\nallow @network-io\n", everyRequest},
}

func child(what string) error {
	c := children[what]
	p, err := monban.Parse(c.gate, monban.Options{})
	if err != nil {
		return err
	}
	if err := monban.Enforce(p); err != nil {
		return err
	}
	return c.do()
}

// useRuntime makes the Go runtime do all that it does by itself.
func useRuntime() error {
	// Goroutines on many threads, and the collector at work.
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			runtime.LockOSThread() // a thread each: they end with their goroutine
			garbage := make([][]byte, 0, 100)
			for range 100 {
				garbage = append(garbage, make([]byte, 64<<10))
			}
			runtime.KeepAlive(garbage)
		})
	}
	wg.Wait()
	runtime.GC()
	debug.FreeOSMemory()

	// Timers.
	ticker := time.NewTicker(time.Millisecond)
	for range 5 {
		<-ticker.C
	}
	ticker.Stop()
	time.Sleep(3 * time.Millisecond)

	// Signals.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGURG, syscall.SIGUSR1)
	if err := syscall.Kill(os.Getpid(), syscall.SIGUSR1); err != nil {
		return fmt.Errorf("kill: %w", err)
	}
	for s := <-signals; s != syscall.SIGUSR1; {
		s = <-signals
	}
	signal.Stop(signals)

	// The network poller.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer listener.Close()
	go func() {
		if c, err := listener.Accept(); err == nil {
			time.Sleep(5 * time.Millisecond)
			fmt.Fprintln(c, "hello")
			c.Close()
		}
	}()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	var word string
	if _, err := fmt.Fscan(conn, &word); err != nil || word != "hello" {
		return fmt.Errorf("read %q: %w", word, err)
	}
	fmt.Println("done")
	return nil
}

func useExec() error {
	out, err := exec.Command("/bin/sh", "-c", "exit 7").CombinedOutput()
	var ended *exec.ExitError
	if errors.As(err, &ended) && (ended.ExitCode() == 7 || ended.Sys().(syscall.WaitStatus).Signaled()) {
		fmt.Println("done", ended) // it was started, behind the same gate, and waited for
		return nil
	}
	return fmt.Errorf("%s: %w", out, err)
}

func forkNow() error {
	fmt.Println("before")
	syscall.RawSyscall(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0)
	fmt.Println("after")
	return nil
}

// everyThread asks for getppid on threads that were there before the gate and on new ones.
func everyThread() error {
	for range 20 {
		errs := make(chan error)
		go func() {
			runtime.LockOSThread()
			_, _, errno := syscall.RawSyscall(syscall.SYS_GETPPID, 0, 0, 0)
			errs <- errno
		}()
		if err := <-errs; !errors.Is(err, syscall.EXDEV) {
			return fmt.Errorf("a thread is not behind the gate: %v", err)
		}
	}
	fmt.Println("done")
	return nil
}

// requests is enough of them to take more than one filter.
const requests = 3000

// manyRequests gives each request of ioctl an errno of its own, and denies what installing filters takes.
func manyRequests() string {
	var b strings.Builder
	for i := range requests {
		fmt.Fprintf(&b, "errno(%d) ioctl(request == %d)\n", 1000+i, 100+i*7919)
	}
	b.WriteString("errno(EXDEV) seccomp getppid prctl(option in {PR_GET_SECCOMP, PR_SET_SECCOMP})\n")
	return b.String()
}

func everyRequest() error {
	status, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		return err
	}
	var filters int
	if _, rest, ok := strings.Cut(string(status), "Seccomp_filters:"); ok {
		fmt.Sscan(rest, &filters)
	}
	if filters != 2 { // of the policy, and none besides
		return fmt.Errorf("%d filters", filters)
	}
	for i := range requests {
		_, _, errno := syscall.RawSyscall(syscall.SYS_IOCTL, ^uintptr(0), uintptr(100+i*7919), 0)
		if errno != syscall.Errno(1000+i) {
			return fmt.Errorf("request %d: %w", i, errno)
		}
	}
	if _, _, errno := syscall.RawSyscall(unix.SYS_SECCOMP, 1, 0, 0); errno != syscall.EXDEV {
		return fmt.Errorf("seccomp: %w", errno)
	}
	return errors.Join(everyThread(), useRuntime())
}

func noNewPrivs() error {
	on, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	if err != nil || on != 1 {
		return fmt.Errorf("no_new_privs is %d: %v", on, err)
	}
	fmt.Println("done")
	return nil
}

func TestEnforce(t *testing.T) {
	for _, uid := range []int{os.Getuid(), 65534} {
		for _, what := range []string{"runtime", "threads", "nnp", "exec", "container", "long"} {
			t.Run(fmt.Sprintf("%s/uid%d", what, uid), func(t *testing.T) {
				if status, out := run(t, what, uid); status.ExitStatus() != 0 || !strings.Contains(out, "done") {
					t.Errorf("ended with %v (signal %v): %s", status.ExitStatus(), status.Signal(), out)
				}
			})
		}
	}
}

func TestDeniedCallKills(t *testing.T) {
	status, out := run(t, "fork", os.Getuid())
	if status.Signal() != syscall.SIGSYS || !strings.HasPrefix(out, "before\n") || strings.Contains(out, "after") {
		t.Errorf("ended with signal %v: %q", status.Signal(), out)
	}
}

// A gate made by scanning a server is enough for that server, and so Enforce takes it: what it insists on is what the
// runtime needs.
func TestEnforceScanned(t *testing.T) {
	dir := t.TempDir()
	server := filepath.Join(dir, "server")
	build := exec.Command("go", "build", "-o", server, "./testdata/server")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	r, err := scan.Files(t.Context(), []string{server}, scan.Options{})
	if err != nil {
		t.Fatal(err)
	}
	text := "default kill_process\n"
	for _, c := range r.Calls {
		if c.Name != "" {
			text += "allow optional " + c.Name + "\n"
		}
	}
	gate := filepath.Join(dir, "server.gate")
	if err := os.WriteFile(gate, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(server, gate).CombinedOutput(); err != nil || string(out) != "done\n" {
		t.Errorf("%v: %s, behind\n%s", err, out, text)
	}
	// What is insisted on is enough for the runtime: the rest is the server's own.
	own := strings.Replace(needs, "errno(EPERM)", "kill_process", 1) + "allow @network-io read write close openat fcntl uname getrandom\n"
	if err := os.WriteFile(gate, []byte(own), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(server, gate).CombinedOutput(); err != nil || string(out) != "done\n" {
		t.Errorf("%v: %s, behind what is insisted on", err, out)
	}
	// Without any one of the calls that are insisted on, it is refused, and says which.
	if err := os.WriteFile(gate, []byte("kill_process epoll_pwait\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(server, gate).CombinedOutput(); err == nil || !strings.Contains(string(out), "it needs epoll_pwait:") {
		t.Errorf("%v: %s", err, out)
	}
}
