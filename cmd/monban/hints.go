package main

import (
	"errors"

	"monban/compile"
	"monban/format"
	"monban/format/codec"
	"monban/gate"
	"monban/inspect"
	"monban/lint"
	"monban/policy"
	"monban/policy/decompile"
	"monban/record"
	"monban/scan"
)

// hints are what to type next after an error of the library, a line each. The library's errors say what is wrong, and
// name no verb and no flag.
func hints(err error) (lines []string) {
	if e, ok := errors.AsType[*gate.ComplexError](err); ok && e.Programs {
		lines = append(lines, "monban disasm still shows it instruction by instruction")
	}
	if e, ok := errors.AsType[*scan.BadFileError](err); ok && e.Interpreter != "" {
		lines = append(lines, "monban scan "+e.Interpreter+" scans what runs it")
	}
	if e, ok := errors.AsType[*scan.BadFileError](err); ok && e.Interpreter != "" {
		lines = append(lines, "it is a script: scan its interpreter, "+e.Interpreter)
	}
	for _, h := range hintTable {
		if h.applies(err) {
			lines = append(lines, h.text)
		}
	}
	return lines
}

// hintTable has the hints that depend on the kind of an error alone.
var hintTable = []struct {
	applies func(error) bool
	text    string
}{
	{is[*policy.OrderError], "--arch chooses those of one byte order: a program for each takes two runs"},
	{is[*policy.NoCallError], "--arch names another architecture, and monban syscalls CALL shows which ones have a call"},
	{is[*inspect.OrderError], "--arch names the architecture"},
	{is[*inspect.NoCallError], "monban syscalls CALL shows which architectures have a call"},
	{is[*inspect.NoPolicyError], "--arch chooses the architectures"},
	{is[*lint.IDError], "monban lint --list lists the catalogue"},
	{is[*format.ReadOnlyError], "monban convert --help lists the formats that are written"},
	{is[*format.TargetError], "--for names the program that will read what is written"},
	{is[*format.RulesError], asProgram},
	{needs(codec.OptionArchs), "--arch chooses the architectures"},
	{needs(codec.OptionConstants), "--constants FILE reads minijail's constants.json"},
	{needs(codec.OptionFormat), "--to oci writes an OCI profile"},
	{wraps(compile.ErrTooLong), "--arch chooses the architectures: with fewer of them a filter is shorter"},
	{is[*record.GroupsError], "--cgroup names the one to follow"},
	{wraps(decompile.ErrNotPolicy), asProgram},
	{is[*scan.MissingLibraryError], "--root names the file system that a program is for, and LD_LIBRARY_PATH directories of libraries"},
	{is[*scan.ArchError], "programs of different architectures are scanned separately"},
	{is[*lint.NoTextError], "a policy's text in a file of its own can be changed: monban convert --to gate -o FILE makes one, where there are words for it"},
}

const asProgram = "monban disasm shows the filter, and monban convert --to c, go and bpf write it, instruction by instruction"

// is tells whether there is an error of a type.
func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// needs tells errors that another choice of an option would avoid.
func needs(o codec.Option) func(error) bool {
	return func(err error) bool {
		e, ok := errors.AsType[*codec.OptionError](err)
		return ok && e.Option == o
	}
}

// wraps tells errors that wrap one.
func wraps(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}
