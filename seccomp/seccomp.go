package seccomp

import (
	"errors"
	"fmt"
	"strings"
)

// Flags change what installing a filter does (linux/seccomp.h, SECCOMP_FILTER_FLAG_*).
type Flags uint32

const (
	// TSYNC installs the filter on all threads of the process, or on none (SECCOMP_FILTER_FLAG_TSYNC, Linux 3.17). The
	// kernel spreads the caller's no_new_privs with it (kernel/seccomp.c, seccomp_sync_threads).
	TSYNC Flags = 1 << iota
	// LOG has every action but allow written to the audit log, as far as kernel.seccomp.actions_logged lets it
	// (SECCOMP_FILTER_FLAG_LOG, Linux 4.14).
	LOG
	// SpecAllow doesn't turn the Speculative Store Bypass mitigation on (SECCOMP_FILTER_FLAG_SPEC_ALLOW, Linux 4.17).
	SpecAllow
	// NewListener returns a file descriptor that answers notify (SECCOMP_FILTER_FLAG_NEW_LISTENER, Linux 5.0);
	// see [InstallListener].
	NewListener
	// TSYNCErrno makes a failed TSYNC an ESRCH instead of a thread id (SECCOMP_FILTER_FLAG_TSYNC_ESRCH, Linux 5.7), as
	// TSYNC together with NewListener needs.
	TSYNCErrno
	// WaitKillableRecv lets only fatal signals interrupt a call whose notification has been received
	// (SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, Linux 5.19). It needs NewListener.
	WaitKillableRecv
)

var flagNames = []string{"TSYNC", "LOG", "SPEC_ALLOW", "NEW_LISTENER", "TSYNC_ESRCH", "WAIT_KILLABLE_RECV"}

// String writes the kernel's names, without their common prefix: TSYNC|LOG.
func (f Flags) String() string {
	var names []string
	for i, n := range flagNames {
		if f&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	if rest := f >> len(flagNames); rest != 0 {
		names = append(names, fmt.Sprintf("%#x", uint32(rest<<len(flagNames))))
	}
	if names == nil {
		return "0"
	}
	return strings.Join(names, "|")
}

var (
	// ErrUnsupported means that this system has no seccomp; errors.Is(err, errors.ErrUnsupported) holds for it.
	ErrUnsupported = fmt.Errorf("seccomp needs Linux: %w", errors.ErrUnsupported)
	// ErrNoFilter means that a process has no seccomp filter.
	ErrNoFilter = errors.New("no seccomp filter is installed")
	// ErrStrict means that a process is in strict mode, which has no filter that could be read.
	ErrStrict = errors.New("the process is in seccomp's strict mode: read, write, exit and sigreturn only, no filter to read")
)

// A Mode is what seccomp does with a thread (linux/seccomp.h, SECCOMP_MODE_*).
type Mode int

// The modes.
const (
	ModeOff Mode = iota
	ModeStrict
	ModeFilter
)

func (m Mode) String() string { return [...]string{"off", "strict", "filter"}[m] }

// A Thread is what the kernel tells everybody of a thread's confinement (/proc/PID/task/TID/status).
type Thread struct {
	TID        int
	Name       string // its own, as programs set it
	UID        int    // effective user; -1 where unknown
	Mode       Mode
	Filters    int // how many; -1 where the kernel does not say (before 5.9)
	NoNewPrivs bool
}
