package oci_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/format/oci"
	"monban/policy/lang"
	"monban/verdict"

	moby "github.com/moby/profiles/seccomp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func mobySpec(caps []string) *specs.Spec {
	return &specs.Spec{Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{Bounding: caps}}}
}

// plain is what Docker makes of a profile on this machine, for its runtime, as JSON.
func plain(t *testing.T, body []byte, caps []string) []byte {
	t.Helper()
	profile, err := moby.LoadProfile(string(body), mobySpec(caps))
	if err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(profile)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestContainerIsMoby proves @container equal to what Docker's own code makes of its own default profile on this
// machine.
func TestContainerIsMoby(t *testing.T) {
	body, err := json.Marshal(moby.DefaultProfile())
	if err != nil {
		t.Fatal(err)
	}
	want, _ := parse(t, "moby", plain(t, body, oci.DefaultCaps()), oci.Options{})
	got, err := lang.LoadPreset("@container", lang.Options{})
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, got, want)
}

// TestIncludes compares our reading of includes, excludes and archMap with Docker's, for profiles of its own test
// suite too.
func TestIncludes(t *testing.T) {
	profiles := map[string][]byte{}
	body, err := json.Marshal(moby.DefaultProfile())
	if err != nil {
		t.Fatal(err)
	}
	profiles["default"] = body
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/moby/profiles/seccomp").Output()
	if err != nil {
		t.Fatal(err)
	}
	fixtures, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "fixtures", "*.json"))
	if err != nil || len(fixtures) == 0 {
		t.Fatalf("no fixtures in %s: %v", dir, err)
	}
	for _, f := range fixtures {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		// One of them has an errno that the kernel would cut to 4095, and that we refuse.
		profiles[filepath.Base(f)] = bytes.ReplaceAll(src, []byte(`"errnoRet": 12345`), []byte(`"errnoRet": 4095`))
	}
	sets := map[string][]string{"docker": oci.DefaultCaps(), "none": {}, "all": oci.AllCaps()}
	for _, c := range []string{"CAP_SYS_ADMIN", "CAP_SYS_CHROOT", "CAP_BPF", "CAP_PERFMON", "CAP_SYSLOG", "CAP_SYS_PTRACE", "CAP_SYS_NICE"} {
		sets[c] = []string{c}
	}
	for name, body := range profiles {
		for set, caps := range sets {
			t.Run(fmt.Sprintf("%s/%s", name, set), func(t *testing.T) {
				want, _ := parse(t, name, plain(t, body, caps), oci.Options{})
				got, _ := parse(t, name, body, oci.Options{Caps: caps})
				wantEqual(t, got, want)
			})
		}
	}
}

// TestContainerDenies checks @container by hand, so that the two sides cannot be wrong in the same way.
func TestContainerDenies(t *testing.T) {
	native := abi.X86_64
	p, err := lang.LoadPreset("@container", lang.Options{Native: native})
	if err != nil {
		t.Fatal(err)
	}
	v := verdictOf(t, verdict.NewSpace(budget), p)
	for call, want := range map[string]string{
		"read": "allow", "execve": "allow", "chroot": "allow", "ptrace": "allow", "clone": "allow", "arch_prctl": "allow",
		"keyctl": "errno(1)", "mount": "errno(1)", "kexec_load": "errno(1)", "unshare": "errno(1)", "setns": "errno(1)",
		"bpf": "errno(1)", "io_uring_setup": "errno(1)", "open_by_handle_at": "errno(1)", "clone3": "errno(38)",
	} {
		nr, _ := native.Number(call)
		if got := v.At(&bpf.Data{Arch: native.Token(), Nr: nr}); got.String() != want {
			t.Errorf("%s: %s, want %s", call, got, want)
		}
	}
	const alg, newuser = 38, 0x10000000
	for _, call := range []string{"socket", "clone", "personality"} {
		nr, _ := native.Number(call)
		d := bpf.Data{Arch: native.Token(), Nr: nr, Args: [6]uint64{map[string]uint64{"socket": alg, "clone": newuser, "personality": 0x40000}[call]}}
		if got := v.At(&d); got.String() != "errno(1)" {
			t.Errorf("%s(%#x): %s, want errno(1)", call, d.Args[0], got)
		}
	}
}
