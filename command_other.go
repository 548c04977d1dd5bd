//go:build !unix

package monban

import "os"

// errBrokenPipe is what writing to a program gives that has closed its standard input. No program runs here.
var errBrokenPipe = os.ErrClosed
