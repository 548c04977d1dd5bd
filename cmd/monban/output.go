package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/term"
)

// An output is standard output, buffered. The first error stays, so that commands need not look at each line.
type output struct {
	*bufio.Writer
	file *os.File
}

func newOutput(f *os.File) *output { return &output{bufio.NewWriter(f), f} }

// cause is an error without the name of the file: the message around it names it.
func cause(err error) error {
	if e := (*fs.PathError)(nil); errors.As(err, &e) {
		return e.Err
	}
	return err
}

// writeProgram writes a program to a file, or to w where the name is empty or -; a terminal is not for binary.
func writeProgram(w io.Writer, name string, program []byte, show string) error {
	if name != "" && name != "-" {
		return writeFile(name, program)
	}
	if o, ok := w.(*output); ok && term.IsTerminal(int(o.file.Fd())) {
		return fmt.Errorf("a program is binary and standard output a terminal: name a file with -o (to look at it: %s)", show)
	}
	_, err := w.Write(program)
	return err
}

// writeFile writes a file whole or not at all; one that was there keeps its owner and permissions.
func writeFile(name string, data []byte) error {
	if err := replaceFile(name, data); err != nil {
		return fmt.Errorf("cannot write %s: %w", name, err)
	}
	return nil
}

func replaceFile(name string, data []byte) error {
	if real, err := filepath.EvalSymlinks(name); err == nil {
		name = real // what a link points to is replaced, not the link
	}
	old, err := os.Stat(name)
	switch {
	case err == nil && old.IsDir():
		return errors.New("it is a directory")
	case err == nil && !old.Mode().IsRegular():
		return cause(os.WriteFile(name, data, 0)) // a pipe or device is written as it is
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return cause(err)
	}
	dir := filepath.Dir(name)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no directory %s", dir)
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(name)+"-*")
	if err != nil {
		return fmt.Errorf("in the directory %s: %w", dir, cause(err))
	}
	defer os.Remove(f.Name()) // gone already when all went well
	if _, err = f.Write(data); err == nil {
		err = likeOld(f, old)
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	return cause(err)
}

// likeOld gives a new file the owner and permissions of the one that it replaces; old is nil where there is none.
func likeOld(f *os.File, old fs.FileInfo) error {
	if old == nil {
		return f.Chmod(0o666 &^ umask())
	}
	chownLike(f, old)
	return f.Chmod(old.Mode().Perm())
}
