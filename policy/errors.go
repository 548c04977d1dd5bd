package policy

import (
	"fmt"

	"monban/abi"
	"monban/internal/plain"
)

// An Error is one thing wrong with a policy's text: where, what, and how to fix it.
type Error struct {
	Pos  Pos
	End  Pos    // of the part of the text that is wrong; its line is 0 where that is not known
	Msg  string // what is wrong
	Near string // what was probably meant from Pos to End; "" where nothing is near
	Err  error  // Msg as a value of its own type, such as *NoCallError; nil where it has none
}

// Error is one line of a bearable length, whatever the text has in it.
func (e *Error) Error() string { return plain.Text(e.Pos.String() + ": " + plain.Message(e.Reason())) }

// Reason is what is wrong, without the place.
func (e *Error) Reason() string {
	if e.Near == "" {
		return e.Msg
	}
	return e.Msg + " (did you mean " + e.Near + "?)"
}

func (e *Error) Unwrap() error { return e.Err }

// A NoCallError says that an architecture does not have a system call, which others have.
type NoCallError struct {
	Call string
	Arch abi.Arch
}

func (e *NoCallError) Error() string { return fmt.Sprintf("%s has no system call %s", e.Arch, e.Call) }

// A MultiplexedError says that an architecture has no number for a call: another call makes it, by its first argument.
type MultiplexedError struct {
	Call string
	Arch abi.Arch
	By   string // such as socketcall
	Sub  uint32 // the argument
}

func (e *MultiplexedError) Error() string {
	return fmt.Sprintf("%s has no number of its own on %s: ask about %s(%d)", e.Call, e.Arch, e.By, e.Sub)
}

// A NoArgumentError says that a call does not have an argument of a name, on the architecture that was asked about.
type NoArgumentError struct{ Call, Name string }

func (e *NoArgumentError) Error() string { return fmt.Sprintf("%s has no argument %s", e.Call, e.Name) }

// An OrderError says that a policy's architectures differ in byte order: no program is for both.
type OrderError struct{ A, B abi.Arch }

func (e *OrderError) Error() string {
	return fmt.Sprintf("%s and %s differ in byte order: one program cannot serve both", e.A, e.B)
}

// typed is an error that has a type of its own, at a place.
func typed(pos Pos, err error) error { return &Error{Pos: pos, Msg: err.Error(), Err: err} }

// String is file:line:column, or what of it is known.
func (p Pos) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Col == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

func errorf(pos Pos, format string, args ...any) error {
	return &Error{Pos: pos, Msg: fmt.Sprintf(format, args...)}
}
