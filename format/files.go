package format

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"monban/internal/regular"
	"monban/policy/lang"
)

// files are where gates lie, and what they name: the machine's, or those of a file system that the caller has.
type files struct {
	fs    fs.FS     // nil: the machine's
	stdin io.Reader // what "-" names; nil: nothing
}

func filesOf(o Options) files { return files{o.FS, o.Stdin} }

// ReadFile reads a whole file, or o.Stdin where the name is - and that is not nil. A pipe, as a shell's <(…) is one,
// may be named by a user, and so if there is an o.Stdin. A file that is too large for a gate, or never ends, is
// refused. Errors name the file.
func ReadFile(file string, o Options) ([]byte, error) { return filesOf(o).read(file) }

func (f files) read(file string) ([]byte, error) {
	r, name := f.stdin, "standard input"
	if file != "-" || f.stdin == nil {
		in, err := f.open(file)
		if err != nil {
			return nil, openError(file, err)
		}
		defer in.Close()
		r, name = in, file
	}
	src, err := lang.ReadAll(r, name)
	if e := (*fs.PathError)(nil); errors.As(err, &e) {
		return nil, fmt.Errorf("%s: %w", name, e.Err)
	}
	return src, err
}

func (f files) open(file string) (fs.File, error) {
	switch {
	case f.fs != nil:
		return regular.OpenIn(f.fs, file)
	case f.stdin != nil:
		return regular.OpenArgument(file)
	}
	return regular.Open(file)
}

// included reads a file that another one names. Errors don't name it.
func (f files) included(name string) ([]byte, error) {
	if f.fs == nil {
		return lang.ReadIncluded(name)
	}
	return lang.ReadIncludedIn(f.fs, name)
}

// list names the files of a directory, for formats whose files lie in several places; one that is not there has none.
func (f files) list(dir string) ([]string, error) {
	var entries []fs.DirEntry
	var err error
	if f.fs != nil {
		entries, err = fs.ReadDir(f.fs, path.Clean(dir))
	} else {
		entries, err = os.ReadDir(dir)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

func (f files) exists(name string) bool {
	var err error
	if f.fs != nil {
		_, err = fs.Stat(f.fs, path.Clean(name))
	} else {
		_, err = os.Stat(name)
	}
	return err == nil
}

// openError says what may have been meant by a file that cannot be opened.
func openError(file string, err error) error {
	switch e := (*fs.PathError)(nil); {
	case errors.Is(err, fs.ErrNotExist):
		hint := "a preset starts with @: " + strings.Join(lang.Presets(), " ")
		if slices.Contains(lang.Presets(), "@"+file) {
			hint = "the preset is @" + file
		}
		return fmt.Errorf("%s: no such file (%s)", file, hint)
	case errors.Is(err, regular.ErrKind):
		return fmt.Errorf("%s: %w", file, errors.Unwrap(err))
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s: you may not read it (%w)", file, fs.ErrPermission)
	case errors.As(err, &e):
		return fmt.Errorf("%s: %w", file, e.Err)
	}
	return err
}

// Beside are the files next to one that have its name and an ending of a format that is read: web.gate and web.json for
// web.expect. The second result is the names that were tried.
func Beside(file string, o Options) (found, tried []string) {
	f := filesOf(o)
	base := strings.TrimSuffix(file, filepath.Ext(file))
	for _, one := range Formats() {
		for _, ext := range one.Exts {
			if name := base + ext; !slices.Contains(tried, name) {
				tried = append(tried, name)
				if f.exists(name) {
					found = append(found, name)
				}
			}
		}
	}
	return found, tried
}
