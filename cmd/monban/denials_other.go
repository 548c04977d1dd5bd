//go:build !linux

package main

import (
	"errors"
	"io"
)

const kmsg = "/dev/kmsg"

func openKmsg() (io.ReadCloser, error) { return nil, errors.ErrUnsupported }
