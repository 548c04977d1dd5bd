package child

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// perform starts a child and waits for its end, which comes by itself.
func (s *Script) perform(t *testing.T) (*Child, syscall.WaitStatus) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Release()
	defer unix.Close(c.PIDFD)
	var status syscall.WaitStatus
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		pid, err := syscall.Wait4(c.PID, &status, syscall.WNOHANG|syscall.WALL, nil)
		switch {
		case err != nil && err != syscall.EINTR:
			t.Fatal(err)
		case pid == c.PID:
			if !c.Gone() {
				t.Error("it has ended, and is said to use this memory")
			}
			return c, status
		case time.Now().After(end):
			_ = syscall.Kill(c.PID, syscall.SIGKILL)
			t.Fatal("it does not end")
		}
	}
}

// program finds a program that every system has.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("needs %s: %v", name, err)
	}
	return path
}

// A program gets its arguments, environment, directory and files, and no others; this process's signals stay as they
// are.
func TestProgram(t *testing.T) {
	sh, dir := program(t, "sh"), t.TempDir()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	before := SignalMask()
	var s Script
	s.DieWithParent()
	if err := s.Directory(dir); err != nil {
		t.Fatal(err)
	}
	s.OpenFiles()
	s.Files([]uintptr{Closed, w.Fd(), w.Fd()})
	if err := s.Program(sh, []string{"sh", "-c", `echo "$0 $X $(pwd)"; echo err >&2; exit 7`, "name"}, []string{"X=y", "PATH=" + os.Getenv("PATH")}); err != nil {
		t.Fatal(err)
	}
	c, status := s.perform(t)
	if at, failed := c.AtExec(); !at || failed || status.ExitStatus() != 7 {
		t.Errorf("at its exec: %v, failed: %v, status %v", at, failed, status)
	}
	w.Close()
	out, err := io.ReadAll(r)
	if want := "name y " + dir + "\nerr\n"; err != nil || string(out) != want {
		t.Errorf("%q, %v, want %q", out, err, want)
	}
	if after := SignalMask(); after != before {
		t.Errorf("signals blocked: %#x, and %#x before", after, before)
	}
}

// Files come to their places whatever order they stand in, by way of others where one would be overwritten.
func TestFilesCrossed(t *testing.T) {
	sh := program(t, "sh")
	var files []*os.File
	for range 2 {
		f, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files = append(files, f)
	}
	// 1 and 2 of this process are exchanged, and the files come behind them.
	var s Script
	s.Files([]uintptr{0, 2, 1, files[0].Fd(), files[1].Fd()})
	if err := s.Program(sh, []string{"sh", "-c", "echo three >&3; echo four >&4"}, nil); err != nil {
		t.Fatal(err)
	}
	if _, status := s.perform(t); status.ExitStatus() != 0 {
		t.Fatalf("status %v", status)
	}
	for i, want := range []string{"three\n", "four\n"} {
		if got, err := os.ReadFile(files[i].Name()); err != nil || string(got) != want {
			t.Errorf("file %d has %q, %v", i+3, got, err)
		}
	}
}

// A child that does not come to its exec says at which step it ended, and why.
func TestEnded(t *testing.T) {
	word := uint32(5)
	for name, c := range map[string]struct {
		script func(s *Script)
		want   string
		is     error
	}{
		"an error":       {func(s *Script) { s.Part = "the directory"; s.Directory("/does/not/exist") }, "chdir: no such file or directory", syscall.ENOENT},
		"another result": {func(s *Script) { s.Call("getppid", Equal, unix.SYS_GETPPID) }, "getppid: ", ErrAnswered},
		"no effect": {func(s *Script) {
			s.Add("prctl(PR_SET_X)", Step{Op: Compare, Word: unsafe.Pointer(&word), Want: 6})
		}, "prctl(PR_SET_X): ", ErrAnswered},
		"a signal": {func(s *Script) {
			// The child blocks what it can, and SIGKILL it can't.
			pid := s.Call("getpid", Any, unix.SYS_GETPID)
			at := s.Call("kill", NoError, unix.SYS_KILL, 0, uintptr(unix.SIGKILL))
			s.Steps[at].From = 1 + pid
		}, "kill: the child was ended by SIGKILL", nil},
		"no program":    {func(s *Script) {}, "no such file or directory", syscall.ENOENT},
		"a bad address": {func(s *Script) { s.Call("uname", NoError, unix.SYS_UNAME, 1) }, "uname: bad address", syscall.EFAULT},
	} {
		var s Script
		c.script(&s)
		if err := s.Program("/does/not/exist", []string{"x"}, nil); err != nil {
			t.Fatal(err)
		}
		child, status := s.perform(t)
		err := child.Ended(status)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
		if at, _ := child.AtExec(); at != (name == "no program") {
			t.Errorf("%s: at its exec: %v", name, at)
		}
		if e, ok := errors.AsType[*StepError](err); ok == (name == "no program") || ok && (e.Step != len(s.Steps)-2 && name != "no program") {
			t.Errorf("%s: %#v", name, err)
		} else if ok && name == "an error" && e.Part != "the directory" {
			t.Errorf("%s is of %q", name, e.Part)
		}
	}
}

