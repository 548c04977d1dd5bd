package scan

import (
	"context"
	"fmt"
	"slices"

	"monban/abi"
	"monban/scan/internal/code"
	"monban/scan/internal/graph"
	"monban/scan/internal/image"
	"monban/scan/internal/load"
	"monban/scan/internal/trace"
)

// Options say what belongs to a program beside what the loader loads. The zero value adds nothing, in the file system
// of this process.
type Options struct {
	Root        string   // the file system that the program is for; "" is this one
	Also        []string // modules that it loads by dlopen
	Mapped      []string // files that a run mapped: modules are those that no other file needs; what cannot be loaded is Missed
	Follow      []string // programs that it executes
	LibraryPath []string // where the loader looks first, as LD_LIBRARY_PATH
	Preload     []string // libraries that it loads first, as LD_PRELOAD
}

// A BadFileError says why a file cannot be scanned. Its fields are the strings File, Why, and, of a script,
// Interpreter.
type BadFileError = image.BadFileError

// A MissingLibraryError says that a library is nowhere where the loader looks. Its fields are the strings File, which
// needs it, and Library.
type MissingLibraryError = load.MissingLibraryError

// An ArchError says that two programs are for different architectures.
type ArchError struct {
	File, Other         string
	FileArch, OtherArch abi.Arch
}

func (e *ArchError) Error() string {
	return fmt.Sprintf("%s: for %v, and %s is for %v", e.File, e.FileArch, e.Other, e.OtherArch)
}

// Files scans programs, together with all that they load. It fails with a BadFileError, a MissingLibraryError, an
// ArchError, an error that names a missing file, or the context's.
func Files(ctx context.Context, programs []string, o Options) (*Result, error) {
	r := &Result{}
	for _, name := range slices.Concat(programs, o.Follow) {
		one, err := program(ctx, name, o)
		if err != nil {
			return nil, err
		}
		if err := r.Add(one); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// program scans one program.
func program(ctx context.Context, name string, o Options) (*Result, error) {
	l, err := load.New(name, load.Options{Root: o.Root, LibraryPath: o.LibraryPath, Preload: o.Preload})
	if err != nil {
		return nil, err
	}
	for _, also := range o.Also {
		if err := l.Also(also); err != nil {
			return nil, err
		}
	}
	missed := l.Mapped(o.Mapped)
	r, err := reach(ctx, l)
	if err != nil {
		return nil, err
	}
	r.Missed = missed
	return r, nil
}

// reach finds what a loaded program can reach.
func reach(ctx context.Context, l *load.Program) (*Result, error) {
	var interp *code.Code
	codes := make([]*code.Code, len(l.Images))
	for k, m := range l.Images {
		c, err := code.Read(ctx, m)
		if err != nil {
			return nil, err
		}
		if codes[k] = c; m == l.Interp {
			interp = c
		}
	}
	g := graph.New(codes, l.Shared, interp)
	calls, err := trace.Reach(ctx, g)
	if err != nil {
		return nil, err
	}
	return result(l, g, calls), nil
}
