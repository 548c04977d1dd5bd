package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	moby "github.com/moby/profiles/seccomp"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"monban/abi"
	"monban/bpf"
	"monban/format/oci"
	"monban/verdict"
)

// podmanCaps are the capabilities that Podman grants by default (containers.conf(5), default_capabilities).
var podmanCaps = []string{"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_NET_BIND_SERVICE",
	"CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT"}

// errNoCorpus says that MONBAN_CORPUS, the directory of other projects' policies, is unset.
var errNoCorpus = errors.New("needs MONBAN_CORPUS, the directory of other projects' policies")

func corpus(path ...string) (string, error) {
	dir := os.Getenv("MONBAN_CORPUS")
	if dir == "" {
		return "", errNoCorpus
	}
	return filepath.Join(append([]string{dir}, path...)...), nil
}

// containerArchs are the architectures of the comparison: one alone, and what Docker and Podman ask for on x86_64.
var containerArchs = []struct {
	label string
	archs []abi.Arch
}{
	{"x86_64", []abi.Arch{abi.X86_64}},
	{"x86_64+x86+x32", []abi.Arch{abi.X86_64, abi.X86, abi.X32}},
}

// mobyRules are Docker's default profile for Docker's default capabilities, resolved by Docker's own code.
func mobyRules() ([]*Rules, error) {
	p, err := moby.GetDefaultProfile(container(oci.DefaultCaps()))
	if err != nil {
		return nil, err
	}
	return perArchs("Docker's default", p)
}

// podmanRules are Podman's default profile for Podman's default capabilities, resolved by the same code, which reads
// this format too.
func podmanRules() ([]*Rules, error) {
	name, err := corpus("oci", "podman-default.json")
	if err != nil {
		return nil, err
	}
	src, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	p, err := moby.LoadProfile(string(src), container(podmanCaps))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return perArchs("Podman's default", p)
}

func container(caps []string) *specs.Spec {
	return &specs.Spec{Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{Bounding: caps}}}
}

func perArchs(name string, p *specs.LinuxSeccomp) (all []*Rules, err error) {
	for _, c := range containerArchs {
		r, err := fromProfile(fmt.Sprintf("%s, %s", name, c.label), p, c.archs)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// crosvmRules are crosvm's policies, read from what minijail's own compiler made of them: kill_process is the default.
func crosvmRules() (all []*Rules, err error) {
	dir, err := corpus("minijail", "x86_64", "compiled")
	if err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.bpf"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("%s holds no compiled policies: %w", dir, errors.Join(err, os.ErrNotExist))
	}
	for _, file := range slices.Sorted(slices.Values(files)) {
		v, err := lift(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		r, err := fromVerdict(strings.TrimSuffix(filepath.Base(file), ".bpf"), v, bpf.KillProcess)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, r)
	}
	return all, nil
}

func lift(file string) (verdict.Verdict, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return verdict.Verdict{}, err
	}
	p, err := bpf.Decode(raw, binary.LittleEndian)
	if err != nil {
		return verdict.Verdict{}, err
	}
	return verdict.Of(p, binary.LittleEndian)
}
