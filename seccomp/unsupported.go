//go:build !linux

package seccomp

import "monban/bpf"

// NoNewPrivs returns ErrUnsupported.
func NoNewPrivs() error { return ErrUnsupported }

// Install returns ErrUnsupported.
func Install(bpf.Program, Flags) error { return ErrUnsupported }

// InstallStack returns ErrUnsupported.
func InstallStack([]bpf.Program, Flags) error { return ErrUnsupported }

// InstallListener returns ErrUnsupported.
func InstallListener(bpf.Program, Flags) (int, error) { return -1, ErrUnsupported }

// Strict returns ErrUnsupported.
func Strict() error { return ErrUnsupported }

// Dump returns ErrUnsupported.
func Dump(int) ([]bpf.Program, error) { return nil, ErrUnsupported }

// Threads returns ErrUnsupported.
func Threads(int) ([]Thread, error) { return nil, ErrUnsupported }

// Confined returns ErrUnsupported.
func Confined() (map[int][]Thread, error) { return nil, ErrUnsupported }

// Features says that there is no seccomp here.
func Features() []Feature {
	return []Feature{{Name: "seccomp", Detail: "a feature of Linux", Err: ErrUnsupported}}
}
