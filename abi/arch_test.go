package abi

import (
	"encoding/binary"
	"encoding/csv"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// The Go table of architectures says what facts/architectures.csv says; x32's token there is libseccomp's own, not the kernel's.
func TestArchTable(t *testing.T) {
	f, err := os.Open("facts/architectures.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	archs := Archs()
	if len(archs) != len(rows)-1 || len(archs) != 23 {
		t.Fatalf("%d architectures, %d rows", len(archs), len(rows)-1)
	}
	for i, a := range archs {
		row := rows[i+1]
		token := fmt.Sprintf("0x%08x", a.Token())
		if a == X32 {
			token = "0x4000003e"
		}
		if a.String() != row[0] || token != row[1] {
			t.Errorf("%v %s, want %v", a, token, row)
		}
		// Bit 30 of the token is __AUDIT_ARCH_LE, bit 31 __AUDIT_ARCH_64BIT.
		if le := a.ByteOrder() == binary.LittleEndian; le != (a.Token()&0x40000000 != 0) {
			t.Errorf("%v: byte order %v, token %#x", a, a.ByteOrder(), a.Token())
		}
		if wide := a.Bits() == 64; wide != (a.Token()&0x80000000 != 0) {
			t.Errorf("%v: %d bits, token %#x", a, a.Bits(), a.Token())
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
