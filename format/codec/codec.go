// Package codec is what a package for a foreign format gives: a [Format], which package format puts into its table. The
// table drives recognition, prefixes (oci:FILE), monban convert, help, shell completion and the documentation.
//
// A Format only translates. Reading ends in a policy, or in programs; writing starts from a meaning, and what was
// written is read back and proven equal by package format.
package codec

import (
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"

	"monban/abi"
	"monban/bpf"
	"monban/gate"
	"monban/policy"
	"monban/verdict"
)

// A Format is one form in which gates come or go.
type Format struct {
	Name   string   // as a prefix and --to say it: minijail
	Title  string   // as a sentence says it: "a minijail policy"
	About  string   // one line for help and completion: who takes it
	Exts   []string // usual endings of its files, with the dot; the first is the one for new files
	Binary bool     // its files are not text
	Parts  bool     // a file may have several gates, of which FILE#PART names one
	For    []string // the programs that it can be written for (--for), the default first; nil where there is one way only
	// Sniff reports whether a text is of this format. It must not be slow, and be sure: the first format in the table
	// that says so is taken. Nil: by prefix only.
	Sniff func(src []byte) bool
	// Read turns a text into a gate: its policy or programs, and what it noticed; package format says the rest. Nil:
	// the format is only written.
	Read func(in *Input) (*gate.Gate, error)
	// Write turns a meaning into a text, in formats of rules. Nil: the format has none, or is only read.
	Write func(m *Meaning) (*Text, error)
	// WriteProgram turns a program into a text, in formats of programs: they say whatever a program can do, rules or
	// not.
	WriteProgram func(p *Program) (*Text, error)
}

// Writes reports whether the format can be written.
func (f Format) Writes() bool { return f.Write != nil || f.WriteProgram != nil }

// An Input is a text to read and what it is read for.
type Input struct {
	Name string // the file's, for messages and for what it names beside it
	Part string // what stood after # in the reference, such as a thread's name
	Src  []byte
	Options
	// ReadFile reads a file that the text names; a relative name has been joined to the directory of the file that
	// names it. Errors name the file. Nil: such files are refused.
	ReadFile func(name string) ([]byte, error)
	// ReadDir lists the names of a directory's files, sorted; a directory that does not exist has none. Nil: there are
	// none.
	ReadDir func(name string) ([]string, error)
}

// Errorf is an error at a byte of the text, as file:line:column.
func (in *Input) Errorf(off int, format string, args ...any) error {
	return &policy.Error{Pos: NewSource(in.Name, in.Src).Pos(off), Msg: fmt.Sprintf(format, args...)}
}

// Options say what a gate is resolved for.
type Options struct {
	Archs     []abi.Arch  // --arch: instead of what the gate says itself
	Native    abi.Arch    // the machine
	Kernel    abi.Version // --kernel: for formats that ask; zero is the newest
	Caps      []string    // --cap: capabilities of the container, for OCI profiles; nil is Docker's default set
	Runtime   string      // --runtime: whose reading of an OCI profile it is; "", "runc", "crun" or "containerd"
	Constants string      // --constants: a file of constants, for minijail

	// FS has the files; nil is the machine's. Names are slash-separated then, as in package io/fs.
	FS fs.FS
	// Stdin is what "-" names. Nil: a document names the gate, not a user. "-" is a file's name then, and only regular
	// files are read.
	Stdin io.Reader
	// Dump reads the filters of a process, the oldest first, for pid:N. Nil: that is refused.
	Dump func(pid int) ([]bpf.Program, error)
}

// A Meaning is a gate to be written.
type Meaning struct {
	Name    string
	Policy  *policy.Policy  // decompiled where the gate was BPF
	Verdict verdict.Verdict // equal to the policy's
	For     string          // one of the format's For, or ""
	Options                 // as the text will be read back
}

// A Program is a gate to be written in a format of programs.
type Program struct {
	Name    string
	Code    bpf.Program
	Order   binary.ByteOrder
	Archs   []abi.Arch // that it tells apart; none where that is not known
	AsRead  bool       // the instructions are the gate's own; otherwise they were compiled, and proven equal to it
	Options            // as the gate was read with
}

// A Text is what was written.
type Text struct {
	Bytes []byte
	Notes []string // what whoever reads the text should know
	// KillsForeign says that the format kills calls of architectures that the policy does not speak for in its own way,
	// thread or process. Where the policy kills them too, that is not a difference; a note should say it.
	KillsForeign bool
	// ReadBack are the options for reading it again, where they differ from those it was written with.
	ReadBack *Options
}
