//go:build !linux || !amd64

package record

import (
	"context"
	"errors"
	"fmt"
	"runtime"
)

// EBPF needs Linux on amd64.
func EBPF(context.Context, Run) (*Recording, Result, error) {
	return nil, Result{}, &UnavailableError{fmt.Errorf("eBPF recorders are for linux/amd64, and this is %s/%s: %w", runtime.GOOS, runtime.GOARCH, errors.ErrUnsupported)}
}
