//go:build !linux

package expect

import (
	"context"
	"errors"
	"fmt"

	"monban/bpf"
)

// LiveEnv, in the environment of a process that runs Child, makes it one.
const LiveEnv = "MONBAN_EXPECT_CHILD"

// Safe says that a result's witness may be put to the kernel; here there is none.
func (r *Result) Safe() bool { return false }

// Try needs Linux.
func (r *Result) Try(context.Context, []bpf.Program, string) error {
	return fmt.Errorf("making calls needs Linux: %w", errors.ErrUnsupported)
}

// Child needs Linux.
func Child() error { return errors.ErrUnsupported }
