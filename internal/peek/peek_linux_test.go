package peek

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"monban/bpf"
)

// What a child does that is to be looked at; it says when it begins, and ends when it is killed.
const deedEnv = "MONBAN_TEST_DEED"

func TestMain(m *testing.M) {
	switch os.Getenv(deedEnv) {
	case "":
		os.Exit(m.Run())
	case "all":
		install(stackSize)
	case "one by one":
		fmt.Println("ready")
		for n := range stackSize {
			install1(n)
			time.Sleep(time.Millisecond)
		}
	}
	fmt.Println("ready")
	for { // a program all of whose goroutines wait for ever is ended by Go
		time.Sleep(time.Hour)
	}
}

// The main goroutine stays on the first thread, whose number is the process's.
func init() { runtime.LockOSThread() }

// stackSize is how many filters the child has: the n-th has filterSize(n) instructions.
const stackSize = 60

func filterSize(n int) int {
	if n == stackSize/2 {
		return bpf.MaxInstructions
	}
	return 1 + n
}

// filter allows everything; its instructions say which one it is.
func filter(n int) bpf.Program {
	p := make(bpf.Program, filterSize(n))
	for i := range p {
		p[i] = bpf.Instruction{Code: bpf.LD | bpf.IMM, K: uint32(n)<<16 | uint32(i)}
	}
	p[len(p)-1] = bpf.Instruction{Code: bpf.RET | bpf.K, K: uint32(bpf.Allow)}
	return p
}

func install(n int) {
	for i := range n {
		install1(i)
	}
}

func install1(n int) {
	runtime.LockOSThread()
	var raw []unix.SockFilter
	for _, in := range filter(n) {
		raw = append(raw, unix.SockFilter{Code: in.Code, Jt: in.Jt, Jf: in.Jf, K: in.K})
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		panic(err)
	}
	prog := unix.SockFprog{Len: uint16(len(raw)), Filter: &raw[0]}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0); err != nil {
		panic(err)
	}
}

// child starts one, the first thread of which does the deed.
func child(t *testing.T, deed string) *exec.Cmd {
	t.Helper()
	if _, err := Filters(os.Getpid()); errors.Is(err, ErrUnavailable) {
		t.Skipf("needs root, and Linux 6.1 with type information: %v", err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), deedEnv+"="+deed)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if _, err := fmt.Fscanln(out, new(string)); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// check says how many filters were seen, which must be the oldest of the child's.
func check(t *testing.T, got []bpf.Program) int {
	t.Helper()
	for i, p := range got {
		if !slices.Equal(p, filter(i)) {
			t.Fatalf("filter %d of %d is not as it was installed", i+1, len(got))
		}
	}
	return len(got)
}

func TestFilters(t *testing.T) {
	pid := child(t, "all").Process.Pid
	got, err := Filters(pid)
	if n := check(t, got); err != nil || n != stackSize {
		t.Errorf("%d filters of %d: %v", n, stackSize, err)
	}
	if got, err := Filters(os.Getpid()); err != nil || len(got) != 0 {
		t.Errorf("ourselves: %v, %v", got, err)
	}
	for _, tid := range []int{0, -1, 1 << 30} {
		if _, err := Filters(tid); !errors.Is(err, unix.ESRCH) {
			t.Errorf("thread %d: %v", tid, err)
		}
	}
}

// A stack that grows, and a thread that ends, while it is read: what is said was true at one moment.
func TestFiltersThatChange(t *testing.T) {
	cmd := child(t, "one by one")
	last, kinds := 0, map[int]bool{}
	for end := time.Now().Add(30 * time.Second); last < stackSize && time.Now().Before(end); {
		got, err := Filters(cmd.Process.Pid)
		n := check(t, got)
		if err != nil || n < last {
			t.Fatalf("%d filters after %d: %v", n, last, err)
		}
		last, kinds[n] = n, true
	}
	if last != stackSize || len(kinds) < 3 {
		t.Errorf("%d filters of %d in the end, in %d different states", last, stackSize, len(kinds))
	}
	go cmd.Process.Kill()
	for {
		got, err := Filters(cmd.Process.Pid)
		if n := check(t, got); err != nil || n == 0 {
			if err != nil && !errors.Is(err, unix.ESRCH) {
				t.Error(err)
			}
			break
		} else if n != stackSize {
			t.Fatalf("%d filters of %d while it ends", n, stackSize)
		}
	}
}

// Type information that is cut, or changed anywhere, is refused or read: it never panics.
func TestBrokenTypes(t *testing.T) {
	raw, err := os.ReadFile(kernelTypes)
	if err != nil {
		t.Skipf("needs %s", kernelTypes)
	}
	for _, n := range []int{0, 1, 23, 24, 25, 1000, len(raw) / 2, len(raw) - 1} {
		if _, err := readTypes(raw[:n], "task_struct"); err == nil {
			t.Errorf("%d bytes of %d are read", n, len(raw))
		}
	}
	for i := range 32 {
		broken := slices.Clone(raw)
		broken[i%24+i/24*1000] ^= 0x15
		_, _ = readTypes(broken, "task_struct", "bpf_iter_task")
	}
	got, err := readTypes(raw, "list_head")
	if err != nil {
		t.Fatal(err)
	}
	if next, err := got.offset("list_head", "prev"); err != nil || next != int16(unsafe.Sizeof(uintptr(0))) {
		t.Errorf("list_head.prev is at %d: %v", next, err)
	}
	if _, err := got.offset("list_head", "nothing"); err == nil {
		t.Error("a member that is none has a place")
	}
}
