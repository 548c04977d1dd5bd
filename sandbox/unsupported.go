//go:build !linux

package sandbox

import "context"

// Run returns ErrUnsupported.
func (c *Command) Run(context.Context) (*Result, error) { return nil, ErrUnsupported }
