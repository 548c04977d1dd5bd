package format

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"monban/abi"
	"monban/policy/lang"
)

// What differs between architectures of one kernel has no place in a profile: these presets do on some.
var differ = map[string]bool{"@compute x86_64 x86 x32": true, "@libc x86_64 x86 x32": true, "@go-exec x86_64 x86 x32": true, "@go-runtime x86_64 x86 x32": true,
	"@compute x86_64 x86": true, "@libc x86_64 x86": true, "@go-exec x86_64 x86": true, "@go-runtime x86_64 x86": true}

var families = [][]abi.Arch{{abi.X86_64, abi.X86, abi.X32}, {abi.X86_64, abi.X86}, {abi.X86_64}, {abi.AArch64, abi.ARM}, {abi.AArch64}, {abi.PPC64LE}}

// Every preset can be written for every container runtime, which proves that it means the same there.
func TestWriteProfiles(t *testing.T) {
	f, _ := Find("oci")
	for _, preset := range lang.Presets() {
		for _, archs := range families {
			o := Options{Archs: archs, Native: archs[0]}
			g, err := Read(preset, o)
			if err != nil {
				t.Fatal(err)
			}
			for _, target := range f.For {
				_, err := Write(g, f, target, o)
				key := preset + " " + strings.Trim(fmt.Sprint(archs), "[]")
				if different := err != nil && strings.Contains(err.Error(), "does not get the same on"); err != nil && !different || different != differ[key] {
					t.Errorf("%s for %s on %v: %v", preset, target, archs, err)
				}
			}
		}
	}
}

// Other projects' profiles come out as they went in, resolved.
func TestWriteTheirProfiles(t *testing.T) {
	dir := os.Getenv("MONBAN_CORPUS")
	if dir == "" {
		t.Skip("needs MONBAN_CORPUS, the directory of other projects' policies")
	}
	files, err := filepath.Glob(filepath.Join(dir, "oci", "*.json"))
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	f, _ := Find("oci")
	for _, file := range files {
		for _, native := range []abi.Arch{abi.X86_64, abi.AArch64, abi.S390X} {
			for _, runtime := range []string{"", "crun", "runc"} {
				for _, caps := range [][]string{nil, {"all"}, {"none"}} {
					o := Options{Native: native, Caps: caps, Runtime: runtime}
					g, err := Read(file, o)
					if err != nil {
						t.Fatal(err)
					}
					if _, err := Write(g, f, "", o); err != nil {
						t.Errorf("%s on %s, runtime %q, caps %v: %v", filepath.Base(file), native, runtime, caps, err)
					}
				}
			}
		}
	}
}

// What a profile cannot say is named.
func TestWriteProfileErrors(t *testing.T) {
	f, _ := Find("oci")
	for text, want := range map[string]string{
		"allow read(ip == 5)":              "read on x86_64 cannot be said in tests of single arguments: it depends on the instruction pointer",
		"badarch errno(EPERM)\nallow read": "architectures that it does not speak for get errno(1), and a profile leaves them to the runtime, which kills (write badarch kill_process)",
		"log any(nr == 5000)":              "number 5000 on x86_64 has no name and gets log where others get errno(38), and a profile has one default action for them (see unknown)",
		"log any(nr == 5000 && arg0 == 1)": "number 5000 on x86_64 has no name and gets different answers, and a profile names calls (leave the rule for it out)",
		"trap(3) read":                     "read: a profile has no number for this action, trap(3) (leave it out)",
		"unknown notify\nallow read":       "numbers without a name get notify, which runtimes do not take as a default action (write unknown errno(ENOSYS))",
		"notify write":                     "write gets notify, which runc refuses, because it needs write itself to hand the listener over (let it pass)",
		"badarch kill_thread\non x86: kill_process any\nallow read": "all calls of x86 get kill_process, but those of architectures that it does not speak for something else: " +
			"a profile cannot tell the two apart (give badarch the same answer)",
		"on x86: allow read": "read does not get the same on x86_64 and on x86, and a profile has one list for all architectures (write one profile for each, or another format)",
		"unknown errno(EPERM)\nallow socket(domain == 1)": "socketcall(call=SYS_SOCKET, args=0) must get errno(1) on x86 and would get allow: " +
			"rules of a profile about the calls behind socketcall hold for it too: give it one answer of its own, or leave x86 out",
	} {
		name := filepath.Join(t.TempDir(), "a.gate")
		if err := os.WriteFile(name, []byte("arch x86_64 x86\ndefault errno(EPERM)\n"+text+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		g, err := Read(name, Options{Native: abi.X86_64})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Write(g, f, "", Options{Native: abi.X86_64}); err == nil || err.Error() != fmt.Sprintf("%s as an OCI profile: %s", name, want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// An architecture that is refused as a whole is left out, where strangers are refused alike.
func TestWriteProfileWithoutRefused(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.gate")
	if err := os.WriteFile(name, []byte("arch x86_64 x32\ndefault errno(EPERM)\nunknown errno(EPERM)\non x32: kill_process any\nallow read write\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	g, err := Read(name, Options{Native: abi.X86_64})
	if err != nil {
		t.Fatal(err)
	}
	f, _ := Find("oci")
	text, err := Write(g, f, "", Options{Native: abi.X86_64})
	if err != nil || strings.Contains(string(text.Bytes), "X32") {
		t.Errorf("%v\n%s", err, text.Bytes)
	}
}
