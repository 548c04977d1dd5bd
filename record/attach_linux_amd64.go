package record

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"monban/internal/sys"
)

// again is how often Attach asks for processes that have come since. What its own processes start is followed at once.
const again = time.Second

// Attach records processes that run already, with what they start from now on, until all of them have ended or ctx
// does. what names them in the recording. It needs what EBPF needs. pids is asked again until it says nothing new, so
// that no child slips through, and now and then afterwards: a control group gets processes from elsewhere, by docker
// exec for one.
func Attach(ctx context.Context, what []string, pids func() ([]int, error), run Run) (*Recording, error) {
	if _, err := pids(); err != nil { // that there are none is said to those who may not record, too
		return nil, err
	}
	r, err := newRecorder()
	if err != nil {
		return nil, &UnavailableError{err}
	}
	defer r.close()
	if err := r.take(pids); err != nil {
		return nil, err
	}
	asked := time.Now()
	run.Args = what
	err = r.watch(ctx.Done(), run, func() bool {
		if left := r.left(); left && time.Since(asked) < again {
			return true
		}
		asked = time.Now()
		_ = r.take(pids) // the first process, or the group, may have gone: that ends nothing
		return r.left()
	})
	if err != nil {
		return nil, err
	}
	return r.recording(what)
}

// take has the processes recorded that are not yet. This one, which may be a child of one of them, is none of them.
// Each is tried once: one that ends meanwhile may be listed a little longer.
func (r *recorder) take(pids func() ([]int, error)) error {
	tried := map[int]bool{os.Getpid(): true}
	for {
		now, err := pids()
		if err != nil {
			return err
		}
		fresh := slices.DeleteFunc(now, func(pid int) bool { return tried[pid] || r.follows(pid) })
		if len(fresh) == 0 {
			return nil
		}
		for _, pid := range fresh {
			tried[pid] = true
			if err := r.choose(pid); err != nil {
				return err
			}
		}
	}
}

// Tree lists a process and all of its descendants.
func Tree(pid int) ([]int, error) {
	if _, err := sys.ReadStat(pid); errors.Is(err, unix.ESRCH) {
		return nil, fmt.Errorf("process %d: %w", pid, unix.ESRCH)
	} else if err != nil {
		return nil, err
	}
	all, err := sys.Processes()
	if err != nil {
		return nil, err
	}
	children := map[int][]int{}
	for _, child := range all {
		if stat, err := sys.ReadStat(child); err == nil { // else it has ended
			children[stat.Parent] = append(children[stat.Parent], child)
		}
	}
	out := []int{pid}
	for i := 0; i < len(out); i++ {
		out = append(out, children[out[i]]...)
	}
	return out, nil
}

// cgroups is where the control groups are.
const cgroups = "/sys/fs/cgroup"

// Cgroup lists the processes of a control group and of those below it. path is absolute, or below /sys/fs/cgroup.
func Cgroup(path string) ([]int, error) {
	if !strings.HasPrefix(path, cgroups) {
		path = filepath.Join(cgroups, path)
	}
	return members(path)
}

func members(path string) (out []int, err error) {
	err = filepath.WalkDir(path, func(dir string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return err
		}
		procs, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		if err != nil {
			return nil // a threaded group, or one that has gone
		}
		for word := range strings.FieldsSeq(string(procs)) {
			if pid, err := strconv.Atoi(word); err == nil && pid > 0 {
				out = append(out, pid)
			}
		}
		return nil
	})
	if err == nil && out == nil {
		err = fmt.Errorf("%s: no process is in this control group", path)
	}
	return out, err
}

// Container finds the control group of a container by its ID, or the beginning of it: Docker, Podman, containerd and
// CRI-O have it in the group's name. Where there are several it is an *GroupsError.
func Container(id string) (cgroup string, err error) { return containerBelow(cgroups, id) }

func containerBelow(root, id string) (cgroup string, err error) {
	const shortest = 6
	if len(id) < shortest {
		return "", fmt.Errorf("%q is not a container ID: give %d characters of it at least", id, shortest)
	}
	var found []string
	err = filepath.WalkDir(root, func(dir string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil // gone meanwhile
		}
		name := e.Name()
		for _, prefix := range []string{"docker-", "libpod-", "cri-containerd-", "crio-"} {
			name = strings.TrimPrefix(name, prefix)
		}
		if e.IsDir() && strings.HasPrefix(name, id) {
			// Of cgroup v1 each controller has a tree of its own, and the container the same group in all of them.
			if !slices.ContainsFunc(found, func(d string) bool { return filepath.Base(d) == filepath.Base(dir) }) {
				found = append(found, dir)
			}
			return fs.SkipDir
		}
		return nil
	})
	switch {
	case err != nil:
		return "", err
	case len(found) == 0:
		return "", fmt.Errorf("no control group below %s belongs to a container %s (docker ps shows the IDs)", root, id)
	case len(found) > 1:
		return "", &GroupsError{id, found}
	}
	return found[0], nil
}
