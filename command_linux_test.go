package monban_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"monban"
	"monban/sandbox"
)

func parse(t testing.TB, text string) *monban.Policy {
	t.Helper()
	p, err := monban.Parse(text, monban.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A command is what an exec.Cmd is, and bound.
func TestCommand(t *testing.T) {
	p := parse(t, "include @container\n")
	out, err := monban.Command(p, "sh", "-c", "echo out; echo err >&2; exit 7").CombinedOutput()
	e, ok := errors.AsType[*monban.ExitError](err)
	if string(out) != "out\nerr\n" || !ok || e.ExitCode != 7 || e.Error() != "exit status 7" {
		t.Errorf("%q, %v", out, err)
	}
	c := monban.Command(p, "sh", "-c", "read a; echo $a $B $PWD; grep ^Seccomp: /proc/self/status")
	c.Stdin, c.Env, c.Dir = strings.NewReader("line\nmore than is read\n"), []string{"B=b", "PATH=" + os.Getenv("PATH")}, "/"
	if out, err := c.Output(); err != nil || string(out) != "line b /\nSeccomp:\t2\n" {
		t.Errorf("%q, %v", out, err)
	}
	if c.Result == nil || c.Result.ExitCode != 0 {
		t.Errorf("the result is %v", c.Result)
	}
	if err := c.Start(); err == nil {
		t.Error("started twice")
	}
	if err := c.Wait(); err == nil {
		t.Error("waited for twice")
	}
	if err := monban.Command(p, "true").Wait(); err == nil {
		t.Error("waited for what was not started")
	}
}

// A killed call is named, with the rule.
func TestCommandNamesKilled(t *testing.T) {
	p := parse(t, "kill_process mkdir mkdirat\ninclude @container\n")
	out, err := monban.Command(p, "mkdir", t.TempDir()+"/x").CombinedOutput()
	e, ok := errors.AsType[*monban.ExitError](err)
	if !ok || e.Signal != syscall.SIGSYS || len(e.Denied()) != 1 {
		t.Fatalf("%q, %v", out, err)
	}
	d := e.Denied()[0]
	if rule, at := d.Rule(); !strings.HasPrefix(d.Call(), "mkdir") || at.Line != 1 || !strings.HasPrefix(rule, "kill_process mkdir") || d.Comm != "mkdir" {
		t.Errorf("%s, %s: %s", d.Call(), at, rule)
	}
	if !strings.Contains(err.Error(), "signal: bad system call; killed: mkdir") || !strings.Contains(err.Error(), " by mkdir, policy:1:") {
		t.Error(err)
	}
}

// Pipes, while it runs.
func TestCommandPipes(t *testing.T) {
	c := monban.Command(parse(t, "include @container\n"), "cat")
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if c.PID() <= 0 || syscall.Kill(c.PID(), 0) != nil {
		t.Errorf("process %d", c.PID())
	}
	if _, err := io.WriteString(in, "through\n"); err != nil {
		t.Error(err)
	}
	b := make([]byte, 8)
	if _, err := io.ReadFull(out, b); err != nil || string(b) != "through\n" {
		t.Errorf("%q, %v", b, err)
	}
	in.Close()
	if rest, err := io.ReadAll(out); err != nil || len(rest) > 0 {
		t.Errorf("%q, %v", rest, err)
	}
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
}

// What is not started says why, and leaves nothing.
func TestCommandErrors(t *testing.T) {
	p := parse(t, "include @container\n")
	for name, kind := range map[string]error{"no-such-command": sandbox.ErrNotFound, "/etc/passwd": sandbox.ErrNotExecutable} {
		if err := monban.Command(p, name).Run(); !errors.Is(err, kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
	err := monban.Command(parse(t, "notify connect\ninclude @container\n"), "true").Run()
	if _, ok := errors.AsType[*monban.SupervisorError](err); !ok {
		t.Errorf("a policy that somebody must answer: %v", err)
	}
	if err := monban.Command(parse(t, "arch s390x\ndefault errno(EPERM)\nallow read\n"), "true").Run(); err == nil {
		t.Error("a policy for another machine")
	}
	ctx, cancel := context.WithCancel(t.Context())
	c := monban.CommandContext(ctx, p, "sleep", "1000")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(10*time.Millisecond, cancel)
	if e, ok := errors.AsType[*monban.ExitError](c.Wait()); !ok || e.Signal != syscall.SIGKILL {
		t.Errorf("cancelled: %v", e)
	}
	before, _ := os.ReadDir("/proc/self/fd")
	for range 20 {
		_ = monban.Command(p, "no-such-command").Run()
		_, _ = monban.Command(p, "true").Output()
	}
	if after, _ := os.ReadDir("/proc/self/fd"); len(after) > len(before)+3 {
		t.Errorf("%d descriptors, %d before", len(after), len(before))
	}
}

// What comes after the end of a program, before anybody waits for it, is not sent to whoever has its number then.
func TestCommandEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := monban.CommandContext(ctx, parse(t, "include @container\n"), "true")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	pid := c.PID()
	for range 1000 {
		if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); err != nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	cancel()
	time.Sleep(10 * time.Millisecond)
	if err := c.Wait(); err != nil || c.Result.Signal != 0 {
		t.Errorf("%v, %+v", err, c.Result)
	}
}

// Who has no policy gets an error: not a panic, and nothing runs.
func TestNoPolicy(t *testing.T) {
	for what, err := range map[string]error{
		"Command": monban.Command(nil, "true").Run(), "Cmd{}": (&monban.Cmd{}).Run(),
		"Check": monban.Check(nil, monban.Options{}), "Enforce": monban.Enforce(nil),
	} {
		if err == nil || err.Error() != "there is no policy" {
			t.Errorf("%s: %v", what, err)
		}
	}
	p := parse(t, "include @container\n")
	if got := sandbox.ExitStatus(monban.Command(p, "sh", "-c", "exit 7").Run()); got != 7 {
		t.Errorf("the status of a program that has ended is %d", got)
	}
}
