package oci_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/format/codec"
	"monban/format/oci"
	"monban/policy"
	"monban/policy/lang"
	"monban/verdict"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// compose makes a profile of a policy's text; ok is false where a constant of it does not fit its argument.
func compose(t *testing.T, src string, archs []abi.Arch) (p *policy.Policy, prof *specs.LinuxSeccomp, err error) {
	t.Helper()
	p, err = lang.Load("gate", []byte(src), lang.Options{Archs: archs})
	if err != nil {
		t.Fatalf("%v\n%s", err, src)
	}
	v := verdictOf(t, verdict.NewSpace(budget), p)
	c, err := oci.Compose(&codec.Meaning{Name: "gate", Policy: p, Verdict: v, Options: codec.Options{Native: archs[0]}}, nil)
	if err != nil {
		return p, nil, err
	}
	return p, c.Profile, nil
}

// TestWrittenForLibseccomp gives profiles that were written to the system's libseccomp, and compares what it makes of
// them with the policies that they were made from. Order comparisons are left out: libseccomp gets several for one call
// wrong.
func TestWrittenForLibseccomp(t *testing.T) {
	program := buildJudge(t)
	families := [][]abi.Arch{{abi.X86_64}, {abi.X86_64, abi.X86}, {abi.AArch64, abi.ARM}, {abi.RISCV64}}
	r := rand.New(rand.NewPCG(3, 4))
	done := 0
	for i := range 120 {
		archs := families[i%len(families)]
		p, prof, err := compose(t, simpleGate(r), archs)
		if err != nil {
			if !strings.Contains(err.Error(), "does not get the same on") {
				t.Fatalf("%s\n%v", lang.Print(p), err)
			}
			continue
		}
		prog, err := bpf.Decode(judge(t, program, archs, oneName(prof)), binary.LittleEndian)
		if err != nil {
			t.Fatal(err)
		}
		s := verdict.NewSpace(budget)
		theirs, err := s.Of(prog, binary.LittleEndian)
		if err != nil {
			t.Fatal(err)
		}
		ours := verdictOf(t, s, p)
		for _, a := range archs {
			for _, call := range []string{"read", "write", "lseek", "personality", "close"} {
				nr, ok := a.Number(call)
				if !ok {
					continue
				}
				x := ours.Restrict(verdict.Arch, a.Token()).Restrict(verdict.Nr, nr)
				y := theirs.Restrict(verdict.Arch, a.Token()).Restrict(verdict.Nr, nr)
				for _, d := range verdict.Differences(x, y) {
					t.Fatalf("%s\n%s\n%s %s(%#x): %s, libseccomp says %s", lang.Print(p), asJSON(t, prof), a, call, d.Data.Args, d.A, d.B)
				}
			}
		}
		done++
	}
	if done < 60 {
		t.Errorf("only %d gates were written", done)
	}
}

// simpleGate has conditions that come to equalities and masks.
func simpleGate(r *rand.Rand) string {
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	var cond func(depth int) string
	cond = func(depth int) string {
		x := pick("u64(arg0)", "u64(arg1)", "arg2")
		if depth == 0 || r.IntN(3) == 0 {
			return fmt.Sprintf("%s %s %d", pick(x, x, x+" & 0xf0"), pick("==", "=="), r.IntN(4)*16)
		}
		return "(" + cond(depth-1) + pick(" && ", " || ") + cond(depth-1) + ")"
	}
	var b strings.Builder
	b.WriteString("default log\nunknown log\n")
	for _, call := range []string{"read", "write", "lseek", "personality"} {
		if do := pick("allow", "trap"); r.IntN(3) > 0 {
			fmt.Fprintf(&b, "%s %s(%s)\n", do, call, strings.NewReplacer("arg1", "arg0", "arg2", "u64(arg0)").Replace(cond(2)))
			continue
		} else if call != "personality" {
			fmt.Fprintf(&b, "%s %s(%s)\n", do, call, cond(2))
		}
	}
	b.WriteString("allow close\n")
	return b.String()
}

