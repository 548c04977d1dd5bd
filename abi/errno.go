package abi

import (
	"strings"
	"sync"
)

// An errnoLine is an error's name and its numbers, as valueOn reads them.
type errnoLine struct{ name, rest string }

var errnos = sync.OnceValue(func() []errnoLine {
	lines := make([]errnoLine, 0, 160)
	for line := range table("errnos.txt") {
		name, rest, _ := strings.Cut(line, " ")
		lines = append(lines, errnoLine{name, rest})
	}
	return lines
})

// Errno returns the number of an error on a: ENOSYS is 38 on most architectures, 89 on MIPS and 251 on PA-RISC.
func (a Arch) Errno(name string) (uint16, bool) {
	for _, e := range errnos() {
		if e.name == name {
			v, ok := a.valueOn(e.rest)
			return uint16(v), ok
		}
	}
	return 0, false
}

// ErrnoName returns the error's usual name: EAGAIN, not EWOULDBLOCK. ok is false where the kernel has no error of that
// number.
func (a Arch) ErrnoName(n uint16) (string, bool) {
	for _, e := range errnos() { // the second names of an error come last in the table
		if v, ok := a.valueOn(e.rest); ok && uint16(v) == n {
			return e.name, true
		}
	}
	return "", false
}
