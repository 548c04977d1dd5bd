// Package load finds the files that belong to a program as the dynamic loaders of glibc and musl do: its interpreter,
// its libraries, what is preloaded, and the modules that it is said to load.
package load

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"monban/internal/regular"
	"monban/scan/internal/image"
)

// A MissingLibraryError says that a library is nowhere where the loader looks.
type MissingLibraryError struct{ File, Library string }

func (e *MissingLibraryError) Error() string {
	return fmt.Sprintf("%s: its library %s was not found", e.File, e.Library)
}

// Options say where files lie.
type Options struct {
	Root        string   // the file system that the program is for; "" is this one
	LibraryPath []string // where libraries are looked for first, as LD_LIBRARY_PATH
	Preload     []string // libraries that are loaded first, as LD_PRELOAD
}

// A Program is a program with all that belongs to it.
type Program struct {
	Images []*image.Image // in the order in which symbols are looked up
	Shared int            // how many of them belong to the program itself, not to modules that it loads
	Interp *image.Image   // glibc's loader, where the program names it as its interpreter

	options Options
	byPath  map[string]*image.Image
}

// New loads a program, its interpreter and its libraries. Other calls of Load are for modules. It fails with an
// image.BadFileError, a MissingLibraryError, or an error that names the file that is missing.
func New(name string, o Options) (*Program, error) {
	o.Root = strings.TrimSuffix(o.Root, "/")
	l := &Program{options: o, byPath: map[string]*image.Image{}}
	first, err := l.load(name)
	if err != nil {
		return nil, err
	}
	l.Shared = len(l.Images)
	first.Roots = append(first.Roots, first.File.Entry)
	if first.File.Entry == 0 { // a library by itself: what anybody may call
		first.Roots = append(first.Roots, first.Exported()...)
	}
	return l, nil
}

// First is the program itself.
func (l *Program) First() *image.Image { return l.Images[0] }

// Also loads a module with its libraries: whoever loads it may call all that it shows.
func (l *Program) Also(name string) error {
	m, err := l.load(name)
	if err == nil {
		m.Roots = append(m.Roots, m.Exported()...)
	}
	return err
}

// Mapped loads what a run mapped, and is the names of what cannot be loaded. A file that none of the others needs was
// loaded by dlopen, and anybody may call what it shows.
func (l *Program) Mapped(files []string) (missed []string) {
	var modules []*image.Image
	for _, name := range files {
		known := len(l.byPath)
		m, err := l.load(name)
		switch {
		case err != nil:
			missed = append(missed, name)
		case len(l.byPath) > known:
			modules = append(modules, m)
		}
	}
	for _, m := range modules {
		if !slices.ContainsFunc(l.Images, func(by *image.Image) bool {
			return by != m && slices.ContainsFunc(m.Sonames, func(n string) bool { return slices.Contains(by.Needed, n) })
		}) {
			m.Roots = append(m.Roots, m.Exported()...)
		}
	}
	return missed
}

// open reads a file once, under the name that it is known by.
func (l *Program) open(name string) (m *image.Image, isNew bool, err error) {
	p, err := l.path(name)
	if err != nil {
		return nil, false, err
	}
	real, err := filepath.EvalSymlinks(p)
	if err != nil {
		if pe, ok := errors.AsType[*fs.PathError](err); ok {
			return nil, false, fmt.Errorf("%s: %w", name, pe.Err)
		}
		return nil, false, err
	}
	if m := l.byPath[real]; m != nil {
		return m, false, nil
	}
	m, err = image.Open(real, name)
	if err != nil {
		if pe, ok := errors.AsType[*fs.PathError](err); ok {
			err = fmt.Errorf("%s: %w", name, pe.Err)
		}
		return nil, false, err
	}
	l.byPath[real] = m
	return m, true, nil
}

// load reads a program, its interpreter and its libraries, breadth first.
func (l *Program) load(name string) (*image.Image, error) {
	first, isNew, err := l.open(name)
	if err != nil || !isNew {
		return first, err
	}
	var interp *image.Image
	if first.Interpreter != "" {
		if interp, isNew, err = l.open(first.Interpreter); err != nil {
			return nil, fmt.Errorf("%s: its interpreter %w", name, err)
		}
		if interp.Machine != first.Machine {
			return nil, otherMachine(interp, first)
		}
		if isNew {
			interp.Roots = append(interp.Roots, interp.File.Entry)
			if strings.HasPrefix(filepath.Base(interp.Name), "ld-linux-") {
				l.Interp = interp
			}
			defer func() { l.Images = append(l.Images, interp) }()
		}
	}
	queue := []*image.Image{first}
	if interp != nil {
		more, err := l.preloaded(first, interp)
		if err != nil {
			return nil, err
		}
		queue = append(queue, more...)
	}
	for len(queue) > 0 {
		m := queue[0]
		queue = queue[1:]
		l.Images = append(l.Images, m)
		if m.Machine != first.Machine {
			return nil, otherMachine(m, first)
		}
		for _, lib := range m.Needed {
			if l.has(lib) {
				continue
			}
			path, ok := l.find(lib, m, first, interp)
			if !ok {
				return nil, &MissingLibraryError{m.Name, lib}
			}
			if path == "" {
				continue
			}
			n, isNew, err := l.open(path)
			if err != nil {
				return nil, fmt.Errorf("%s: its library %w", m.Name, err)
			}
			if isNew {
				queue = append(queue, n)
			}
		}
	}
	return first, nil
}

func otherMachine(m, first *image.Image) error {
	return &image.BadFileError{File: m.Name, Why: fmt.Sprintf("for %v, and %s is for %v", m.File.Machine, first.Name, first.File.Machine)}
}

// preloaded are the libraries that are loaded into every program: LD_PRELOAD's and those of /etc/ld.so.preload. One
// that is not there is ignored.
func (l *Program) preloaded(first, interp *image.Image) (out []*image.Image, err error) {
	names := slices.Clone(l.options.Preload)
	if p, err := l.path("/etc/ld.so.preload"); err == nil {
		b, _ := regular.Read(p, maxConfig)
		for line := range strings.Lines(string(b)) {
			line, _, _ = strings.Cut(line, "#")
			names = append(names, strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \t\n:", r) })...)
		}
	}
	for _, name := range names {
		path, ok := l.find(name, first, first, interp)
		if !ok || path == "" {
			continue
		}
		m, isNew, err := l.open(path)
		if err != nil {
			return nil, fmt.Errorf("preloaded: %w", err)
		}
		if isNew {
			out = append(out, m)
		}
	}
	return out, nil
}

// has says that a library of this name is there already, wherever it was found.
func (l *Program) has(soname string) bool {
	for _, m := range l.byPath {
		if m.IsLibrary(soname) {
			return true
		}
	}
	return false
}
