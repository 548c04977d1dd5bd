package record

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"monban/abi"
	"monban/bpf"
	"monban/internal/regular"
)

// A Denial is a call that a gate has killed a program for.
type Denial struct {
	Data    bpf.Data
	Program string // the thread's name: the program chooses it
	Count   uint64 // how often
}

// denialsSchema is the first line's schema in a file of denials, as docs/learning.md describes it.
const denialsSchema = "monban/denials/1"

// ErrNotDenials says that a file was not written by a run that was asked for one.
var ErrNotDenials = fmt.Errorf("it is not a file of denials, which begins with the schema %s", denialsSchema)

// denialsHead is the first line of a file of denials; each other is a denialLine.
type denialsHead struct {
	Schema  string   `json:"schema"`
	Command []string `json:"command"`
	Missed  uint64   `json:"missed"` // calls that were killed and are not in the file
}

type denialLine struct {
	Arch    string    `json:"arch"`
	Nr      uint32    `json:"nr"`
	Args    [6]string `json:"args"` // in hexadecimal
	Program string    `json:"program"`
	Count   uint64    `json:"count"`
}

// MaxDenials is how many different denials a file has at most.
const MaxDenials = 10000

// maxDenialsFile is the largest file of denials that is read, in bytes.
const maxDenialsFile = 16 << 20

// A DenialsFile is a file that gets what a run is denied. It is there from the start, so that nothing can be wrong with
// its place later.
type DenialsFile struct{ name string }

// CreateDenials makes a file of denials, which must not be there yet and nobody but this user may read or write. It
// stays empty, and so is refused by [Recording.AddDenials], until Write.
func CreateDenials(name string) (*DenialsFile, error) {
	f, err := regular.CreateOwn(name)
	if err != nil {
		return nil, err
	}
	return &DenialsFile{name}, f.Close()
}

// Discard removes the file of a run that did not take place.
func (f *DenialsFile) Discard() { os.Remove(f.name) }

// Write puts the denials of a run into the place of the file, in a new one: whoever had the old one open, a program
// that the gate lets open files for one, has written nothing. Denials that are alike count as one; those above
// MaxDenials count as missed.
func (f *DenialsFile) Write(command []string, denials []Denial, missed uint64) error {
	type key struct {
		data    bpf.Data
		program string
	}
	at := map[key]int{}
	var all []Denial
	for _, d := range denials {
		if _, ok := abi.Of(d.Data.Arch, d.Data.Nr); !ok {
			missed += d.Count
			continue
		}
		d.Data.IP = 0 // addresses are another run's
		k := key{d.Data, d.Program}
		i, old := at[k]
		switch {
		case old:
			all[i].Count += d.Count
		case len(all) == MaxDenials:
			missed += d.Count
		default:
			at[k] = len(all)
			all = append(all, d)
		}
	}
	var b bytes.Buffer
	lines := json.NewEncoder(&b)
	if command == nil {
		command = []string{}
	}
	if err := lines.Encode(denialsHead{denialsSchema, command, missed}); err != nil {
		return err
	}
	for _, d := range all {
		arch, _ := abi.Of(d.Data.Arch, d.Data.Nr)
		line := denialLine{Arch: arch.String(), Nr: d.Data.Nr, Program: d.Program, Count: d.Count}
		for i, v := range d.Data.Args {
			line.Args[i] = "0x" + strconv.FormatUint(v, 16)
		}
		if err := lines.Encode(line); err != nil {
			return err
		}
	}
	return regular.ReplaceOwn(f.name, b.Bytes())
}

