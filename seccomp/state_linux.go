package seccomp

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Threads reads what mode each thread of a process is in, by thread id. It takes no privilege. The error is ESRCH where there is no
// such process.
func Threads(pid int) ([]Thread, error) {
	dir := fmt.Sprintf("/proc/%d/task", pid)
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH):
		return nil, fmt.Errorf("process %d: %w", pid, unix.ESRCH)
	case err != nil:
		return nil, err
	}
	var out []Thread
	for _, e := range entries {
		tid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if t, err := thread(tid, filepath.Join(dir, e.Name())); err == nil { // else it ended meanwhile
			out = append(out, t)
		}
	}
	if out == nil {
		return nil, fmt.Errorf("process %d: %w", pid, unix.ESRCH)
	}
	slices.SortFunc(out, func(x, y Thread) int { return cmp.Compare(x.TID, y.TID) })
	return out, nil
}

func thread(tid int, dir string) (Thread, error) {
	fields, err := readFields(filepath.Join(dir, "status"))
	t := Thread{TID: tid, Name: fields["Name"], NoNewPrivs: fields["NoNewPrivs"] == "1", Filters: -1, UID: -1}
	switch fields["Seccomp"] {
	case "1":
		t.Mode = ModeStrict
	case "2":
		t.Mode = ModeFilter
	}
	if n, err := strconv.Atoi(fields["Seccomp_filters"]); err == nil {
		t.Filters = n
	}
	if uid := strings.Fields(fields["Uid"]); len(uid) > 1 {
		if n, err := strconv.Atoi(uid[1]); err == nil { // the effective one
			t.UID = n
		}
	}
	return t, err
}

// Confined lists the processes of which any thread is in a seccomp mode, by process id, with all of their threads.
func Confined() (map[int][]Thread, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	out := map[int][]Thread{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		threads, err := Threads(pid)
		if err == nil && slices.ContainsFunc(threads, func(t Thread) bool { return t.Mode != ModeOff }) {
			out[pid] = threads
		}
	}
	return out, nil
}
