package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

// nowhere is a standard output that was closed before the program began.
type nowhere struct{}

var errNowhere = errors.New("it is closed (or /dev/null, opened for reading and writing: open that for writing only)")

func (nowhere) Write([]byte) (int, error) { return 0, errNowhere }

// end writes what is left, and is the command's error: its own or, if it had none that says more, that its output is
// lost.
func (o *output) end(cmd *cobra.Command, err error) error {
	flushed := o.Flush()
	var e exit
	switch {
	case flushed == nil, errors.Is(flushed, errNowhere) && answersByStatus(cmd):
		return err
	case err == nil, errors.Is(err, flushed), errors.As(err, &e) && e.code == exitFindings && e.err == nil:
		return fmt.Errorf("cannot write standard output: %w", cause(flushed))
	}
	return err
}

// answersByStatus says whether a command's status says what it found, so that nothing is lost where nobody reads what
// it prints.
func answersByStatus(cmd *cobra.Command) bool {
	switch cmd.Name() {
	case "diff", "lint", "test":
		return true
	}
	check := cmd.Flags().Lookup("check")
	return check != nil && check.Changed
}

// cause is an error without the name of the file: the message around it names it.
func cause(err error) error {
	if e := (*fs.PathError)(nil); errors.As(err, &e) {
		return e.Err
	}
	return err
}

// writeText writes a text to a file, or to w where the name is empty or -.
func writeText(w io.Writer, name string, text []byte) error {
	if name != "" && name != "-" {
		return writeFile(name, text)
	}
	_, err := w.Write(text)
	return err
}

// writeProgram writes a program to a file, or to w where the name is empty or -; a terminal is not for binary.
func writeProgram(w io.Writer, name string, program []byte, show string) error {
	if name != "" && name != "-" {
		return writeFile(name, program)
	}
	if terminal(w) {
		return fmt.Errorf("a program is binary and standard output a terminal: name a file with -o (to look at it: %s)", show)
	}
	return writeRaw(w, program)
}

// writeRaw writes what is not text.
func writeRaw(w io.Writer, program []byte) error {
	if o, ok := w.(*output); ok {
		_, err := o.Raw(program)
		return err
	}
	_, err := w.Write(program)
	return err
}

// writeStack writes each of several filters to a file of its own, and says which.
func writeStack(name string, programs [][]byte) error {
	if name == "" || name == "-" {
		return fmt.Errorf("these are %d filters, and standard output is for one: name a file with -o, to which .1, .2 … is added",
			len(programs))
	}
	numbered := func(i int) string { return fmt.Sprintf("%s.%d", name, i) }
	var names []string
	for i := range programs {
		names = append(names, numbered(i+1))
	}
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("these are %d filters, and %s is not a file: name one, to which .1, .2 … is added", len(programs), name)
	}
	for _, other := range []string{name, numbered(len(names) + 1)} {
		if _, err := os.Lstat(other); err == nil {
			return fmt.Errorf("%s would be taken for one of the %d filters: remove it, or name another file", other, len(names))
		}
	}
	if err := writeFiles(names, programs); err != nil {
		return err
	}
	say("%s: %d filters, to be installed in this order", strings.Join(names, " "), len(names))
	return nil
}

// writeFile writes a file whole or not at all; one that was there keeps its owner and permissions.
func writeFile(name string, data []byte) error { return writeFiles([]string{name}, [][]byte{data}) }

// writeFiles is writeFile for several: nothing is put in its place before all are written.
func writeFiles(names []string, data [][]byte) error {
	var all []*written
	defer func() {
		for _, w := range all {
			w.discard()
		}
	}()
	for i, name := range names {
		w, err := writeBeside(name, data[i])
		if err != nil {
			return fmt.Errorf("cannot write %s: %w", name, err)
		}
		all = append(all, w)
	}
	for i, w := range all {
		if err := w.keep(); err != nil {
			return fmt.Errorf("cannot write %s: %w", names[i], err)
		}
	}
	return nil
}

// written is a file that lies beside the one that it will replace.
type written struct {
	name, beside string
	data         []byte // what a pipe or device gets: it is written as it is
}

// maxLinks is how many symbolic links lead to a file at most; Linux follows as many.
const maxLinks = 40

// followed is where a name leads: what a symbolic link points to is written, whether it is there yet or not, and the
// link stays.
func followed(name string) (string, error) {
	for range maxLinks {
		link, err := os.Lstat(name)
		if err != nil || link.Mode()&fs.ModeSymlink == 0 {
			return name, nil // what may be wrong with it shows when it is written
		}
		dir, _ := filepath.Split(name)
		if dir == "" {
			dir = "."
		}
		if in, err := os.Stat(dir); err == nil && !mayFollow(link, in) {
			return "", errors.New("it is a symbolic link of somebody else's, in a directory where everybody may write")
		}
		target, err := os.Readlink(name)
		if err != nil {
			return "", cause(err)
		}
		if !filepath.IsAbs(target) {
			if dir, err = filepath.EvalSymlinks(dir); err != nil {
				return "", cause(err)
			}
			target = dir + string(filepath.Separator) + target
		}
		if here, err := os.Stat(name); err == nil {
			if there, err := os.Stat(target); err != nil || !os.SameFile(here, there) {
				return name, nil // one of /proc/self/fd, which leads to what has no name
			}
		}
		name = target
	}
	return "", fmt.Errorf("more than %d symbolic links lead on from it", maxLinks)
}

func writeBeside(name string, data []byte) (*written, error) {
	name, err := followed(name)
	if err != nil {
		return nil, err
	}
	old, err := os.Stat(name)
	switch {
	case err == nil && old.IsDir():
		return nil, errors.New("it is a directory")
	case err == nil && !old.Mode().IsRegular():
		return &written{name: name, data: data}, nil
	case err == nil && (old.Mode().Perm()&0o222 == 0 || !mayWrite(name)):
		return nil, errors.New("it is read-only: make it writable, or name another file")
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, cause(err)
	}
	dir, base := filepath.Split(name)
	if dir == "" {
		dir = "."
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no directory %s", filepath.Clean(dir))
	}
	f, err := os.CreateTemp(dir, "."+base+"-*")
	if err != nil {
		return nil, fmt.Errorf("in the directory %s: %w", filepath.Clean(dir), cause(err))
	}
	w := &written{name: name, beside: f.Name()}
	if _, err = f.Write(data); err == nil {
		err = likeOld(f, old)
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		w.discard()
		return nil, cause(err)
	}
	return w, nil
}

// keep puts the file in its place.
func (w *written) keep() error {
	if w.beside == "" {
		return cause(os.WriteFile(w.name, w.data, 0))
	}
	return cause(os.Rename(w.beside, w.name))
}

// discard removes what is not in its place.
func (w *written) discard() {
	if w.beside != "" {
		os.Remove(w.beside) // gone already when all went well
	}
}

// likeOld gives a new file the owner and permissions of the one that it replaces; old is nil where there is none.
func likeOld(f *os.File, old fs.FileInfo) error {
	if old == nil {
		return f.Chmod(0o666 &^ umask())
	}
	chownLike(f, old)
	return f.Chmod(old.Mode().Perm())
}
