package sys

import (
	"encoding/binary"
	"strconv"
)

// Entries of the auxiliary vector (linux/auxvec.h).
const (
	AtPhdr        = 3
	AtEntry       = 9
	AtSecure      = 23
	AtSysinfoEhdr = 33
)

// OwnAuxv is what the kernel has told this process at its start, by entry.
func OwnAuxv() (map[uint64]uint64, error) {
	const name = proc + "/self/auxv"
	b, err := read(name, maxStatus)
	if err != nil {
		return nil, err
	}
	auxv, ok := parseAuxv(b, strconv.IntSize == 64)
	if !ok {
		return nil, malformed(name)
	}
	return auxv, nil
}

// parseAuxv reads pairs of words, of 64 bits or 32, up to the one that says that it is the last.
func parseAuxv(b []byte, wide bool) (auxv map[uint64]uint64, ok bool) {
	size := 4
	word := func(b []byte) uint64 { return uint64(binary.NativeEndian.Uint32(b)) }
	if wide {
		size, word = 8, binary.NativeEndian.Uint64
	}
	auxv = map[uint64]uint64{}
	for ; len(b) >= 2*size; b = b[2*size:] {
		k := word(b)
		if k == 0 {
			return auxv, true
		}
		auxv[k] = word(b[size:])
	}
	return nil, false
}
