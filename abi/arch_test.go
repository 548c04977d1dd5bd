package abi

import (
	"encoding/binary"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What Go itself and the kernel's headers say of architectures is what the table says.
func TestArchTable(t *testing.T) {
	archs := Archs()
	if len(archs) < 23 || archs[0] != X86 || !slices.Contains(archs, SH) {
		t.Fatalf("architectures: %v", archs)
	}
	if a, err := ParseArch(runtime.GOARCH); err == nil && (a != Native() || a.GOARCH() != runtime.GOARCH || (a.PointerBits() == 32) != (strconv.IntSize == 32)) {
		t.Errorf("%v is not native on %s", a, runtime.GOARCH)
	}
	for _, a := range archs {
		// Bit 30 of the token is __AUDIT_ARCH_LE, bit 31 __AUDIT_ARCH_64BIT.
		if le := a.ByteOrder() == binary.LittleEndian; le != (a.Token()&0x40000000 != 0) {
			t.Errorf("%v: byte order %v, token %#x", a, a.ByteOrder(), a.Token())
		}
		if wide := a.Bits() == 64; wide != (a.Token()&0x80000000 != 0) {
			t.Errorf("%v: %d bits, token %#x", a, a.Bits(), a.Token())
		}
		if a.PointerBits() > a.Bits() || a.PointerBits() < a.Bits() && a != X32 && a != MIPS64N32 && a != MIPSEL64N32 {
			t.Errorf("%v: pointers of %d bits in registers of %d", a, a.PointerBits(), a.Bits())
		}
		for _, b := range archs {
			if a < b && a.Token() == b.Token() && (a != X86_64 && b != X86_64 || a != X32 && b != X32) {
				t.Errorf("%v and %v have one token", a, b)
			}
		}
	}
}

func TestParseArch(t *testing.T) {
	for _, a := range Archs() {
		for _, s := range []string{a.String(), a.SCMP(), strings.ToUpper(a.String()), a.GOARCH()} {
			if s == "" {
				continue
			}
			if got, err := ParseArch(s); err != nil || got != a {
				t.Errorf("ParseArch(%q) = %v, %v", s, got, err)
			}
		}
	}
	for s, want := range map[string]Arch{
		"386": X86, "i386": X86, "i686": X86, "amd64": X86_64, "arm64": AArch64, "armv7l": ARM, "loong64": LoongArch64,
		"ppc64le": PPC64LE, "ppc64el": PPC64LE, "mips64le": MIPSEL64, "mipsle": MIPSEL, "SCMP_ARCH_X86_64": X86_64, "s390x": S390X,
	} {
		if got, err := ParseArch(s); err != nil || got != want {
			t.Errorf("ParseArch(%q) = %v, %v; want %v", s, got, err, want)
		}
	}
	for s, want := range map[string]string{
		"x86_46": "did you mean x86_64?", "aarch46": "did you mean aarch64?", "SCMP_ARCH_S390Y": "did you mean s390",
		"vax": "unknown architecture \"vax\"", "": "unknown architecture \"\"",
	} {
		if _, err := ParseArch(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseArch(%q): %v, want %q", s, err, want)
		}
	}
}

func TestFamily(t *testing.T) {
	for _, c := range []struct {
		a    Arch
		want []Arch
	}{
		{X86_64, []Arch{X86_64, X86, X32}},
		{AArch64, []Arch{AArch64, ARM}},
		{S390X, []Arch{S390X, S390}},
		{MIPSEL64, []Arch{MIPSEL64, MIPSEL, MIPSEL64N32}},
		{PPC64LE, []Arch{PPC64LE}},
		{RISCV64, []Arch{RISCV64}},
		{ARM, []Arch{ARM}},
	} {
		if got := c.a.Family(); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.a, got, c.want)
		}
	}
	X86_64.Family()[1] = SH
	if X86_64.Family()[1] != X86 {
		t.Error("Family lends its table")
	}
}

func TestVersion(t *testing.T) {
	for s, want := range map[string]Version{
		"6.12": {6, 12, 0}, "2.6.39": {2, 6, 39}, "6.1.0-18-amd64": {6, 1, 0}, "5.10.0+": {5, 10, 0}, "2.4.8.1": {2, 4, 8},
		"6.18-rc3": {6, 18, 0}, "6.6.87.2-microsoft-standard-WSL2": {6, 6, 87},
	} {
		if got, err := ParseVersion(s); err != nil || got != want {
			t.Errorf("ParseVersion(%q) = %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "6", "6.", ".6", "6.x", "x", "0.0", "6.12x", "6.1 2", "-6.1", "6.123456"} {
		if got, err := ParseVersion(s); err == nil {
			t.Errorf("ParseVersion(%q) = %v", s, got)
		}
	}
	ascending := []Version{{2, 6, 39}, {3, 0, 0}, {5, 10, 0}, {5, 10, 1}, {6, 2, 0}, {6, 12, 0}, {}}
	for i, v := range ascending {
		for j, w := range ascending {
			want := min(1, max(-1, i-j))
			if got := v.Compare(w); got != want {
				t.Errorf("%v.Compare(%v) = %d, want %d", v, w, got, want)
			}
		}
	}
	for v, want := range map[Version]string{{6, 12, 0}: "6.12", {2, 6, 39}: "2.6.39", {}: "newest"} {
		if v.String() != want {
			t.Errorf("%#v: %s", v, v)
		}
	}
}
