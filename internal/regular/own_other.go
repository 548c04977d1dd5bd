//go:build !unix

package regular

import (
	"errors"
	"io/fs"
	"os"
)

func unsupported(name string) error {
	return &fs.PathError{Op: "open", Path: name, Err: errors.ErrUnsupported}
}

// OpenOwn needs owners of files as Unix has them.
func OpenOwn(name string) (*os.File, error) { return nil, unsupported(name) }

// CreateOwn needs owners of files as Unix has them.
func CreateOwn(name string) (*os.File, error) { return nil, unsupported(name) }

// ReplaceOwn needs owners of files as Unix has them.
func ReplaceOwn(name string, _ []byte) error { return unsupported(name) }
