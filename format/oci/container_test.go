package oci_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"monban/abi"
	"monban/format/oci"
	"monban/policy"
	"monban/policy/lang"
	"monban/verdict"
)

// budget is the number of nodes that a test's verdicts may have.
const budget = 2_000_000

func parse(t *testing.T, name string, src []byte, o oci.Options) (*policy.Policy, *oci.Report) {
	t.Helper()
	p, report, err := oci.Parse(name, src, o)
	if err != nil {
		t.Fatal(err)
	}
	return p, report
}

// corpus reads a file of the corpus of other projects' data.
func corpus(t testing.TB, name string) []byte {
	t.Helper()
	dir := os.Getenv("MONBAN_CORPUS")
	if dir == "" {
		t.Skip("MONBAN_CORPUS is unset: it names the directory with other projects' policies")
	}
	src, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func verdictOf(t *testing.T, s *verdict.Space, p *policy.Policy) verdict.Verdict {
	t.Helper()
	v, err := p.Verdict(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// describe tells a witness by the names of one of the policies' architectures.
func describe(p *policy.Policy, d verdict.Difference) string {
	for _, a := range p.Archs {
		if call, ok := a.Name(d.Data.Nr); ok && a.Token() == d.Data.Arch {
			return fmt.Sprintf("%s %s(%#x): %s and %s", a, call, d.Data.Args, d.A, d.B)
		}
	}
	return fmt.Sprintf("arch %#x nr %d (%#x): %s and %s", d.Data.Arch, d.Data.Nr, d.Data.Args, d.A, d.B)
}

func wantEqual(t *testing.T, a, b *policy.Policy) {
	t.Helper()
	s := verdict.NewSpace(budget)
	for _, d := range verdict.Differences(verdictOf(t, s, a), verdictOf(t, s, b)) {
		t.Errorf("%s and %s differ: %s", a.Name, b.Name, describe(a, d))
	}
}

// TestContainer proves @container equal to Docker's profile on every family of architectures that the profile is for.
func TestContainer(t *testing.T) {
	src := corpus(t, "oci/moby-default.json")
	var moby struct {
		ArchMap []struct{ Architecture string }
	}
	if err := json.Unmarshal(src, &moby); err != nil {
		t.Fatal(err)
	}
	// Docker has packages for ppc64le too, without an entry in archMap.
	natives := []abi.Arch{abi.PPC64LE}
	for _, e := range moby.ArchMap {
		a, err := abi.ParseArch(e.Architecture)
		if err != nil {
			t.Fatal(err)
		}
		natives = append(natives, a)
	}
	for _, native := range natives {
		t.Run(native.String(), func(t *testing.T) {
			want, report := parse(t, "moby-default.json", onItsMachine(src, native), oci.Options{Native: &native})
			got, err := lang.LoadPreset("@container", lang.Options{Native: native})
			if err != nil {
				t.Fatal(err)
			}
			if len(report.Overlaps) > 0 {
				t.Errorf("overlaps: %q", report.Overlaps)
			}
			if fmt.Sprint(got.Archs) != fmt.Sprint(want.Archs) {
				t.Errorf("@container speaks for %v, the profile for %v", got.Archs, want.Archs)
			}
			wantEqual(t, got, want)
		})
	}
}

// onItsMachine writes ENOSYS as Docker's own code does where it runs: default.json has the number that it has on x86,
// 38, but MIPS has another.
func onItsMachine(src []byte, native abi.Arch) []byte {
	n, _ := native.Errno("ENOSYS")
	return []byte(strings.ReplaceAll(string(src), `"errnoRet": 38`, fmt.Sprintf(`"errnoRet": %d`, n)))
}
