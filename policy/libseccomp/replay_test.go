package libseccomp_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/policy"
	"monban/policy/libseccomp"
	"monban/verdict"
)

// A recorded is one library call of a recording; its numbers are text in hexadecimal.
type recorded struct {
	Fn       string
	Rc       any
	Action   string
	ArchName string `json:"arch_name"`
	AttrName string `json:"attr_name"`
	Attr     uint8
	Value    string
	Sys      int32
	Args     []struct {
		Arg  int
		Op   string
		A, B string
	}
}

var (
	testOps = map[string]libseccomp.TestOp{"NE": libseccomp.TestNE, "LT": libseccomp.TestLT, "LE": libseccomp.TestLE, "EQ": libseccomp.TestEQ,
		"GE": libseccomp.TestGE, "GT": libseccomp.TestGT, "MASKED_EQ": libseccomp.TestMaskedEQ}
	codes = map[int]error{0: nil, -13: libseccomp.ErrAccess, -14: libseccomp.ErrNoCall, -17: libseccomp.ErrExists,
		-22: libseccomp.ErrInvalid, -33: libseccomp.ErrDomain, -95: libseccomp.ErrUnsupported}
	killByName = map[string]bpf.Action{"KILL": bpf.KillThread, "KILL_PROCESS": bpf.KillProcess, "ALLOW": bpf.Allow,
		"LOG": bpf.Log, "TRAP": bpf.Trap}
)

func hex(t *testing.T, s string) uint64 {
	t.Helper()
	if s == "" {
		return 0
	}
	n, err := strconv.ParseUint(s, 0, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func actionNamed(t *testing.T, s string) bpf.Action {
	t.Helper()
	if a, ok := killByName[s]; ok {
		return a
	}
	name, data, _ := strings.Cut(strings.TrimSuffix(s, ")"), "(")
	n, err := strconv.ParseUint(data, 10, 16)
	switch {
	case err == nil && name == "ERRNO":
		return bpf.Errno | bpf.Action(n)
	case err == nil && name == "TRACE":
		return bpf.Trace | bpf.Action(n)
	}
	t.Fatalf("unknown action %s", s)
	return 0
}

// replay makes a recording's calls, compares what they answered, and returns the policy at the export.
func replay(t *testing.T, file string) *policy.Policy {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var b *libseccomp.Builder
	var p *policy.Policy
	for i, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
		var c recorded
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatalf("line %d: %v", i+1, err)
		}
		arch := abi.X86_64
		if c.ArchName != "" && c.ArchName != "native" {
			if arch, err = abi.ParseArch(c.ArchName); err != nil {
				t.Fatal(err)
			}
		}
		var tests []libseccomp.Test
		for _, a := range c.Args {
			tests = append(tests, libseccomp.Test{Arg: a.Arg, Op: testOps[a.Op], A: hex(t, a.A), B: hex(t, a.B)})
		}
		do := bpf.Action(hex(t, c.Action))
		var got error
		switch c.Fn {
		case "", "seccomp_api_set", "seccomp_arch_native", "seccomp_release": // nothing to build
			continue
		case "seccomp_init":
			b, got = libseccomp.New(abi.X86_64, do)
		case "seccomp_arch_add":
			got = b.AddArch(arch)
		case "seccomp_arch_remove":
			got = b.RemoveArch(arch)
		case "seccomp_arch_exist":
			got = b.HasArch(arch)
		case "seccomp_attr_set":
			got = b.SetAttr(libseccomp.Attr(c.Attr), uint32(hex(t, c.Value)))
		case "seccomp_rule_add":
			got = b.AddNumber(do, c.Sys, tests...)
		case "seccomp_rule_add_exact":
			got = b.AddNumberExact(do, c.Sys, tests...)
		case "seccomp_export_bpf":
			p, got = b.Policy()
		default:
			t.Fatalf("line %d: unknown function %s", i+1, c.Fn)
		}
		rc, ok := c.Rc.(float64)
		want, known := codes[int(rc)]
		if !ok || !known || !errors.Is(got, want) {
			t.Errorf("%s line %d: %s answered %v, libseccomp %v", filepath.Base(file), i+1, c.Fn, got, c.Rc)
		}
	}
	return p
}

