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

// Attach needs Linux on amd64.
func Attach(context.Context, []string, func() ([]int, error), Run) (*Recording, error) {
	_, _, err := EBPF(context.Background(), Run{})
	return nil, err
}

// Tree needs Linux on amd64.
func Tree(int) ([]int, error) { return nil, errors.ErrUnsupported }

// Cgroup needs Linux on amd64.
func Cgroup(string) ([]int, error) { return nil, errors.ErrUnsupported }

// Container needs Linux on amd64.
func Container(string) (string, error) { return "", errors.ErrUnsupported }
