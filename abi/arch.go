package abi

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	"monban/abi/internal/native"
	"monban/internal/nearest"
)

// An Arch is one system call convention of Linux: what seccomp tells apart by AUDIT_ARCH and, for x32, by bit 30 of the number.
//
// The zero Arch is the architecture that the running program was built for: on amd64, X86_64 is 0. Whoever leaves an Arch out of a
// struct means [Native], and no room can forget to look. So the values differ from machine to machine: they are not for files, and
// [Archs] gives the order that does not.
type Arch uint8

// The architectures, in the order of facts/architectures.csv, counted from the native one round to it again.
const (
	X86 Arch = (iota - native.Place + archCount) % archCount
	X86_64
	X32
	ARM
	AArch64
	LoongArch64
	M68K
	MIPS
	MIPSEL
	MIPS64
	MIPSEL64
	MIPS64N32
	MIPSEL64N32
	PARISC
	PARISC64
	PPC
	PPC64
	PPC64LE
	RISCV64
	S390
	S390X
	SHEB
	SH

	archCount = iota
)

// archInfo is what does not come from a table of names: tokens are AUDIT_ARCH_* of linux/audit.h, and bits the width of the
// registers that fill seccomp_data.args, which is 64 for the ILP32 conventions of 64-bit processors.
var archInfo = [archCount]struct {
	name   string
	goarch string
	token  uint32
	big    bool
	bits   int
	family []Arch
}{
	X86:         {name: "x86", goarch: "386", token: 0x40000003, bits: 32},
	X86_64:      {name: "x86_64", goarch: "amd64", token: 0xc000003e, bits: 64, family: []Arch{X86, X32}},
	X32:         {name: "x32", token: 0xc000003e, bits: 64},
	ARM:         {name: "arm", goarch: "arm", token: 0x40000028, bits: 32},
	AArch64:     {name: "aarch64", goarch: "arm64", token: 0xc00000b7, bits: 64, family: []Arch{ARM}},
	LoongArch64: {name: "loongarch64", goarch: "loong64", token: 0xc0000102, bits: 64},
	M68K:        {name: "m68k", token: 0x00000004, big: true, bits: 32},
	MIPS:        {name: "mips", goarch: "mips", token: 0x00000008, big: true, bits: 32},
	MIPSEL:      {name: "mipsel", goarch: "mipsle", token: 0x40000008, bits: 32},
	MIPS64:      {name: "mips64", goarch: "mips64", token: 0x80000008, big: true, bits: 64, family: []Arch{MIPS, MIPS64N32}},
	MIPSEL64:    {name: "mipsel64", goarch: "mips64le", token: 0xc0000008, bits: 64, family: []Arch{MIPSEL, MIPSEL64N32}},
	MIPS64N32:   {name: "mips64n32", token: 0xa0000008, big: true, bits: 64, family: []Arch{MIPS, MIPS64}},
	MIPSEL64N32: {name: "mipsel64n32", token: 0xe0000008, bits: 64, family: []Arch{MIPSEL, MIPSEL64}},
	PARISC:      {name: "parisc", token: 0x0000000f, big: true, bits: 32},
	PARISC64:    {name: "parisc64", token: 0x8000000f, big: true, bits: 64},
	PPC:         {name: "ppc", token: 0x00000014, big: true, bits: 32},
	PPC64:       {name: "ppc64", goarch: "ppc64", token: 0x80000015, big: true, bits: 64},
	PPC64LE:     {name: "ppc64le", goarch: "ppc64le", token: 0xc0000015, bits: 64},
	RISCV64:     {name: "riscv64", goarch: "riscv64", token: 0xc00000f3, bits: 64},
	S390:        {name: "s390", token: 0x00000016, big: true, bits: 32},
	S390X:       {name: "s390x", goarch: "s390x", token: 0x80000016, big: true, bits: 64, family: []Arch{S390}},
	SHEB:        {name: "sheb", token: 0x0000002a, big: true, bits: 32},
	SH:          {name: "sh", token: 0x4000002a, bits: 32},
}

// spellings are further names that people and tools use: uname -m, dpkg, rpm.
var spellings = map[string]Arch{
	"i386": X86, "i486": X86, "i586": X86, "i686": X86, "ia32": X86,
	"x86-64": X86_64, "x64": X86_64,
	"armv5l": ARM, "armv5tel": ARM, "armv6l": ARM, "armv7l": ARM, "armv7hl": ARM, "armv8l": ARM, "armhf": ARM, "armel": ARM,
	"loong": LoongArch64, "loongarch": LoongArch64,
	"mips64el": MIPSEL64, "mipsn32": MIPS64N32, "mipsn32el": MIPSEL64N32, "mips64el-n32": MIPSEL64N32, "mips64-n32": MIPS64N32,
	"hppa": PARISC, "hppa64": PARISC64,
	"powerpc": PPC, "powerpc64": PPC64, "powerpc64le": PPC64LE, "ppc64el": PPC64LE,
	"riscv": RISCV64,
	"sh4":   SH, "sh4a": SH, "sh4eb": SHEB,
}

// Archs returns all architectures, in table order.
func Archs() []Arch {
	all := make([]Arch, archCount)
	for i := range all {
		all[i] = (X86 + Arch(i)) % archCount
	}
	return all
}

// ParseArch reads an architecture's name in any usual spelling, whatever its case: ours (x86_64), Go's (amd64), libseccomp's and
// OCI's (SCMP_ARCH_X86_64) and what uname -m prints (i686, armv7l). The error suggests the nearest name.
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

// Native returns the zero Arch, by its name: the architecture that the running program was built for, and X86_64 where Linux has none
// such (js/wasm).
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

// Bits returns the width of an argument's register, 32 or 64. X32 and the N32s, whose pointers have 32 bits, have 64-bit registers.
func (a Arch) Bits() int { return archInfo[a].bits }

// Family returns the architectures whose programs a kernel of architecture a may run, a itself first. The pairs are those of
// Docker's default profile (archMap).
func (a Arch) Family() []Arch { return append([]Arch{a}, archInfo[a].family...) }

// Join writes architectures with sep between them.
func Join(archs []Arch, sep string) string {
	names := make([]string, len(archs))
	for i, a := range archs {
		names[i] = a.String()
	}
	return strings.Join(names, sep)
}
