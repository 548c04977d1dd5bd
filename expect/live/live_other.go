//go:build !linux

package live

import (
	"context"
	"errors"
	"fmt"

	"monban/bpf"
	"monban/expect"
)

// Env, in the environment of a process that runs Child, makes it one.
const Env = "MONBAN_EXPECT_CHILD"

// Safe says that a result's witness may be put to the kernel; here there is none.
func Safe(*expect.Result) bool { return false }

// Try needs Linux.
func Try(context.Context, *expect.Result, []bpf.Program, string) error {
	return fmt.Errorf("making calls needs Linux: %w", errors.ErrUnsupported)
}

// Child needs Linux.
func Child() error { return errors.ErrUnsupported }
