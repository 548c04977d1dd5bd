//go:build linux && (amd64 || arm64)

package sandbox

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"monban/bpf"
)

// What interrupts the launcher before its program runs ends both.
func TestInterruptedStart(t *testing.T) {
	for _, c := range []Command{{}, {Watch: true}} { // with AllowExec the child goes on by itself
		steps := stepsOf(&c)
		for _, step := range steps[slices.Index(steps, spawn.name):slices.Index(steps, release.name)] {
			marker := filepath.Join(t.TempDir(), "ran")
			c.Path, c.Args, c.Gates = "touch", []string{"touch", marker}, []bpf.Program{gate()}
			p := plan{Command: c, TermAt: step}
			cmd, r := p.command(t)
			out, err := cmd.CombinedOutput()
			cmd.ExtraFiles[0].Close()
			var o outcome
			if json.NewDecoder(r).Decode(&o) != nil {
				if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signal() != unix.SIGTERM { // it came before our handler
					t.Errorf("%s, watch %v: %v, %q", step, c.Watch, err, out)
				}
			} else if o.Result != nil || o.Status != 125 || !strings.HasSuffix(o.Err, "touch was not started: interrupted by SIGTERM") || len(out) > 0 {
				t.Errorf("%s, watch %v: %v, %q", step, c.Watch, o, out)
			}
			if _, err := os.Stat(marker); err == nil {
				t.Errorf("%s, watch %v: the program ran", step, c.Watch)
			}
		}
	}
}

// stormed starts the launcher of a command in a session of its own, has storm send signals to it, and returns how it
// ended and what it reported, once all is calm again.
func stormed(t *testing.T, c Command, what string, storm func(pid int)) (state *os.ProcessState, o outcome, err error) {
	t.Helper()
	p := plan{Command: c}
	cmd, r := p.command(t)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		cmd.Wait()
	}()
	pid := cmd.Process.Pid
	storm(pid)
	unix.Kill(-pid, unix.SIGCONT)
	limit := time.After(50 * time.Second)
	for {
		select {
		case <-over:
			cmd.ExtraFiles[0].Close()
			err = json.NewDecoder(r).Decode(&o)
			return cmd.ProcessState, o, err
		case <-time.After(20 * time.Millisecond):
			unix.Kill(-pid, unix.SIGCONT)
		case <-limit:
			unix.Kill(-pid, unix.SIGKILL)
			t.Fatalf("%s: hung", what)
		}
	}
}

// Whatever signals come at any moment of a start, it ends, nothing runs without its gate, and what has run is not said
// to be not started.
func TestSignalsDuringStart(t *testing.T) {
	dynamic, static := build(t, "gcc", "gated"), build(t, "gcc", "gated", "-static")
	deny := []bpf.Program{gate(answer{nativeArch, unix.SYS_GETPRIORITY, bpf.Errno | 42})}
	before := []bpf.Program{gate(answer{nativeArch, unix.SYS_GETSID, bpf.Errno | 43})}
	kinds := []Command{
		{Path: static, Gates: deny}, {Path: static, Gates: deny, Watch: true}, {Path: static, Gates: deny, AllowExec: true},
		{Path: dynamic, Gates: deny, Loader: before, Watch: true}, {Path: dynamic, Gates: deny, Loader: before}, {Path: dynamic, Strict: true},
	}
	signals := []syscall.Signal{unix.SIGSTOP, unix.SIGCONT, unix.SIGTSTP, unix.SIGCONT, unix.SIGTERM, unix.SIGHUP, unix.SIGUSR1}
	for i := range 20 * len(kinds) {
		c := kinds[i%len(kinds)]
		what := fmt.Sprintf("watch %v, allow exec %v, strict %v, loader %v", c.Watch, c.AllowExec, c.Strict, len(c.Loader) > 0)
		marker := filepath.Join(t.TempDir(), "word")
		c.Args = []string{"gated", marker}
		state, o, err := stormed(t, c, what, func(pid int) {
			time.Sleep(rand.N(20 * time.Millisecond))
			to := []int{-pid, pid}[rand.IntN(2)]
			for end := time.Now().Add(rand.N(20 * time.Millisecond)); time.Now().Before(end); {
				unix.Kill(to, signals[rand.IntN(len(signals))])
				time.Sleep(rand.N(time.Millisecond))
			}
		})
		word, missing := os.ReadFile(marker)
		switch ws := state.Sys().(syscall.WaitStatus); {
		case len(word) > 0 && string(word) != "gated":
			t.Errorf("%s: the program wrote %q; %v", what, word, o)
		case err != nil && !ws.Signaled(): // by TERM or HUP, before there was a handler
			t.Errorf("%s: no report; the launcher: %v", what, state)
		case o.Err != "" && o.Status == 125 && missing == nil:
			t.Errorf("%s: %v, and the program ran", what, o)
		}
	}
}

// Signals that stop and continue launcher and child at any moment of a start delay it, and no more.
func TestStopsDuringStart(t *testing.T) {
	path := build(t, "gcc", "gated", "-static")
	kinds := []Command{{}, {Watch: true}, {AllowExec: true}}
	signals := []syscall.Signal{unix.SIGSTOP, unix.SIGCONT, unix.SIGTSTP, unix.SIGCONT}
	for i := range 60 {
		c := kinds[i%len(kinds)]
		what := fmt.Sprintf("allow exec %v, watch %v", c.AllowExec, c.Watch)
		marker := filepath.Join(t.TempDir(), "word")
		c.Path, c.Args = path, []string{"gated", marker}
		c.Gates = []bpf.Program{gate(answer{nativeArch, unix.SYS_GETPRIORITY, bpf.Errno | 42})}
		state, o, err := stormed(t, c, what, func(pid int) {
			for end := time.Now().Add(rand.N(40 * time.Millisecond)); time.Now().Before(end); {
				unix.Kill(-pid, signals[rand.IntN(len(signals))])
				time.Sleep(rand.N(300 * time.Microsecond))
			}
		})
		if word, _ := os.ReadFile(marker); err != nil || o.Err != "" || o.Result.ExitCode != 0 || string(word) != "gated" {
			t.Errorf("%s: %v, %v, wrote %q; the launcher: %v", what, o, err, word, state)
		}
	}
}
