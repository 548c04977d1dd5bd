package ptrace

import (
	"errors"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"monban/internal/sys"
)

// A sleeper is stopped while it is looked at, and sleeps on afterwards; what looking finds is returned.
func TestLook(t *testing.T) {
	cmd := exec.Command("sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Skipf("needs sleep: %v", err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	pid := cmd.Process.Pid
	state := func() byte {
		t.Helper()
		s, err := sys.ReadStat(pid)
		if err != nil {
			t.Fatal(err)
		}
		return s.State
	}
	until := func(want byte) {
		t.Helper()
		for end := time.Now().Add(time.Minute); state() != want; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("its state is %c, not %c", state(), want)
			}
		}
	}
	until('S')
	found := errors.New("found")
	for _, want := range []error{nil, found} {
		called := 0
		err := Look(pid, time.Minute, func() error {
			if called++; state() != 't' {
				t.Errorf("while it is looked at its state is %c", state())
			}
			return want
		})
		if refused, ok := errors.AsType[*AttachError](err); ok {
			t.Skipf("needs ptrace of children: %v", refused)
		}
		if !errors.Is(err, want) || want == nil && err != nil || called != 1 {
			t.Errorf("looked %d times: %v, want %v", called, err, want)
		}
		until('S')
	}
	if err := cmd.Process.Signal(unix.Signal(0)); err != nil {
		t.Errorf("it has ended: %v", err)
	}
	if err := Look(1<<30, time.Second, func() error { return nil }); !errors.Is(err, unix.ESRCH) {
		t.Errorf("nobody: %v", err)
	}
}
