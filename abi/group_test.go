package abi

import (
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestGroups(t *testing.T) {
	names := Groups()
	if !slices.IsSorted(names) {
		t.Errorf("not sorted: %v", names)
	}
	for _, want := range strings.Fields(`@aio @basic-io @chown @clock @cpu-emulation @debug @default @event-loop @exec @file-system @io-event
		@io-uring @ipc @keyring @known @memlock @memory @module @mount @network-io @obsolete @pkey @privileged @process @raw-io @reboot
		@resources @sandbox @setuid @signal @swap @sync @system-service @timer`) {
		if !slices.Contains(names, want) {
			t.Errorf("no %s", want)
		}
	}
	covered := map[string]bool{}
	for _, name := range names {
		calls, ok := Group(name, Version{})
		if !ok || len(calls) == 0 || !slices.IsSorted(calls) || len(slices.Compact(slices.Clone(calls))) != len(calls) {
			t.Errorf("%s: %v, %v", name, calls, ok)
		}
		for _, call := range calls {
			if !Known(call) {
				t.Errorf("%s has %s, which isn't a call", name, call)
			}
			covered[call] = covered[call] || name != "@known"
		}
	}
	for _, call := range Calls() {
		if !covered[call] {
			t.Errorf("%s is in no group", call)
		}
	}
	for _, name := range []string{"@nonsense", "basic-io", "", "@"} {
		if calls, ok := Group(name, Version{}); ok {
			t.Errorf("%q: %v", name, calls)
		}
	}
}

func TestGroupOfKernel(t *testing.T) {
	for _, c := range []struct {
		group, call string
		kernel      Version
		want        bool
	}{
		{"@basic-io", "close_range", Version{5, 8, 0}, false}, {"@basic-io", "close_range", Version{5, 9, 0}, true},
		{"@file-system", "setxattrat", Version{6, 12, 0}, false}, {"@file-system", "setxattrat", Version{6, 13, 0}, true},
		{"@file-system", "setxattrat", Version{}, true}, {"@io-uring", "io_uring_setup", Version{4, 19, 0}, false},
		{"@privileged", "chown", Version{6, 12, 0}, true}, // through @chown
		{"@known", "mseal", Version{6, 9, 0}, false}, {"@known", "mseal", Version{}, true}, {"@obsolete", "afs_syscall", Version{6, 1, 0}, true},
	} {
		calls, ok := Group(c.group, c.kernel)
		if !ok || slices.Contains(calls, c.call) != c.want {
			t.Errorf("%s of %v has %s: %v, want %v", c.group, c.kernel, c.call, !c.want, c.want)
		}
	}
}

// Whoever knows systemd's groups finds here all that he knows.
func TestGroupsOfSystemd(t *testing.T) {
	out, err := exec.Command("systemd-analyze", "syscall-filter").Output()
	if err != nil {
		t.Skipf("needs systemd-analyze: %v", err)
	}
	theirs := map[string][]string{}
	group := ""
	for line := range strings.Lines(string(out)) {
		member := strings.TrimSpace(line)
		switch {
		case member == "" || strings.HasPrefix(member, "#"):
		case strings.HasPrefix(line, "@"): // members are indented
			group = member
			theirs[group] = []string{}
		default:
			theirs[group] = append(theirs[group], member)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(theirs)) {
		if name == "@known" {
			continue
		}
		ours, ok := Group(name, Version{})
		if !ok {
			t.Errorf("systemd has %s", name)
			continue
		}
		for _, member := range theirs[name] {
			calls := []string{member}
			if strings.HasPrefix(member, "@") {
				calls, _ = Group(member, Version{})
			}
			for _, call := range calls {
				if Known(call) && !slices.Contains(ours, call) {
					t.Errorf("%s of systemd has %s", name, call)
				}
			}
		}
	}
	if len(theirs) < 25 {
		t.Errorf("only %d groups read: %v", len(theirs), slices.Sorted(maps.Keys(theirs)))
	}
}
