package record

import (
	"context"
	"errors"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"monban/abi"
	"monban/bpf"
)

// The filter asks about all that is not known, and lets pass what it says that it does.
func TestAskingFilter(t *testing.T) {
	native := abi.Native()
	gate := "arch native\ndefault errno(EPERM)\nallow mkdirat socket(family == AF_UNIX)\nlog chdir\nerrno(EACCES) connect\n"
	for _, c := range []struct {
		call   string
		passes bool // without a gate
		known  bool // with the one above
	}{
		{"read(0)", true, true}, {"getrandom", true, true}, {"openat(AT_FDCWD)", false, false}, {"execve", false, false},
		{"mkdirat(AT_FDCWD)", false, true}, {"socket(AF_UNIX, SOCK_STREAM)", false, true}, {"socket(AF_INET, SOCK_STREAM)", false, false},
		{"chdir", false, false}, {"connect", false, false}, {"999", false, false},
		{"clone(CLONE_CHILD_SETTID|CLONE_CHILD_CLEARTID|SIGCHLD)", true, true}, {"clone(CLONE_NEWUSER|SIGCHLD)", false, false}, {"clone3", false, false},
	} {
		d := called(t, native, c.call)
		for _, held := range []bool{false, true} {
			want := bpf.Notify
			if held && c.known || !held && c.passes {
				want = bpf.Allow
			}
			p, _, err := askingFilter(nil)
			if held {
				v := meaning(t, strings.Replace(gate, "arch native\n", "", 1))
				p, _, err = askingFilter(&v)
			}
			if err != nil {
				t.Fatal(err)
			}
			if do := p.Run(&d, native.ByteOrder()); do != want {
				t.Errorf("%s, with a gate: %v: %v", c.call, held, do)
			}
		}
	}
	_, passed, err := askingFilter(nil)
	for _, name := range passed {
		if p, _, _ := askingFilter(nil); err != nil || p.Run(&bpf.Data{Arch: native.Token(), Nr: must(native.Number(name))}, native.ByteOrder()) != bpf.Allow {
			t.Errorf("%s is said to pass: %v", name, err)
		}
	}
}

func must(nr uint32, ok bool) uint32 {
	if !ok {
		panic("no such call")
	}
	return nr
}

// The plain fork that passes unseen is in the recording, as clone and with no more than fork's flags.
func TestForks(t *testing.T) {
	r := New(nil, "")
	r.forks(x86)
	c := r.Calls[Key{x86, 56}]
	if c == nil || c.Count != 0 || !slices.Equal(slices.Collect(maps.Keys(c.Values[0].Seen)), []uint64{0x01300011}) {
		t.Errorf("%+v", c)
	}
	if e := Generalise(x86, "clone", c, Safe).String(); e != "flags & ~(CSIGNAL | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID) == 0" {
		t.Error(e)
	}
}

// A run is recorded by who answers its calls: what it did, and behind an exec, how it ended, and which files it was.
func TestNotify(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skipf("needs sh: %v", err)
	}
	told, pid := 0, 0
	rec, result, err := Notify(t.Context(), Run{
		Path: sh, Args: []string{sh, "-c", "mkdir -p /; sleep 0.3; kill -TERM $$"}, Env: []string{"PATH=/bin:/usr/bin"}, Files: true,
		Seen: func(*Recording, time.Duration) { told++ }, Started: func(p int) { pid = p },
	})
	if errors.As(err, new(*UnavailableError)) {
		t.Skipf("needs notifications: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if result.Signal != unix.SIGTERM || pid <= 0 || told == 0 || rec.Lost > 0 {
		t.Errorf("%+v, process %d, told %d times, %d lost", result, pid, told, rec.Lost)
	}
	made := map[string]map[string]uint64{}
	for k, c := range rec.Calls {
		name, _ := k.Arch.Name(k.Nr)
		made[name] = c.Programs
	}
	if made["execve"] == nil || made["kill"] == nil || made["read"] != nil {
		t.Errorf("%v", made)
	}
	if mkdir, err := exec.LookPath("mkdir"); err == nil {
		if mkdir, err = filepath.EvalSymlinks(mkdir); err == nil && (rec.Files[mkdir] == nil || !rec.Is(mkdir)) {
			t.Errorf("%s is not in %v", mkdir, rec.Files)
		}
	}
	if _, result, err := Notify(t.Context(), Run{Path: sh, Args: []string{sh, "-c", "exit 5"}}); err != nil || result.ExitCode != 5 {
		t.Errorf("%+v, %v", result, err)
	}
	if _, _, err := Notify(t.Context(), Run{Path: "/no such program", Args: []string{"x"}}); !errors.Is(err, unix.ENOENT) {
		t.Error(err)
	}
}

// When the context ends, what the first process left behind goes on unrecorded, and nobody waits for it.
func TestNotifyLeaves(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skipf("needs sh: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	began := time.Now()
	_, result, err := Notify(ctx, Run{Path: sh, Args: []string{sh, "-c", "sleep 20 >/dev/null 2>&1 & exit 7"}, Env: []string{"PATH=/bin:/usr/bin"}})
	if errors.As(err, new(*UnavailableError)) {
		t.Skipf("needs notifications: %v", err)
	}
	if err != nil || result.ExitCode != 7 || time.Since(began) > 15*time.Second {
		t.Errorf("%+v, %v after %v", result, err, time.Since(began))
	}
}
