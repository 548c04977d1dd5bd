package record

import (
	"context"
	"syscall"
	"time"

	"monban/verdict"
)

// A Backend is a way to watch a run. Its error is an UnavailableError, or that of starting the program, where nothing
// has run.
type Backend struct {
	Name   string
	Record func(context.Context, Run) (*Recording, Result, error)
}

// Backends are all there are, the one that costs least first.
func Backends() []Backend { return []Backend{{"ebpf", EBPF}, {"ptrace", Ptrace}, {"notify", Notify}} }

// A Run is a program to be recorded.
type Run struct {
	Path string // as execve takes it
	Args []string
	Env  []string
	// Seen, if set, is told ten times a second how far the recording is, which stands still meanwhile.
	Seen func(r *Recording, sinceNew time.Duration)
	// Started, if set, is told the program's process id.
	Started func(pid int)
	// Files, if set, has the recording say which files the programs map to run code from.
	Files bool
	// Gate, if set, is what the run is held against: back ends that see each call by itself make Recording.Lacking
	// exact, and Notify lets pass what it allows.
	Gate *verdict.Verdict
}

// A Result is how the program ended.
type Result struct {
	ExitCode int
	Signal   syscall.Signal // what ended it, 0 if it exited
}