// A step is tried again as often as it may be, and what a step stores others find.
func TestSteps(t *testing.T) {
	count, word := uintptr(0), uint32(0)
	var s Script
	s.Add("count", Step{Op: Store, Word: unsafe.Pointer(&count), Want: 3})
	again := s.Call("getppid", Any, unix.SYS_GETPPID)
	at := s.Add("never", Step{Op: Compare, Word: unsafe.Pointer(&word), Want: 1, Again: 5, Back: uintptr(again)})
	if err := s.Program("/does/not/exist", []string{"x"}, nil); err != nil {
		t.Fatal(err)
	}
	c, status := s.perform(t)
	step, result, failed := c.Progress()
	if step != at || result != 0 || !failed || status.ExitStatus() != 125 || s.Steps[at].Again != 0 {
		t.Errorf("step %d, result %d, failed %v, status %v, %d times left", step, result, failed, status, s.Steps[at].Again)
	}
	if count != 3 || s.Steps[again].Result != uintptr(os.Getpid()) {
		t.Errorf("stored %d, getppid returned %d", count, s.Steps[again].Result)
	}
}

// Whether a child has come through its exec, its parent can tell as long as it is there.
func TestExeced(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for _, path := range []string{program(t, "true"), "/does/not/exist"} {
		var s Script
		if err := s.Program(path, []string{"true"}, nil); err != nil {
			t.Fatal(err)
		}
		c, err := s.Start()
		if err != nil {
			t.Fatal(err)
		}
		// It is a zombie then, which can still be asked about.
		info := unix.Siginfo{}
		for err = unix.EINTR; err == unix.EINTR; {
			err = unix.Waitid(unix.P_PID, c.PID, &info, unix.WEXITED|unix.WNOWAIT|unix.WALL, nil)
		}
		execed, known := Execed(c.PID)
		if err != nil || !known || execed == strings.HasPrefix(path, "/does") {
			t.Errorf("%s: execed %v, known %v, %v", path, execed, known, err)
		}
		if _, err := syscall.Wait4(c.PID, nil, syscall.WALL, nil); err != nil {
			t.Error(err)
		}
		if execed, known := Execed(c.PID); known {
			t.Errorf("%s is gone, and is said to have execed: %v", path, execed)
		}
		unix.Close(c.PIDFD)
		c.Release()
		c.Release() // once more does nothing
	}
}

// Names that cannot be handed to the kernel are errors before anything is started.
func TestNames(t *testing.T) {
	var s Script
	for what, err := range map[string]error{
		"directory": s.Directory("a\x00b"), "program": s.Program("a\x00b", []string{"a"}, nil), "argument": s.Program("a", []string{"a\x00"}, nil),
		"environment": s.Program("a", []string{"a"}, []string{"X=\x00"}),
	} {
		if !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if len(s.Steps) != 0 {
		t.Errorf("steps were added: %q", s.names)
	}
	if Fails(syscall.ENOSYS) != ^uintptr(37) || !slices.Equal(s.parts, nil) {
		t.Errorf("ENOSYS is %#x", Fails(syscall.ENOSYS))
	}
}
