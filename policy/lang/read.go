package lang

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"monban/internal/regular"
)

// MaxSize is the largest policy that is read, in bytes. It is far above any real one.
const MaxSize = 4 << 20

// MaxTokens is how many words and signs a text has at most: one sign a byte would take 50 times the text's size in
// memory.
const MaxTokens = 1 << 20

// ReadAll is io.ReadAll for what may never end: more than MaxSize is an error, which names what is read.
func ReadAll(r io.Reader, name string) ([]byte, error) {
	src, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if err == nil && len(src) > MaxSize {
		return nil, fmt.Errorf("%s is larger than %d MB: that is not a gate", name, MaxSize>>20)
	}
	return src, err
}

// ReadIncluded reads a file that an include line names, for Options.ReadFile. Only regular files are read: a pipe could
// make that wait for ever, and what is read from some files of the kernel's is gone. Errors don't name the file.
func ReadIncluded(name string) ([]byte, error) {
	f, err := regular.Open(name)
	return readIncluded(name, f, err)
}

// ReadIncludedIn is ReadIncluded for a file system.
func ReadIncludedIn(from fs.FS, name string) ([]byte, error) {
	f, err := regular.OpenIn(from, name)
	return readIncluded(name, f, err)
}

func readIncluded(name string, f fs.File, err error) ([]byte, error) {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errors.New("there is no such file")
	case err != nil:
		return nil, withoutName(err)
	}
	defer f.Close()
	src, err := ReadAll(f, name)
	return src, withoutName(err)
}

func withoutName(err error) error {
	if e := (*fs.PathError)(nil); errors.As(err, &e) {
		return e.Err
	}
	return err
}
