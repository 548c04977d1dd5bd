package seccomp

import (
	"errors"

	"monban/bpf"
)

// ErrGone means that a call does not wait any more: its thread has ended, a signal has taken it back, or it has its
// answer. A supervisor goes on to the next.
var ErrGone = errors.New("it does not wait for an answer any more")

// A Notification is a call that waits for an answer: one of Return, Fail, Continue and ReturnFD. All of them, AddFD and
// Valid return ErrGone's kind for one that does not wait any more.
type Notification struct {
	ID   uint64   // of this call, never used again by its filter
	TID  int      // the thread that waits, in this process's PID namespace; 0 if it has no number there
	Call bpf.Data // as the filter saw it

	listener *Listener
}

// A Placement says where a descriptor comes to be in the process that waits: the zero Placement is the lowest free
// number, kept over an exec.
type Placement struct {
	CloseOnExec bool
	Replace     bool // at Number, in place of what is there, as dup2 does
	Number      int
}
