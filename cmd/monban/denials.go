package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"monban/gate"
	"monban/inspect"
	"monban/internal/plain"
	"monban/internal/regular"
	"monban/record"
	"monban/sandbox"
)

// deniedFlags say where it is read what a gate has refused.
type deniedFlags struct {
	sources []string
	users   []int
}

func (f *deniedFlags) register(flags *pflag.FlagSet) {
	var streams []string
	for _, s := range record.Streams() {
		streams = append(streams, fmt.Sprintf("%s:FILE, %s", s.Name, s.Says))
	}
	flags.StringArrayVar(&f.sources, "from-denials", nil,
		"instead of a run: add what was refused: FILE, which run --denials wrote; "+strings.Join(streams, "; ")+" (may be repeated)")
	flags.IntSliceVar(&f.users, "uid", nil, "with --from-denials audit: or kmsg: whose programs' lines count, by number (default: all, if they are one user's)")
}

// read reads all that was refused.
func (f *deniedFlags) read() (*record.Recording, error) {
	rec := record.Denied(f.sources...)
	for _, source := range f.sources {
		if err := f.readOne(rec, source); err != nil {
			return nil, exit{exitUsage, err}
		}
	}
	return rec, nil
}

func (f *deniedFlags) readOne(rec *record.Recording, source string) error {
	prefix, file, cut := strings.Cut(source, ":")
	streams := record.Streams()
	i := slices.IndexFunc(streams, func(s record.Stream) bool { return s.Name == prefix })
	if !cut || i < 0 {
		return readOwn(rec, source)
	}
	in, err := openStream(file)
	if err != nil {
		return fmt.Errorf("%s: %w", source, cause(err))
	}
	defer in.Close()
	err = rec.AddAudit(streams[i], source, in, f.users)
	if errors.Is(err, record.ErrUsers) {
		err = fmt.Errorf("%w: say by --uid whose lines count", err)
	}
	return err
}

func readOwn(rec *record.Recording, file string) error {
	missed, err := rec.AddDenials(file)
	switch {
	case errors.Is(err, record.ErrNotDenials):
		var names []string
		for _, s := range record.Streams() {
			names = append(names, s.Name+":")
		}
		return fmt.Errorf("%w (a log of the kernel's lines is named with what it is: %s before the file)", err, strings.Join(names, " or "))
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%s: no such file", file)
	case errors.As(err, new(*fs.PathError)):
		return fmt.Errorf("%s: %w", file, cause(err))
	case err != nil:
		return err
	}
	if missed > 0 {
		say("%s: %s not in it", file, plain.Count(missed, "killed call"))
	}
	return nil
}

// openStream opens what a user names, - for standard input. Of the devices only /dev/kmsg is read, as far as it goes by
// now.
func openStream(file string) (io.ReadCloser, error) {
	switch file {
	case "":
		return nil, errors.New("the name of a file is missing (- is standard input)")
	case "-":
		return io.NopCloser(os.Stdin), nil
	case kmsg:
		return openKmsg()
	}
	return regular.OpenArgument(file)
}

// A denialsFile is what --denials names, "" where it is not given.
type denialsFile struct {
	name string
	file *record.DenialsFile
}

// create makes the file before anything runs.
func (f *denialsFile) create() (err error) {
	if f.name == "" {
		return nil
	}
	if f.file, err = record.CreateDenials(f.name); errors.Is(err, os.ErrExist) {
		return fmt.Errorf("--denials %s: it is there already: name a new file, or remove it", f.name)
	} else if err != nil {
		return fmt.Errorf("--denials %s: %w", f.name, cause(err))
	}
	return nil
}

func (f *denialsFile) discard() {
	if f.file != nil {
		f.file.Discard()
	}
}

// write writes down which calls the gates have killed. Others, which a filter of the program's own has killed, would
// become rules if they were in it: a program would allow itself what it likes.
func (f *denialsFile) write(command []string, r *sandbox.Result, st *gate.Gate) error {
	if f.file == nil {
		return nil
	}
	var denials []record.Denial
	for _, k := range r.Killed {
		if culprits, err := inspect.Culprits(st, &k.Data); err == nil && len(culprits) > 0 { // what it means was known when the program was started
			denials = append(denials, record.Denial{Data: k.Data, Program: k.Comm, Count: 1})
		}
	}
	var missed uint64
	if len(r.Killed) == 0 && r.Signal.String() == "bad system call" {
		missed = 1
	}
	if err := f.file.Write(command, denials, missed); err != nil {
		return fmt.Errorf("--denials %s: cannot write: %w", f.name, cause(err))
	}
	return nil
}
