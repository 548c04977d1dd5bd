package oci_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/format/oci"
	"monban/verdict"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestLibseccomp compares imports of random profiles with what the system's libseccomp makes of them: multiplexers,
// tests of several arguments, unconditional rules beside others, 32-bit architectures, constants of more than 32
// bits.
func TestLibseccomp(t *testing.T) {
	program := buildJudge(t)
	families := [][]abi.Arch{{abi.X86_64, abi.X86, abi.X32}, {abi.AArch64, abi.ARM}, {abi.PPC64LE}, {abi.MIPSEL}, {abi.RISCV64}, {abi.X86}}
	rng := rand.New(rand.NewPCG(7, 8))
	for i := range 240 {
		archs := families[i%len(families)]
		prof := randomProfile(rng, archs)
		src, err := json.Marshal(prof)
		if err != nil {
			t.Fatal(err)
		}
		// runc leaves the stub out where the default action is log.
		got, _ := parse(t, "random", src, oci.Options{Native: &archs[0], Archs: archs, Runtime: "runc"})
		raw := judge(t, program, archs, prof)
		prog, err := bpf.Decode(raw, binary.LittleEndian)
		if err != nil {
			t.Fatal(err)
		}
		s := verdict.NewSpace(budget)
		theirs, err := s.Of(prog, binary.LittleEndian)
		if err != nil {
			t.Fatal(err)
		}
		ours := verdictOf(t, s, got)
		for _, a := range archs {
			// By numbers that exist: where a call has none, libseccomp puts its own negative number into the filter.
			for nr, call := range a.Calls() {
				x := ours.Restrict(verdict.Arch, a.Token()).Restrict(verdict.Nr, nr)
				y := theirs.Restrict(verdict.Arch, a.Token()).Restrict(verdict.Nr, nr)
				for _, d := range verdict.Differences(x, y) {
					t.Fatalf("%s\n%s %s(%#x): %s, libseccomp says %s", src, a, call, d.Data.Args, d.A, d.B)
				}
			}
		}
	}
}

func buildJudge(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("needs gcc")
	}
	program := filepath.Join(t.TempDir(), "judge")
	if out, err := exec.Command("gcc", "-O1", "-o", program, "testdata/libseccomp.c", "-lseccomp").CombinedOutput(); err != nil {
		if strings.Contains(string(out), "seccomp.h: No such file") {
			t.Skip("needs libseccomp-dev")
		}
		t.Fatalf("%v: %s", err, out)
	}
	return program
}

var (
	judged  = []string{"read", "personality", "socket", "accept4", "socketpair", "msgget", "shmat", "shmctl", "socketcall", "ipc"}
	compare = []specs.LinuxSeccompOperator{specs.OpNotEqual, specs.OpLessThan, specs.OpLessEqual, specs.OpEqualTo, specs.OpGreaterEqual,
		specs.OpGreaterThan, specs.OpMaskedEqual} // in the order of enum scmp_compare, from 1
	answers = map[specs.LinuxSeccompAction]bpf.Action{specs.ActLog: bpf.Log, specs.ActAllow: bpf.Allow, specs.ActTrap: bpf.Trap}
)

// randomProfile gives each call one action, and ordered comparisons to rules of their own: libseccomp gets more than
// that wrong.
//
// It names no call that one of the architectures has no number for, such as semop on x86: libseccomp 2.5.4 has been
// seen to leave the load of the number out of a filter that starts with one.
func randomProfile(rng *rand.Rand, archs []abi.Arch) *specs.LinuxSeccomp {
	p := &specs.LinuxSeccomp{DefaultAction: specs.ActLog}
	constants := []uint64{0, 1, 2, 7, 1 << 31, 1<<32 | 2, 1<<64 - 100}
	for _, call := range judged {
		if slices.ContainsFunc(archs, func(a abi.Arch) bool { _, ok := a.Number(call); return !ok }) {
			continue
		}
		action := []specs.LinuxSeccompAction{specs.ActAllow, specs.ActTrap}[rng.IntN(2)]
		// What goes through a multiplexer must have one action: the order of several is open.
		if slices.Contains(judged[2:], call) {
			action = specs.ActAllow
		}
		for range rng.IntN(3) {
			rule := specs.LinuxSyscall{Names: []string{call}, Action: action}
			for _, i := range rng.Perm(3)[:rng.IntN(3)] {
				op := []specs.LinuxSeccompOperator{specs.OpEqualTo, specs.OpEqualTo, specs.OpMaskedEqual}[rng.IntN(3)]
				rule.Args = append(rule.Args, specs.LinuxSeccompArg{Index: uint(i), Op: op,
					Value: constants[rng.IntN(len(constants))], ValueTwo: constants[rng.IntN(len(constants))]})
			}
			if len(rule.Args) == 1 && rng.IntN(4) == 0 {
				rule.Args[0].Op = compare[rng.IntN(len(compare))]
				p.Syscalls = append(p.Syscalls, rule)
				break
			}
			p.Syscalls = append(p.Syscalls, rule)
		}
	}
	return p
}

// judge lets libseccomp make the filter.
func judge(t *testing.T, program string, archs []abi.Arch, p *specs.LinuxSeccomp) []byte {
	t.Helper()
	var in strings.Builder
	fmt.Fprintf(&in, "default %d\n", answers[p.DefaultAction])
	for _, a := range archs {
		fmt.Fprintf(&in, "arch %s\n", a)
	}
	for _, r := range p.Syscalls {
		fmt.Fprintf(&in, "rule %d %s %d\n", answers[r.Action], r.Names[0], len(r.Args))
		for _, a := range r.Args {
			fmt.Fprintf(&in, "%d %d %d %d\n", a.Index, slices.Index(compare, a.Op)+1, a.Value, a.ValueTwo)
		}
	}
	cmd := exec.Command(program)
	cmd.Stdin = strings.NewReader(in.String())
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v %s\n%s", err, &stderr, in.String())
	}
	return out.Bytes()
}
