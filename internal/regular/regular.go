// Package regular opens files by names that others chose: a policy's includes, what an ELF file needs, a command's
// arguments.
//
// Such a name may lead anywhere, and looking already does something there: opening a pipe waits for its other end,
// opening a device sets it going, and what is read from /proc/kmsg is gone. So a file's kind is looked at before it is
// opened, again once it is open, in case it was exchanged, and nothing is read before.
package regular

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
)

// ErrKind means that a name leads to something else than what may be read there. The error's text says to what.
var ErrKind = errors.New("only regular files are read")

// Open opens a regular file. It never waits, and refuses whatever is not on a file system of files: those of procfs,
// sysfs and their kind are made up by the kernel as they are read. Errors name the file, as those of os.Open do.
func Open(name string) (*os.File, error) { return open(name, false) }

// OpenArgument is Open for a name that a user has given on a command line: a pipe may be meant, as a shell's <(…) is
// one. It waits for the pipe's other end.
func OpenArgument(name string) (*os.File, error) { return open(name, true) }

func open(name string, pipes bool) (*os.File, error) {
	refuse := func(err error) error { return &fs.PathError{Op: "open", Path: name, Err: err} }
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	err = check(info, pipes)
	if err == nil && info.Mode().IsRegular() && madeUp(name) {
		err = errMadeUp
	}
	if err != nil {
		return nil, refuse(err)
	}
	flags := os.O_RDONLY
	if info.Mode().IsRegular() {
		flags |= noWait // if by now it is a pipe
	}
	f, err := os.OpenFile(name, flags, 0)
	if err != nil {
		return nil, err
	}
	now, err := f.Stat()
	if err == nil {
		err = check(now, pipes)
	}
	if err == nil && now.Mode().Type() != info.Mode().Type() {
		err = fmt.Errorf("it was exchanged while it was opened: %w", ErrKind)
	}
	if err == nil && now.Mode().IsRegular() && isMadeUp(f) {
		err = errMadeUp
	}
	if err != nil {
		f.Close()
		return nil, refuse(err)
	}
	return f, nil
}

// OpenIn opens a regular file of a file system that the caller has, by its cleaned name: includes are looked up from
// where a file lies. It is looked at before it is opened, too, since the file system may be the machine's (os.DirFS).
// Errors name the file, as those of Open do.
func OpenIn(from fs.FS, name string) (fs.File, error) {
	refuse := func(err error) error { return &fs.PathError{Op: "open", Path: name, Err: err} }
	clean := path.Clean(name)
	if info, err := fs.Stat(from, clean); err == nil && !info.Mode().IsRegular() {
		return nil, refuse(errNotRegular)
	}
	f, err := from.Open(clean)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errNotRegular
	}
	if err != nil {
		f.Close()
		return nil, refuse(err)
	}
	return f, nil
}

var (
	errMadeUp     error = kindError("a file that the kernel makes up, not a regular file")
	errNotRegular error = kindError("not a regular file")
)

// A kindError says what a name leads to.
type kindError string

func (e kindError) Error() string        { return "it is " + string(e) }
func (e kindError) Is(target error) bool { return target == ErrKind }

func check(info fs.FileInfo, pipes bool) error {
	switch mode := info.Mode(); {
	case mode.IsRegular():
		return nil
	case mode.IsDir():
		return kindError("a directory, not a file")
	case mode&fs.ModeNamedPipe != 0 && pipes:
		return nil
	case mode&fs.ModeNamedPipe != 0:
		return kindError("a pipe, not a regular file")
	case mode&fs.ModeDevice != 0:
		return kindError("a device, not a regular file")
	case mode&fs.ModeSocket != 0:
		return kindError("a socket, not a regular file")
	}
	return errNotRegular
}

// Read reads the whole of a regular file, which may have as many bytes as most says; a longer one is an error.
func Read(name string, most int64) ([]byte, error) {
	f, err := Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(b)) > most {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("it is larger than %d MB", most>>20)}
	}
	return b, err
}
