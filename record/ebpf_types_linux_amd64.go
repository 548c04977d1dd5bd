package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// kernelTypes is the kernel's description of its own types (BTF, Documentation/bpf/btf.rst). Only what a recorder asks for is ever
// decoded: indexing all of it takes longer than all else that a recorder does at its start.
type kernelTypes struct{ types, names, mapped []byte }

// btfType is one type. Their numbers count from 1, in order.
type btfType struct {
	id      uint32
	members []byte // of a structure
	bits    bool   // a member's offset has a width above it
}

// Kinds of types (linux/btf.h).
const (
	btfInt       = 1
	btfArray     = 3
	btfStruct    = 4
	btfUnion     = 5
	btfEnum      = 6
	btfTypedef   = 8
	btfFuncProto = 13
	btfVar       = 14
	btfDatasec   = 15
	btfDeclTag   = 17
	btfEnum64    = 19
)

var errTypes = errors.New("the kernel's type information is damaged")

func readKernelTypes() (*kernelTypes, error) {
	const path = "/sys/kernel/btf/vmlinux"
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the kernel's type information: %w", err)
	}
	defer f.Close()
	// Linux 6.16 and later let it be mapped: copying the megabytes takes twenty times as long as finding in them what is wanted.
	if info, err := f.Stat(); err == nil {
		if raw, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_PRIVATE); err == nil {
			k, err := parseTypes(raw)
			if err != nil {
				_ = unix.Munmap(raw)
				return nil, err
			}
			k.mapped = raw
			return k, nil
		}
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the kernel's type information: %w", err)
	}
	return parseTypes(raw)
}

func (k *kernelTypes) close() {
	if k.mapped != nil {
		_ = unix.Munmap(k.mapped)
	}
}

func parseTypes(raw []byte) (*kernelTypes, error) {
	const magic, short = 0xeb9f, 24
	if len(raw) < short || binary.NativeEndian.Uint16(raw) != magic {
		return nil, errTypes
	}
	word := func(at int) uint64 { return uint64(binary.NativeEndian.Uint32(raw[at:])) }
	body := word(4)
	types, names := body+word(8), body+word(16)
	if typesEnd, namesEnd := types+word(12), names+word(20); max(typesEnd, namesEnd) <= uint64(len(raw)) {
		return &kernelTypes{types: raw[types:typesEnd], names: raw[names:namesEnd]}, nil
	}
	return nil, errTypes
}

// find is the first type of a kind that has this name.
func (k *kernelTypes) find(kind uint32, name string) (btfType, error) {
	const fixed, member = 12, 12 // a type's three words, and a member's
	rest := k.types
	for id := uint32(1); len(rest) >= fixed; id++ {
		at, info := binary.NativeEndian.Uint32(rest), binary.NativeEndian.Uint32(rest[4:])
		has, n, more := info>>24&0x1f, int(info&0xffff), 0
		switch has {
		case btfInt, btfVar, btfDeclTag:
			more = 4
		case btfArray:
			more = 12
		case btfStruct, btfUnion, btfDatasec, btfEnum64:
			more = member * n
		case btfEnum, btfFuncProto:
			more = 8 * n
		}
		if len(rest) < fixed+more {
			return btfType{}, errTypes
		}
		if has == kind && k.named(at, name) {
			return btfType{id, rest[fixed : fixed+more], info>>31 != 0}, nil
		}
		rest = rest[fixed+more:]
	}
	return btfType{}, fmt.Errorf("this kernel has no type %s", name)
}

// named says whether the name that begins at an offset is this one.
func (k *kernelTypes) named(at uint32, name string) bool {
	if uint64(at) >= uint64(len(k.names)) {
		return false
	}
	rest, found := bytes.CutPrefix(k.names[at:], []byte(name))
	return found && len(rest) > 0 && rest[0] == 0
}

// offset is where in a structure its member begins, in bytes.
func (k *kernelTypes) offset(structure, member string) (int16, error) {
	t, err := k.find(btfStruct, structure)
	if err != nil {
		return 0, err
	}
	for m := range slices.Chunk(t.members, 12) {
		if !k.named(binary.NativeEndian.Uint32(m), member) {
			continue
		}
		at := binary.NativeEndian.Uint32(m[8:])
		if t.bits {
			at &= 0xffffff
		}
		if at /= 8; at > math.MaxInt16 {
			return 0, fmt.Errorf("this kernel's %s has %s where no program reaches", structure, member)
		}
		return int16(at), nil
	}
	return 0, fmt.Errorf("this kernel's %s has no %s", structure, member)
}
