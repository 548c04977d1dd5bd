//go:build !linux

package record

import (
	"context"
	"errors"
	"fmt"
)

// Notify needs Linux.
func Notify(context.Context, Run) (*Recording, Result, error) {
	return nil, Result{}, fmt.Errorf("recording needs Linux: %w", errors.ErrUnsupported)
}

// Ptrace needs Linux.
func Ptrace(context.Context, Run) (*Recording, Result, error) {
	return nil, Result{}, fmt.Errorf("recording needs Linux: %w", errors.ErrUnsupported)
}

// Is needs Linux.
func (r *Recording) Is(string) bool { return false }
