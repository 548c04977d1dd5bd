package abi

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	"monban/internal/nearest"
)

// An Arch is one system call convention of Linux: what seccomp tells apart by AUDIT_ARCH and, for x32, by bit 30 of the
// number.
//
// The zero Arch is the architecture that the running program was built for: on amd64, X86_64 is 0. Whoever leaves an
// Arch out of a struct means [Native], and no room can forget to look. So the values differ from machine to machine:
// they are not for files, and [Archs] gives the order that does not.
type Arch uint8

// Archs returns all architectures, in table order.
func Archs() []Arch {
	all := make([]Arch, archCount)
	for i := range all {
		all[i] = (X86 + Arch(i)) % archCount
	}
	return all
}

// ParseArch reads an architecture's name in any usual spelling, whatever its case: ours (x86_64), Go's (amd64),
// libseccomp's and OCI's (SCMP_ARCH_X86_64) and what uname -m prints (i686, armv7l). The error suggests the nearest
// name.
func ParseArch(s string) (Arch, error) {
	word := strings.TrimPrefix(strings.ToLower(s), "scmp_arch_")
	for _, a := range Archs() {
		if word == a.String() || word != "" && word == a.GOARCH() {
			return a, nil
		}
	}
	if a, ok := spellings[word]; ok {
		return a, nil
	}
	names := make([]string, 0, 2*archCount+len(spellings))
	for _, a := range Archs() {
		names = append(names, a.String())
	}
	for _, a := range Archs() {
		if a.GOARCH() != "" {
			names = append(names, a.GOARCH())
		}
	}
	names = append(names, slices.Sorted(maps.Keys(spellings))...)
	if near := nearest.Word(word, names); near != "" {
		return 0, fmt.Errorf("unknown architecture %q (did you mean %s?)", s, near)
	}
	return 0, fmt.Errorf("unknown architecture %q (want one like x86_64, aarch64 or SCMP_ARCH_X86)", s)
}

// Native returns the zero Arch, by its name: the architecture that the running program was built for, and X86_64 where
// Linux has none such (js/wasm).
func Native() Arch { return 0 }

// String returns our name of the architecture, which is libseccomp's in lower case.
func (a Arch) String() string {
	if int(a) >= archCount {
		return fmt.Sprintf("arch(%d)", uint8(a))
	}
	return archInfo[a].name
}

// SCMP returns libseccomp's name, as OCI runtime configurations use it: SCMP_ARCH_X86_64.
func (a Arch) SCMP() string { return "SCMP_ARCH_" + strings.ToUpper(a.String()) }

// GOARCH returns the architecture's name in Go, or "" where Go's own toolchain has none.
func (a Arch) GOARCH() string { return archInfo[a].goarch }

// Token returns the AUDIT_ARCH value that a filter finds in seccomp_data.arch. X32 and X86_64 share one.
func (a Arch) Token() uint32 { return archInfo[a].token }

// ByteOrder returns the order of bytes in memory, and so of the two halves of an argument in struct seccomp_data.
func (a Arch) ByteOrder() binary.ByteOrder {
	if archInfo[a].big {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// Bits returns the width of an argument's register, 32 or 64. X32 and the N32s, whose pointers have 32 bits, have
// 64-bit registers.
func (a Arch) Bits() int { return archInfo[a].bits }

// PointerBits returns the width of a pointer, and of C's long, 32 or 64.
func (a Arch) PointerBits() int { return archInfo[a].pointer }

// Family returns the architectures whose programs a kernel of architecture a may run, a itself first. The pairs are
// those of Docker's default profile (archMap).
func (a Arch) Family() []Arch { return append([]Arch{a}, archInfo[a].family...) }

// Join writes architectures with sep between them.
func Join(archs []Arch, sep string) string {
	names := make([]string, len(archs))
	for i, a := range archs {
		names[i] = a.String()
	}
	return strings.Join(names, sep)
}
