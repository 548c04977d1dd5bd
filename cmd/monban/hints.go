package main

import (
	"errors"

	"monban/compile"
	"monban/format"
	"monban/format/codec"
	"monban/gate"
	"monban/lint"
	"monban/policy"
	"monban/policy/decompile"
	"monban/record"
)

// hints are what to type next after an error of the library, a line each. The library's errors say what is wrong, and name no verb and no
// flag.
func hints(err error) (lines []string) {
	if e, ok := errors.AsType[*gate.ComplexError](err); ok && e.Programs {
		lines = append(lines, "monban disasm still shows it instruction by instruction")
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
	{is[*policy.OrderError], "--arch compiles one file for each byte order"},
	{is[*policy.NoCallError], "--arch names another architecture, and monban syscalls CALL shows which ones have a call"},
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
