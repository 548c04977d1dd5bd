package oci_test

import (
	"encoding/binary"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/format/oci"
	"monban/verdict"
)

// TestRunc compares the import for runc with the very program that runc and libseccomp 2.6.1 made of Docker's
// profile, for x86_64, x86 and x32.
func TestRunc(t *testing.T) {
	native := abi.X86_64
	got, _ := parse(t, "moby-default.json", corpus(t, "oci/moby-default.json"), oci.Options{Native: &native, Runtime: "runc"})
	program, err := bpf.Decode(corpus(t, "bpf/moby-libseccomp-3arch-runc.bpf"), binary.LittleEndian)
	if err != nil {
		t.Fatal(err)
	}
	s := verdict.NewSpace(budget)
	want, err := s.Of(program, binary.LittleEndian)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range verdict.Differences(verdictOf(t, s, got), want) {
		t.Error(describe(got, d))
	}
}

func TestRuncAddsTheNativeArchitecture(t *testing.T) {
	native := abi.X86_64
	p, _ := parse(t, "arm.json", []byte(`{"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_ARM"],
		"syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW"}]}`), oci.Options{Native: &native, Runtime: "runc"})
	v := verdictOf(t, verdict.NewSpace(budget), p)
	for _, c := range []struct {
		arch abi.Arch
		nr   uint32
		want string
	}{
		{abi.X86_64, 0, "allow"},      // read
		{abi.X86_64, 999, "errno(1)"}, // no stub: the profile does not list it
		{abi.ARM, 3, "allow"},         // read
		{abi.ARM, 2, "errno(1)"},      // fork, a number below
		{abi.ARM, 4, "errno(38)"},     // write, a number above
		{abi.AArch64, 63, "kill_thread"},
	} {
		if got := v.At(&bpf.Data{Arch: c.arch.Token(), Nr: c.nr}); got.String() != c.want {
			t.Errorf("%s %d: %s, want %s", c.arch, c.nr, got, c.want)
		}
	}
}

func TestRuncStubOnS390(t *testing.T) {
	native := abi.S390X
	p, _ := parse(t, "moby-default.json", corpus(t, "oci/moby-default.json"), oci.Options{Native: &native, Runtime: "runc"})
	v := verdictOf(t, verdict.NewSpace(budget), p)
	for _, a := range []abi.Arch{abi.S390, abi.S390X} {
		if got := v.At(&bpf.Data{Arch: a.Token(), Nr: 0}); got.String() != "errno(38)" {
			t.Errorf("%s 0: %s, want errno(38)", a, got)
		}
	}
}