// What libseccomp's own tests ask of its filters, and what its programs answer, holds for the Builder's policies.
func TestReplay(t *testing.T) {
	corpus := os.Getenv("MONBAN_CORPUS")
	if corpus == "" {
		t.Skip("needs MONBAN_CORPUS, the directory of other projects' policies")
	}
	dir := filepath.Join(corpus, "libseccomp")
	files, err := filepath.Glob(filepath.Join(dir, "recordings", "*.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings in %s (%v)", dir, err)
	}
	asked := 0
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".jsonl")
		t.Run(name, func(t *testing.T) {
			p := replay(t, file)
			s := verdict.NewSpace(verdict.DefaultBudget)
			v := meaning(t, s, p)
			asked += vectors(t, filepath.Join(dir, "vectors", name+".json"), v)
			raw, err := os.ReadFile(filepath.Join(dir, "bpf", name+".bpf"))
			if err != nil {
				t.Fatal(err)
			}
			program, err := bpf.Decode(raw, binary.LittleEndian)
			if err != nil {
				t.Fatal(err)
			}
			theirs, err := s.Of(program, binary.LittleEndian)
			if err != nil {
				t.Fatal(err)
			}
			// A tracer's skip, the number -1 on x86_64, is the one difference: see Builder.
			skip := s.And(s.Compare(verdict.Single(verdict.Arch), verdict.EQ, false, uint64(abi.X86_64.Token())),
				s.Compare(verdict.Single(verdict.Nr), verdict.EQ, false, 0xffffffff))
			theirs = s.Verdict(s.If(skip, v.Node(), theirs.Node()))
			for _, d := range verdict.Differences(v, theirs) {
				t.Errorf("%s: ours %s, libseccomp's %s for %+v", name, d.A, d.B, d.Data)
			}
		})
	}
	t.Logf("%d recordings, %d calls asked", len(files), asked)
}

// vectors asks for every call of every range and returns how many those were.
func vectors(t *testing.T, file string, v verdict.Verdict) (asked int) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Cases []struct {
			Line   int
			Expect string
			Args   []*[2]string
			Cases  []struct {
				Token string `json:"audit_arch"`
				Nr    [2]uint32
			}
		}
	}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	for _, c := range all.Cases {
		want := actionNamed(t, c.Expect).Canonical()
		calls := []bpf.Data{{}}
		for i, r := range c.Args {
			if r == nil {
				continue
			}
			var more []bpf.Data
			lo, hi := hex(t, r[0]), hex(t, r[1])
			if hi-lo > 1<<12 {
				t.Fatalf("line %d: a range of %d values", c.Line, hi-lo)
			}
			for n := lo; ; n++ {
				for _, d := range calls {
					d.Args[i] = n
					more = append(more, d)
				}
				if n == hi {
					break
				}
			}
			calls = more
		}
		for _, on := range c.Cases {
			for nr := uint64(on.Nr[0]); nr <= uint64(on.Nr[1]); nr++ {
				for _, d := range calls {
					d.Arch, d.Nr = uint32(hex(t, on.Token)), uint32(nr)
					asked++
					if got := v.At(&d); got != want {
						t.Errorf("line %d: %+v gets %s, not %s", c.Line, d, got, want)
					}
				}
			}
		}
	}
	return asked
}

// Inputs that libseccomp itself gets wrong.
func TestKnownLibseccompBugs(t *testing.T) {
	corpus := os.Getenv("MONBAN_CORPUS")
	if corpus == "" {
		t.Skip("needs MONBAN_CORPUS, the directory of other projects' policies")
	}
	text, err := os.ReadFile(filepath.Join(corpus, "libseccomp", "known-libseccomp-bugs.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		var c struct {
			ID, Native, Default, Want string
			Rules                     []struct {
				recorded
				Args []struct {
					Arg  int
					Op   string
					A, B string
				}
			}
			Input *struct {
				Sys  uint32
				Args []string
			}
		}
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		if len(c.Rules) == 0 {
			t.Logf("%s: no rules in the list, a fault of libseccomp's generator only", c.ID)
			continue
		}
		t.Run(c.ID, func(t *testing.T) {
			arch, err := abi.ParseArch(c.Native)
			if err != nil {
				t.Fatal(err)
			}
			b, err := libseccomp.New(arch, actionNamed(t, c.Default))
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range c.Rules {
				var tests []libseccomp.Test
				for _, a := range r.Args {
					tests = append(tests, libseccomp.Test{Arg: a.Arg, Op: testOps[a.Op], A: hex(t, a.A), B: hex(t, a.B)})
				}
				if err := b.AddNumber(actionNamed(t, r.Action), r.Sys, tests...); err != nil {
					t.Fatal(err)
				}
			}
			p, err := b.Policy()
			if err != nil {
				t.Fatal(err)
			}
			if c.Input == nil {
				return // libseccomp never comes back from adding the rules; we are here
			}
			d := bpf.Data{Arch: arch.Token(), Nr: c.Input.Sys}
			for i, a := range c.Input.Args {
				d.Args[i] = hex(t, a)
			}
			got := meaning(t, verdict.NewSpace(verdict.DefaultBudget), p).At(&d)
			if fmt.Sprint(got) != fmt.Sprint(actionNamed(t, c.Want)) {
				t.Errorf("%+v gets %s, not %s", d, got, c.Want)
			}
		})
	}
}