// AddDenials adds what is in a file that DenialsFile has written, and says how many killed calls are not in it. It must
// be a regular file, no link, that belongs to this user and that nobody else may write: what others wrote would become
// rules. After an error the recording has what stands before it.
func (r *Recording) AddDenials(name string) (missed uint64, err error) {
	f, err := regular.OpenOwn(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return r.parseDenials(name, f)
}

func (r *Recording) parseDenials(name string, in io.Reader) (missed uint64, err error) {
	lines := bufio.NewScanner(io.LimitReader(in, maxDenialsFile+1))
	lines.Buffer(nil, maxLine)
	n, size := 0, 0
	next := func() (bool, error) {
		n++
		switch more, err := lines.Scan(), lines.Err(); {
		case errors.Is(err, bufio.ErrTooLong) && n == 1:
			return false, fmt.Errorf("%s: %w", name, ErrNotDenials)
		case errors.Is(err, bufio.ErrTooLong):
			return false, fmt.Errorf("%s:%d: this is not a denial: a line of more than %d bytes", name, n, maxLine)
		case err != nil:
			return false, fmt.Errorf("%s: %w", name, err)
		case !more:
			return false, nil
		}
		if size += len(lines.Bytes()) + 1; size > maxDenialsFile {
			return false, fmt.Errorf("%s: more than %d MB", name, maxDenialsFile>>20)
		}
		return true, nil
	}
	read := func(into any) error {
		one := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		one.DisallowUnknownFields()
		if err := one.Decode(into); err != nil {
			return err
		}
		if _, err := one.Token(); !errors.Is(err, io.EOF) {
			return errors.New("a line is one object")
		}
		return nil
	}
	var head denialsHead
	switch more, err := next(); {
	case err != nil:
		return 0, err
	case !more:
		return 0, fmt.Errorf("%s: it is empty: the run that it is of has not ended, or was killed", name)
	}
	if err := read(&head); err != nil || head.Schema != denialsSchema {
		return 0, fmt.Errorf("%s: %w", name, ErrNotDenials)
	}
	for {
		more, err := next()
		if !more {
			return head.Missed, err
		}
		if n > MaxDenials+1 {
			return 0, fmt.Errorf("%s: more than %d denials", name, MaxDenials)
		}
		var line denialLine
		err = read(&line)
		var d bpf.Data
		var a abi.Arch
		if err == nil {
			a, d, err = line.call()
		}
		if err != nil {
			return 0, fmt.Errorf("%s:%d: this is not a denial: %w", name, n, err)
		}
		r.Add(a, &d, line.Program)
		r.Made += line.Count - 1
		c := r.Calls[Key{a, d.Nr}]
		c.Count += line.Count - 1
		c.Programs[line.Program] += line.Count - 1
	}
}

// call is the call of a line.
func (l *denialLine) call() (a abi.Arch, d bpf.Data, err error) {
	if a, err = abi.ParseArch(l.Arch); err != nil {
		return a, d, err
	}
	d = bpf.Data{Arch: a.Token(), Nr: l.Nr}
	if owner, ok := abi.Of(d.Arch, d.Nr); !ok || owner != a {
		return a, d, fmt.Errorf("%s has no number %d", a, l.Nr)
	}
	if l.Count == 0 {
		return a, d, errors.New("count is 0")
	}
	for i, text := range l.Args {
		digits, hex := strings.CutPrefix(text, "0x")
		v, err := strconv.ParseUint(digits, 16, 64)
		if !hex || err != nil {
			return a, d, fmt.Errorf("%q is not an argument, such as 0x1f", text)
		}
		d.Args[i] = v
	}
	return a, d, nil
}

// Denied is an empty recording for what files and logs, which are named, say was refused.
func Denied(names ...string) *Recording {
	rec := New([]string{"the denials in " + strings.Join(names, ", ")}, "from a log")
	rec.Denied = true
	return rec
}

// addWhole takes in a call of which the arguments are not known.
func (r *Recording) addWhole(a abi.Arch, d *bpf.Data, program string) {
	r.Made++
	k := Key{a, d.Nr}
	c := r.Calls[k]
	if c == nil {
		name, _ := a.Name(d.Nr)
		c = &Call{Programs: map[string]uint64{}, Example: *d, Values: make([]Values, len(Arguments(a, name)))}
		r.Calls[k] = c
	}
	c.Count++
	c.Programs[program]++
	for i := range c.Values {
		c.Values[i] = Values{Many: true}
	}
}
