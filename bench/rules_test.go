package main

import (
	"errors"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/policy"
	"monban/policy/lang"
	"monban/verdict"
)

// Rules written down from a meaning mean the same: for one gate with every kind of condition, and for crosvm's
// policies.
func TestRoundTrip(t *testing.T) {
	const gate = `
arch x86_64
kernel 6.12
compare 64
default kill_process
unknown kill_process
allow read write(fd == 1) close(arg0 != 7) lseek(arg1 <= 0x1_0000_0000) mmap(arg2 & 0x1_0000_0004 == 4)
allow ioctl(arg1 in {0x5401, 0x5413} && arg2 >= 3) madvise(arg2 in 3..9)
errno(EPERM) ioctl(arg1 == 7 && arg0 != 0) getpid
log prctl(arg0 & 6 != 0)
`
	p, err := lang.Load("test.gate", []byte(gate), lang.Options{})
	if err != nil {
		t.Fatal(err)
	}
	v, err := p.Verdict(verdict.NewSpace(verdict.DefaultBudget))
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, "test.gate", v)
}

func TestRoundTripCrosvm(t *testing.T) {
	all, err := crosvmRules()
	if errors.Is(err, errNoCorpus) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		file, err := corpus("minijail", "x86_64", "compiled", r.Name+".bpf")
		if err != nil {
			t.Fatal(err)
		}
		v, err := lift(file)
		if err != nil {
			t.Fatal(err)
		}
		roundTrip(t, r.Name, v)
	}
}

func roundTrip(t *testing.T, name string, v verdict.Verdict) {
	t.Helper()
	r, err := fromVerdict(name, v, bpf.KillProcess)
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.verdict(v.Space(), false, nil)
	if err != nil {
		t.Fatal(err)
	}
	// On other architectures minijail kills the thread; the comparison has every compiler kill the process there.
	token := abi.X86_64.Token()
	for _, d := range verdict.Differences(v.Restrict(verdict.Arch, token), got.Restrict(verdict.Arch, token)) {
		t.Errorf("%s: %s became %s for %s", name, d.A, d.B, policy.FormatCall(abi.X86_64, &d.Data))
	}
}
