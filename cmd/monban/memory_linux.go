package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// addressSpace is how much of it Monban needs, in bytes. Go's runtime reserves 600 MB, with nothing in it, before any
// code of ours.
const addressSpace = 1024 << 20

// checkMemory says whether the address space is too small (ulimit -v): the runtime would end in the midst of something,
// with a stack trace. Where even the runtime has no room it ends before this is asked.
func checkMemory() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_AS, &limit); err != nil || limit.Cur >= addressSpace {
		return nil
	}
	return fmt.Errorf("the limit of address space (ulimit -v) is %d KB: monban needs %d", limit.Cur>>10, addressSpace>>10)
}
