package sandbox

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// defaultPath is what execvp(3) of glibc searches where there is no PATH.
const defaultPath = "/bin:/usr/bin"

// resolve returns the path to give to execve(2).
func (c *Command) resolve() (string, error) {
	if strings.Contains(c.Path, "/") {
		return c.Path, nil
	}
	path := defaultPath
	for _, kv := range c.environ() {
		if v, ok := strings.CutPrefix(kv, "PATH="); ok {
			path = v
		}
	}
	denied := ""
	for _, dir := range filepath.SplitList(path) {
		// Joined by hand: filepath.Join drops the "./" that keeps a relative result from being a bare name.
		file := cmp.Or(dir, ".") + "/" + c.Path
		seen := file
		if !filepath.IsAbs(file) {
			seen = filepath.Join(c.Dir, file)
		}
		info, err := os.Stat(seen)
		if err != nil || info.IsDir() {
			continue
		}
		if unix.Access(seen, unix.X_OK) == nil {
			return file, nil
		}
		denied = cmp.Or(denied, file)
	}
	if denied != "" {
		return "", &StartError{Path: denied, Kind: ErrNotExecutable, Why: "permission denied: it is not executable", Err: unix.EACCES}
	}
	return "", &StartError{Path: c.Path, Kind: ErrNotFound, Why: "command not found in PATH", Err: unix.ENOENT}
}

func (c *Command) environ() []string {
	if c.Env != nil {
		return c.Env
	}
	return os.Environ()
}

// checkDir finds a bad Dir before the fork, after which it would look like a bad program.
func (c *Command) checkDir() error {
	if c.Dir == "" {
		return nil
	}
	info, err := os.Stat(c.Dir)
	if err == nil && !info.IsDir() {
		err = &os.PathError{Op: "chdir", Path: c.Dir, Err: unix.ENOTDIR}
	}
	if err == nil {
		if aerr := unix.Access(c.Dir, unix.X_OK); aerr != nil {
			err = &os.PathError{Op: "chdir", Path: c.Dir, Err: aerr}
		}
	}
	if err != nil {
		return &StartError{Step: directory.name, Why: fmt.Sprintf("%s: %v", directory.name, err), Err: err}
	}
	return nil
}

// execError explains an errno of execve(2).
func (c *Command) execError(path string, errno syscall.Errno) error {
	seen := path
	if !filepath.IsAbs(seen) {
		seen = filepath.Join(c.Dir, seen)
	}
	kind, why := ErrNotExecutable, errno.Error()
	switch errno {
	case unix.ENOENT, unix.ENOTDIR:
		if _, err := os.Stat(seen); err != nil {
			kind, why = ErrNotFound, "no such file"
			break
		}
		why = "the interpreter or dynamic loader that it names does not exist"
	case unix.EACCES, unix.EPERM:
		if info, err := os.Stat(seen); err == nil && info.IsDir() {
			why = "is a directory"
			break
		}
		why += ": it is not executable, or its file system is mounted noexec"
	case unix.ENOEXEC:
		why += ": neither a program of this machine nor a script that begins with #!"
	case unix.E2BIG:
		why = "arguments and environment are too long"
	case unix.EAGAIN, unix.ENOMEM, unix.EMFILE, unix.ENFILE, unix.EBADF, unix.EINVAL:
		// Not the program's fault, or not known to be.
		return &StartError{Path: path, Err: errno}
	}
	return &StartError{Path: path, Kind: kind, Why: why, Err: errno}
}
