//go:build !linux

package record

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"monban/verdict"
)

// A Run is a program to be recorded.
type Run struct {
	Path string
	Args []string
	Env  []string
	Seen func(r *Recording, sinceNew time.Duration)
	// Started, if set, is told the program's process id.
	Started func(pid int)
	// Gate, if set, is what the run is held against: back ends that see each call by itself make Recording.Lacking exact.
	Gate *verdict.Verdict
}

// A Result is how the program ended.
type Result struct {
	ExitCode int
	Signal   syscall.Signal
}

// Notify needs Linux.
func Notify(context.Context, Run, *verdict.Verdict) (*Recording, Result, error) {
	return nil, Result{}, fmt.Errorf("recording needs Linux: %w", errors.ErrUnsupported)
}

// Ptrace needs Linux.
func Ptrace(context.Context, Run) (*Recording, Result, error) {
	return nil, Result{}, fmt.Errorf("recording needs Linux: %w", errors.ErrUnsupported)
}
