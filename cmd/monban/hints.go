package main

import (
	"errors"

	"monban/gate"
	"monban/inspect"
)

// hints are what to type next after an error of the library, a line each. The library's errors say what is wrong, and name no verb and no
// flag.
func hints(err error) (lines []string) {
	if e, ok := errors.AsType[*gate.ComplexError](err); ok && e.Programs {
		lines = append(lines, "monban disasm still shows it instruction by instruction")
	}
	if _, ok := errors.AsType[*inspect.OrderError](err); ok {
		lines = append(lines, "name the architecture with --arch")
	}
	if _, ok := errors.AsType[*inspect.NoCallError](err); ok {
		lines = append(lines, "monban syscalls shows who has it")
	}
	if _, ok := errors.AsType[*inspect.NoPolicyError](err); ok {
		lines = append(lines, "name the architectures with --arch")
	}
	return lines
}
