package main

import (
	"errors"

	"monban/gate"
)

// hints are what to type next after an error of the library, a line each. The library's errors say what is wrong, and name no verb and no
// flag.
func hints(err error) (lines []string) {
	if e, ok := errors.AsType[*gate.ComplexError](err); ok && e.Programs {
		lines = append(lines, "monban disasm still shows it instruction by instruction")
	}
	return lines
}
