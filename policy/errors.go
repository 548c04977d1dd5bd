package policy

import (
	"fmt"

	"monban/internal/plain"
)

// An Error is one thing wrong with a policy's text: where, what, and how to fix it.
type Error struct {
	Pos  Pos
	End  Pos    // of the part of the text that is wrong; its line is 0 where that is not known
	Msg  string // what is wrong
	Near string // what was probably meant from Pos to End; "" where nothing is near
}

// Error is one line of a bearable length, whatever the text has in it.
func (e *Error) Error() string {
	msg := e.Msg
	if e.Near != "" {
		msg += " (did you mean " + e.Near + "?)"
	}
	return plain.Text(e.Pos.String() + ": " + plain.Message(msg))
}

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
