package inspect_test

import (
	"slices"
	"strings"
	"testing"

	"monban/abi"
	"monban/inspect"
)

// What people come across has a purpose; only what is obsolete or of one architecture is left over.
func TestPurpose(t *testing.T) {
	listed := inspect.Purposes()
	var other []string
	for _, call := range abi.Calls() {
		p := inspect.Purpose(call)
		if !slices.Contains(listed, p) {
			t.Errorf("%s is for %q, which is not listed", call, p)
		}
		if p == inspect.Other {
			other = append(other, call)
		}
	}
	if len(other) > 100 {
		t.Errorf("%d calls are of no purpose: %s", len(other), strings.Join(other, " "))
	}
	t.Log(strings.Join(other, " "))
	obsolete, _ := abi.Group("@obsolete", abi.Version{})
	for nr, call := range abi.X86_64.Calls() {
		if inspect.Purpose(call) == inspect.Other && !slices.Contains(obsolete, call) {
			t.Errorf("%s (%d) of x86_64 is of no purpose", call, nr)
		}
	}
	for call, want := range map[string]string{
		"openat": "file system", "read": "reading and writing", "socket": "sockets", "mount": "mounts and namespaces",
		"clone": "processes and threads", "bpf": "kernel", "ptrace": "debugging", "io_uring_setup": "io_uring", "ftime": "time",
	} {
		if got := inspect.Purpose(call); got != want {
			t.Errorf("%s is for %q, want %q", call, got, want)
		}
	}
}
