package seccomp

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"monban/internal/sys"
)

// Threads reads what mode each thread of a process is in, by thread id. It takes no privilege. The error is ESRCH where
// there is no such process.
func Threads(pid int) ([]Thread, error) {
	tids, err := sys.Threads(pid)
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return nil, err
	}
	var out []Thread
	for _, tid := range tids {
		if s, err := sys.ThreadStatus(pid, tid); err == nil { // else it ended meanwhile
			out = append(out, thread(tid, &s))
		}
	}
	if out == nil {
		return nil, fmt.Errorf("process %d: %w", pid, unix.ESRCH)
	}
	return out, nil
}

func thread(tid int, s *sys.Status) Thread {
	t := Thread{TID: tid, Name: s.Name, UID: s.UID, Filters: s.SeccompFilters, NoNewPrivs: s.NoNewPrivs}
	switch s.Seccomp {
	case sys.SeccompStrict:
		t.Mode = ModeStrict
	case sys.SeccompFilter:
		t.Mode = ModeFilter
	}
	return t
}

// Confined lists the processes of which any thread is in a seccomp mode, by process id, with all of their threads.
func Confined() (map[int][]Thread, error) {
	pids, err := sys.Processes()
	if err != nil {
		return nil, err
	}
	out := map[int][]Thread{}
	for _, pid := range pids {
		threads, err := Threads(pid)
		if err == nil && slices.ContainsFunc(threads, func(t Thread) bool { return t.Mode != ModeOff }) {
			out[pid] = threads
		}
	}
	return out, nil
}
