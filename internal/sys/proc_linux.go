package sys

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

var (
	// ErrNotMounted means that there is no /proc to read.
	ErrNotMounted = errors.New("/proc is not mounted")
	// ErrTooLong means that a file of /proc is longer than what is read of its kind.
	ErrTooLong = errors.New("it is longer than the kernel makes it")
	// ErrMalformed means that a file of /proc does not say what it has to.
	ErrMalformed = errors.New("it does not read as the kernel writes it")
)

// Limits of what is read of a file, in bytes.
const (
	maxStatus = 1 << 16 // of status, stat, auxv and settings: they have a page or less
	maxMaps   = 1 << 27 // a line of some hundred bytes for each mapping, of which there are 65530 as a rule
)

// read reads a file of /proc, which has most bytes at most.
func read(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, explain(err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	switch {
	case err != nil:
		return nil, explain(err)
	case int64(len(b)) > most:
		return nil, &fs.PathError{Op: "read", Path: name, Err: ErrTooLong}
	}
	return b, nil
}

// explain turns the errors of os into what they mean in /proc.
func explain(err error) error {
	e, ok := errors.AsType[*fs.PathError](err)
	if !ok || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	id, _, _ := strings.Cut(strings.TrimPrefix(e.Path, proc+"/"), "/")
	switch {
	case !exists(proc + "/self"):
		e.Err = ErrNotMounted
	case !exists(proc + "/" + id):
		e.Err = unix.ESRCH
	}
	return err
}

const proc = "/proc"

func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

func malformed(name string) error { return &fs.PathError{Op: "read", Path: name, Err: ErrMalformed} }

// Path is the name of one of the files that /proc has for a thread; of those that are links, such as exe, it leads
// where the link does, also if there is another file of that name now.
func Path(tid int, file string) string { return proc + "/" + strconv.Itoa(tid) + "/" + file }

// Link is where one of a thread's links leads: the name that its file has, or had, in the thread's own root directory.
func Link(tid int, file string) (string, error) {
	name, err := os.Readlink(Path(tid, file))
	return name, explain(err)
}

// Setting reads one of the kernel's settings by its name in sysctl(8), without the white space around it.
func Setting(name string) (string, error) {
	b, err := read(proc+"/sys/"+strings.ReplaceAll(name, ".", "/"), maxStatus)
	return strings.TrimSpace(string(b)), err
}

// Inode numbers of the first namespaces (linux/proc_ns.h).
const (
	FirstUserNamespace = 0xeffffffd
	FirstPIDNamespace  = 0xeffffffc
)

// InNamespace says whether this process is in the namespace of that number; kind is its name in /proc/self/ns.
func InNamespace(kind string, number uint64) (bool, error) {
	var s unix.Stat_t
	name := proc + "/self/ns/" + kind
	if err := unix.Stat(name, &s); err != nil {
		return false, explain(&fs.PathError{Op: "stat", Path: name, Err: err})
	}
	return s.Ino == number, nil
}

// Processes lists all processes that /proc shows, by number.
func Processes() ([]int, error) { return numbers(proc) }

// Threads lists the threads of a process, by number.
func Threads(pid int) ([]int, error) { return numbers(Path(pid, "task")) }

func numbers(dir string) ([]int, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, explain(err)
	}
	var out []int
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out, nil
}
