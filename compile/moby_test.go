package compile

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/verdict"
)

// What eight compilers made of Docker's policy, held against @container on x86_64's own numbers. Those that differ do
// so as listed.
func TestMobyCompilers(t *testing.T) {
	dir := os.Getenv("MONBAN_CORPUS")
	if dir == "" {
		t.Skip("needs MONBAN_CORPUS, the directory of other projects' policies")
	}
	want := map[string]string{
		// It forgets to load the number again after a failed test of an argument, and compares the argument with
		// numbers.
		"elastic": "errno(1) became allow for socket; errno(1) became errno(38) for socket",
		// runc's stub answers ENOSYS above the newest call that the profile names.
		"libseccomp-3arch-runc": "errno(1) became errno(38) for open_tree_attr",
		// It has one denial for all calls: no ENOSYS for clone3.
		"seccompiler": "errno(38) became errno(1) for clone3",
	}
	files, err := filepath.Glob(filepath.Join(dir, "bpf", "moby-*.bpf"))
	if err != nil || len(files) == 0 {
		t.Fatal("no programs", err)
	}
	container, order := presetVerdict(t, "@container", []abi.Arch{abi.X86_64})
	s := container.Space()
	own := func(v verdict.Verdict) verdict.Verdict {
		v = v.Restrict(verdict.Arch, abi.X86_64.Token())
		low := s.Compare(verdict.Single(verdict.Nr), verdict.LT, false, abi.X32Bit)
		return s.Verdict(s.If(low, v.Node(), s.Action(bpf.KillProcess)))
	}
	equal := 0
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		p, err := bpf.Decode(b, binary.LittleEndian)
		if err != nil {
			t.Fatal(err)
		}
		v, err := s.Of(p, order)
		if err != nil {
			t.Fatal(err)
		}
		var said []string
		for _, d := range verdict.Differences(own(container), own(v)) {
			call, _ := abi.X86_64.Name(d.Data.Nr)
			said = append(said, d.A.String()+" became "+d.B.String()+" for "+call)
		}
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(f), "moby-"), ".bpf")
		if got := strings.Join(said, "; "); got != want[name] {
			t.Errorf("%s: %s, want %s", name, got, want[name])
		}
		if said == nil {
			equal++
		}
	}
	if equal < 6 {
		t.Errorf("only %d compilers made the same of the policy", equal)
	}
}
