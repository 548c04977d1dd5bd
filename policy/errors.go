package policy

import (
	"fmt"

	"monban/internal/plain"
)

// An Error is one thing wrong with a policy's text: where, what, and the mend.
type Error struct {
	Pos Pos
	Msg string
}

// Error is one line of a bearable length, whatever the text has in it.
func (e *Error) Error() string { return plain.Text(e.Pos.String() + ": " + plain.Message(e.Msg)) }

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
	return &Error{pos, fmt.Sprintf(format, args...)}
}
