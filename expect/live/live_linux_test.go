package live_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"monban/abi"
	"monban/bpf"
	"monban/expect"
	"monban/expect/live"
	"monban/gate"
	"monban/policy"
	"monban/policy/lang"
)

// TestMain is the child as well: tests start their own program again.
func TestMain(m *testing.M) {
	if os.Getenv(live.Env) == "" {
		os.Exit(m.Run())
	}
	if err := live.Child(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// itself is the test's own program.
func itself(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return self
}

// The kernel does with a witness what was proven of it, and a result that claims something else is contradicted.
func TestTry(t *testing.T) {
	self := itself(t)
	const text = "arch native\ndefault errno(EPERM)\nunknown errno(ENOSYS)\nallow read getpid exit_group\nlog getppid\nerrno(0) setuid\n" +
		"kill_thread personality\nkill_process umask\ntrap ptrace\n"
	g := load(t, text)
	filters, err := g.Filters()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		line string
		safe bool
		text string // what the kernel did
	}{
		{"errno(EPERM) setgid", true, "errno(EPERM)"},
		{"errno(ENOSYS) 100000", true, "errno(ENOSYS)"},
		{"errno(0) setuid", true, "it returned 0"},
		{"kill_thread personality", true, "kill_thread"},
		{"kill_process umask", true, "kill_process"},
		{"pass getppid", true, fmt.Sprintf("it returned %d", os.Getpid())},
		{"allow getpid", true, "it returned "},
		{"allow read", false, ""},
		{"trap ptrace", false, ""},
	} {
		results, err := prove(t, g, c.line)
		if err != nil || len(results) != 1 || !results[0].Holds {
			t.Errorf("%s: %+v, %v", c.line, results, err)
			continue
		}
		r := &results[0]
		if live.Safe(r) != c.safe {
			t.Errorf("%s: safe to try: %v", c.line, live.Safe(r))
		}
		if !c.safe {
			continue
		}
		if err := live.Try(t.Context(), r, filters, self); err != nil {
			t.Errorf("%s: %v", c.line, err)
			continue
		}
		if !r.Live.Agrees || !strings.HasPrefix(r.Live.Text, c.text) {
			t.Errorf("%s: the kernel says %s, which agrees: %v", c.line, r.Live.Text, r.Live.Agrees)
		}
		// A filter of another meaning.
		wrong := bpf.Program{{Code: bpf.RET, K: uint32(bpf.Errno) | 77}}
		if err := live.Try(t.Context(), r, []bpf.Program{wrong}, self); err != nil || r.Live.Agrees || r.Live.Text != policy.ActionOn(r.Arch, bpf.Errno|77).String() {
			t.Errorf("%s, against another filter: %+v, %v", c.line, r.Live, err)
		}
	}
}

// Calls of other architectures cannot be made here.
func TestSafeForeign(t *testing.T) {
	foreign := abi.S390X
	if abi.Native() == foreign {
		foreign = abi.X86_64
	}
	r := &expect.Result{Arch: foreign, Got: bpf.Errno | 1}
	if live.Safe(r) {
		t.Errorf("a call of %s is safe on %s", foreign, abi.Native())
	}
}

// A child that cannot do it, or doesn't, is an error: never an answer of the kernel's.
func TestTryErrors(t *testing.T) {
	self := itself(t)
	results, err := prove(t, load(t, "arch native\ndefault errno(EPERM)\nunknown errno(ENOSYS)\nallow read\n"), "errno(EPERM) ptrace")
	if err != nil {
		t.Fatal(err)
	}
	r := &results[0]
	ret := bpf.Program{{Code: bpf.RET, K: uint32(bpf.Allow)}}
	if err := live.Try(t.Context(), r, nil, "/does/not/exist"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no command: %v", err)
	}
	if err := live.Try(t.Context(), r, []bpf.Program{{}}, self); err == nil || !strings.Contains(err.Error(), "the child that tries ptrace: ") {
		t.Errorf("a program that the kernel refuses: %v", err)
	}
	for _, command := range []string{"/bin/true", "/bin/false"} {
		if _, err := os.Stat(command); err != nil {
			continue
		}
		if err := live.Try(t.Context(), r, []bpf.Program{ret}, command); err == nil || !strings.HasPrefix(err.Error(), "the child that tries ptrace") {
			t.Errorf("%s as the command: %v", command, err)
		}
	}
	ctx, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	if err := live.Try(ctx, r, []bpf.Program{ret}, self); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("no time: %v", err)
	}
	if r.Live != nil {
		t.Errorf("the kernel is said to have answered: %+v", r.Live)
	}
}

// Who is in the environment only by its name gets nothing done.
func TestChildRefuses(t *testing.T) {
	if err := live.Child(); err == nil || !strings.Contains(err.Error(), live.Env+" is in the environment, and no parent hands over what to do") {
		t.Errorf("without a parent: %v", err)
	}
}

// load is the gate of a text.
func load(t *testing.T, text string) *gate.Gate {
	t.Helper()
	p, err := lang.Load("live.gate", []byte(text), lang.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return gate.OfPolicy("live.gate", p)
}

// prove proves a file's text against a gate.
func prove(t *testing.T, g *gate.Gate, src string) ([]expect.Result, error) {
	t.Helper()
	f, err := expect.Parse("a.expect", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	return f.Prove(g)
}
