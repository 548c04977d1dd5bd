package sys

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"monban/bpf"
)

// Filter is a program as the kernel takes it: struct sock_filter, one after the other, in this machine's byte order. It
// is EINVAL for a length that no filter has; nothing else of the program is looked at.
func Filter(p bpf.Program) ([]byte, error) {
	if len(p) == 0 || len(p) > bpf.MaxInstructions {
		return nil, fmt.Errorf("a filter has 1 to %d instructions, this one has %d: %w", bpf.MaxInstructions, len(p), unix.EINVAL)
	}
	return p.Encode(binary.NativeEndian), nil
}

// A Fprog is struct sock_fprog in this process. The filter's address is a number, since it may be that of nothing: who
// makes it one keeps the filter where it is.
type Fprog struct {
	Len    uint16 // in instructions
	Filter uintptr
}

// FprogSize is the room for a struct sock_fprog of either width, in bytes; on i386 it takes half of it.
const FprogSize = 16

// FprogBytes is the struct sock_fprog of a program whose registers and pointers have 64 bits (wide) or 32, for a filter
// of n instructions at an address of that program's.
func FprogBytes(n int, filter uint64, wide bool) []byte {
	b := make([]byte, FprogSize)
	binary.NativeEndian.PutUint16(b, uint16(n))
	if wide {
		binary.NativeEndian.PutUint64(b[8:], filter)
	} else {
		binary.NativeEndian.PutUint32(b[4:], uint32(filter))
	}
	return b
}
