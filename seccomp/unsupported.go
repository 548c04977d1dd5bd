//go:build !linux

package seccomp

import (
	"context"
	"syscall"

	"monban/bpf"
)

// NoNewPrivs returns ErrUnsupported.
func NoNewPrivs() error { return ErrUnsupported }

// Install returns ErrUnsupported.
func Install(bpf.Program, Flags) error { return ErrUnsupported }

// InstallStack returns ErrUnsupported.
func InstallStack([]bpf.Program, Flags) error { return ErrUnsupported }

// A Listener needs Linux.
type Listener struct{}

// InstallListener returns ErrUnsupported.
func InstallListener(bpf.Program, Flags) (*Listener, error) { return nil, ErrUnsupported }

// OpenListener returns ErrUnsupported.
func OpenListener(int) (*Listener, error) { return nil, ErrUnsupported }

// Close returns ErrUnsupported.
func (*Listener) Close() error { return ErrUnsupported }

// Receive returns ErrUnsupported.
func (*Listener) Receive(context.Context) (*Notification, error) { return nil, ErrUnsupported }

// Return returns ErrUnsupported.
func (*Notification) Return(int64) error { return ErrUnsupported }

// Fail returns ErrUnsupported.
func (*Notification) Fail(syscall.Errno) error { return ErrUnsupported }

// Continue returns ErrUnsupported.
func (*Notification) Continue() error { return ErrUnsupported }

// Valid returns ErrUnsupported.
func (*Notification) Valid() error { return ErrUnsupported }

// AddFD returns ErrUnsupported.
func (*Notification) AddFD(int, Placement) (int, error) { return -1, ErrUnsupported }

// ReturnFD returns ErrUnsupported.
func (*Notification) ReturnFD(int, Placement) (int, error) { return -1, ErrUnsupported }

// Have returns ErrUnsupported.
func Have(Feature) error { return ErrUnsupported }

// Strict returns ErrUnsupported.
func Strict() error { return ErrUnsupported }

// Dump returns ErrUnsupported.
func Dump(int) ([]bpf.Program, error) { return nil, ErrUnsupported }

// Threads returns ErrUnsupported.
func Threads(int) ([]Thread, error) { return nil, ErrUnsupported }

// Confined returns ErrUnsupported.
func Confined() (map[int][]Thread, error) { return nil, ErrUnsupported }

// Features says that there is no seccomp here.
func Features() []Support {
	return []Support{{Feature: "seccomp", Detail: "a feature of Linux", Err: ErrUnsupported}}
}
