package minijail_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/format/codec"
	"monban/format/minijail"
	"monban/policy"
	"monban/policy/lang"
	"monban/verdict"
)

// crosvm returns the directory of crosvm's policies for x86_64.
func crosvm(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("MONBAN_CORPUS")
	if dir == "" {
		t.Skip("needs MONBAN_CORPUS, the directory of other projects' policies")
	}
	return filepath.Join(dir, "minijail/x86_64")
}

// TestCrosvm compares each of crosvm's policies with what minijail's own compiler made of it, on every call of every
// architecture.
func TestCrosvm(t *testing.T) {
	dir := crosvm(t)
	files, err := filepath.Glob(filepath.Join(dir, "*.policy"))
	if err != nil {
		t.Fatal(err)
	}
	exact := 0
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := minijail.Format().Read(&codec.Input{
			Name: file, Src: src, ReadFile: lang.ReadIncluded,
			Options: codec.Options{Native: abi.X86_64, Constants: filepath.Join(dir, "constants.json")},
		})
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		raw, err := os.ReadFile(filepath.Join(dir, "compiled", strings.TrimSuffix(filepath.Base(file), ".policy")+".bpf"))
		if err != nil {
			t.Fatal(err)
		}
		p, err := bpf.Decode(raw, binary.LittleEndian)
		if err != nil {
			t.Fatal(err)
		}
		s := verdict.NewSpace(verdict.DefaultBudget)
		ours, err := got.Policy.Verdict(s)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := s.Of(p, binary.LittleEndian)
		if err != nil {
			t.Fatal(err)
		}
		if ours != theirs {
			d := verdict.Differences(ours, theirs)[0]
			t.Errorf("%s: %s gets %v, from minijail %v", filepath.Base(file), policy.FormatCall(abi.X86_64, &d.Data), d.A, d.B)
			continue
		}
		exact++
	}
	if exact != 46 {
		t.Errorf("%d of 46 policies are exact", exact)
	}
}
