//go:build !linux

package sandbox

import "context"

// A Process is a program that runs behind its gate.
type Process struct{}

// Run returns ErrUnsupported.
func (c *Command) Run(context.Context) (*Result, error) { return nil, ErrUnsupported }

// Start returns ErrUnsupported.
func (c *Command) Start(context.Context) (*Process, error) { return nil, ErrUnsupported }

// PID is 0.
func (p *Process) PID() int { return 0 }

// Wait returns ErrUnsupported.
func (p *Process) Wait() (*Result, error) { return nil, ErrUnsupported }