// No rule that is written tests an argument twice, which runtimes would take as alternatives.
func TestWrittenTestsOnce(t *testing.T) {
	_, prof, err := compose(t, "default errno(EPERM)\nallow read(u64(arg0) in 5..9 && arg1 in {3, 9} && arg2 & 3 != 0)\n", []abi.Arch{abi.X86_64})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, c := range prof.Syscalls {
		seen := map[uint]bool{}
		for _, a := range c.Args {
			if seen[a.Index] {
				t.Errorf("%v tests argument %d twice", c.Names, a.Index)
			}
			seen[a.Index] = true
		}
		n += len(c.Args)
	}
	if n == 0 {
		t.Error("no tests were written")
	}
}

// TestRuntimes reads one profile as each runtime does.
func TestRuntimes(t *testing.T) {
	const src = `{
		"defaultAction": "SCMP_ACT_ERRNO", "defaultErrno": "EACCES",
		"archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
		"syscalls": [
			{"names": ["read"], "action": "SCMP_ACT_ALLOW"},
			{"names": ["bpf"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_BPF"]}},
			{"name": "write", "action": "SCMP_ACT_ALLOW"},
			{"names": ["close"], "action": "SCMP_ACT_ERRNO", "errno": "EBADF"}
		]
	}`
	native := abi.X86_64
	for _, c := range []struct {
		runtime                              string
		read, bpf, write, close, newest, x86 string
		bad                                  string
		notes                                int
	}{
		{"", "allow", "errno(13)", "allow", "errno(9)", "errno(13)", "allow", "kill_process", 0},
		{"crun", "allow", "errno(13)", "allow", "errno(9)", "errno(13)", "allow", "kill_thread", 0},
		{"runc", "allow", "errno(38)", "allow", "errno(9)", "errno(38)", "allow", "kill_thread", 0},
		{"containerd", "allow", "allow", "errno(1)", "errno(1)", "errno(1)", "kill_thread", "kill_thread", 5},
	} {
		p, report := parse(t, "f", []byte(src), oci.Options{Native: &native, Runtime: c.runtime})
		v := verdictOf(t, verdict.NewSpace(budget), p)
		at := func(a abi.Arch, call string) string {
			nr, ok := a.Number(call)
			if !ok {
				nr = 5000
			}
			return v.At(&bpf.Data{Arch: a.Token(), Nr: nr}).String()
		}
		got := []string{at(native, "read"), at(native, "bpf"), at(native, "write"), at(native, "close"), at(native, ""), at(abi.X86, "read"), at(abi.ARM, "read")}
		want := []string{c.read, c.bpf, c.write, c.close, c.newest, c.x86, c.bad}
		if fmt.Sprint(got) != fmt.Sprint(want) || len(report.Notes) != c.notes {
			t.Errorf("%q: %v, want %v (%d notes, want %d: %q)", c.runtime, got, want, len(report.Notes), c.notes, report.Notes)
		}
	}
	if _, _, err := oci.Parse("f", []byte(src), oci.Options{Runtime: "runk"}); err == nil || err.Error() != `unknown runtime "runk" (want one of runc crun containerd)` {
		t.Error(err)
	}
}

func asJSON(t *testing.T, prof *specs.LinuxSeccomp) string {
	t.Helper()
	out, err := json.Marshal(prof)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// oneName is a profile with one rule for each name, as the judge takes them.
func oneName(p *specs.LinuxSeccomp) *specs.LinuxSeccomp {
	q := &specs.LinuxSeccomp{DefaultAction: p.DefaultAction}
	for _, c := range p.Syscalls {
		for _, name := range c.Names {
			q.Syscalls = append(q.Syscalls, specs.LinuxSyscall{Names: []string{name}, Action: c.Action, Args: c.Args})
		}
	}
	return q
}
