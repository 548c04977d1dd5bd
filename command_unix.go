//go:build unix

package monban

import "syscall"

// errBrokenPipe is what writing to a program gives that has closed its standard input.
const errBrokenPipe = syscall.EPIPE
