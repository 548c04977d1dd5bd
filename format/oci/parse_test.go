package oci_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"monban/abi"
	"monban/bpf"
	"monban/format/oci"
	"monban/policy/lang"
	"monban/verdict"
)

// profile puts rules into an otherwise plain profile.
func profile(rules string) string {
	return `{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [` + rules + `]}`
}

const allowRead = `{"names": ["read"], "action": "SCMP_ACT_ALLOW"}`

func TestErrors(t *testing.T) {
	deep := strings.Repeat("[", 100) + strings.Repeat("]", 100)
	for _, c := range []struct{ src, want string }{
		{"", "f: the file is empty (a seccomp profile is a JSON object)"},
		{" \n ", "f: the file is empty (a seccomp profile is a JSON object)"},
		{strings.Repeat(" ", 17<<20), "f: a profile of 17825792 bytes: the limit is 16777216 (is this the right file?)"},
		{`[]`, "f:1:1: the profile must be an object, not an array"},
		{`null`, "f:1:1: a seccomp profile must be an object, not null"},
		{`{}`, `f:1:1: the profile has no defaultAction (add "defaultAction": "SCMP_ACT_ERRNO")`},
		{profile(allowRead) + "\n x", "f:2:2: unexpected text after the end of the profile (remove it)"},
		{profile(allowRead) + profile(allowRead), "f:1:99: unexpected text after the end of the profile (remove it)"},
		{profile(allowRead)[:60], "f:1:61: the file ends in the middle of a value (is it truncated?)"},
		{"{\"defaultAction\": \"\xff\"}", "f:1:20: byte 0xff is not UTF-8 (JSON is UTF-8 text)"},
		{deep, "f:1:33: nested more than 32 deep (a profile needs six)"},
		{"{\n  \"defaultAction\": \"SCMP_ACT_ERRNO\",\n  \"defaultAction\": \"SCMP_ACT_ALLOW\"}",
			`f:3:3: duplicate key "defaultAction" (first in line 2: remove one)`},
		{profile(`{"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "index": 1, "value": 1, "op": "SCMP_CMP_EQ"}]}`),
			`f:1:120: duplicate key "index" (first in line 1: remove one)`},
		{`{"defaultAction": "SCMP_ACT_ERRNO", "sycalls": []}`, `f:1:37: unknown field "sycalls" in the profile (did you mean syscalls?)`},
		{`{"defaultAction": "SCMP_ACT_ERRNO", "version": 1}`, `f:1:37: unknown field "version" in the profile (remove it)`},
		{`{"defaultAction": 5}`, "f:1:19: action must be a string, not a number"},
		{`{"defaultAction": "SCMP_ACT_ERNO"}`, `f:1:19: unknown action "SCMP_ACT_ERNO" (did you mean SCMP_ACT_ERRNO?)`},
		{`{"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1}`,
			"f:1:56: SCMP_ACT_ALLOW takes no errno (remove it, or use SCMP_ACT_ERRNO)"},
		{`{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 4096}`,
			"f:1:56: default's errnoRet must be a whole number from 0 to 4095, not 4096"},
		{`{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "defaultErrno": "ENOSYS"}`,
			"f:1:56: errnoRet is 1 but errno is ENOSYS, which is 38 (keep one)"},
		{`{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrno": "EFOO"}`, `f:1:53: unknown errno "EFOO" (want one like EPERM)`},
		{`{"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_46"]}`,
			`f:1:55: unknown architecture "SCMP_ARCH_X86_46" (did you mean SCMP_ARCH_X86_64?)`},
		{`{"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86"], "archMap": [{"architecture": "SCMP_ARCH_X86"}]}`,
			"f:1:73: both architectures and archMap (keep one)"},
		{`{"defaultAction": "SCMP_ACT_ERRNO", "archMap": [{}]}`, "f:1:49: an archMap entry without architecture"},
		{`{"defaultAction": "SCMP_ACT_ERRNO", "flags": ["SECCOMP_FILTER_FLAG_LOGS"]}`,
			`f:1:47: unknown flag "SECCOMP_FILTER_FLAG_LOGS" (did you mean SECCOMP_FILTER_FLAG_LOG?)`},
		{profile(`{"names": ["read"]}`), `f:1:50: a rule without action (add "action": "SCMP_ACT_ALLOW")`},
		{profile(`{"action": "SCMP_ACT_ALLOW"}`), `f:1:50: a rule without names (add "names": ["read"])`},
		{profile(`{"names": ["read"], "name": "write", "action": "SCMP_ACT_ALLOW"}`), "f:1:78: both name and names (keep names)"},
		{profile(`{"names": [""], "action": "SCMP_ACT_ALLOW"}`), "f:1:61: an empty name (write a system call's)"},
		{profile(`{"names": "read", "action": "SCMP_ACT_ALLOW"}`), "f:1:60: names must be an array, not a string"},
		{profile(`{"names": ["read"], "action": "SCMP_ACT_KILL", "errnoRet": 3}`),
			"f:1:109: SCMP_ACT_KILL takes no errno (remove it, or use SCMP_ACT_ERRNO)"},
		{profile(arg(`"index": 6, "value": 0, "op": "SCMP_CMP_EQ"`)), "f:1:117: index must be a whole number from 0 to 5, not 6"},
		{profile(arg(`"index": -1, "value": 0, "op": "SCMP_CMP_EQ"`)), "f:1:117: index must be a whole number from 0 to 5, not -1"},
		{profile(arg(`"index": 0, "value": 1.5, "op": "SCMP_CMP_EQ"`)),
			"f:1:129: value must be a whole number from 0 to 18446744073709551615, not 1.5"},
		{profile(arg(`"index": 0, "value": -100, "op": "SCMP_CMP_EQ"`)), "f:1:129: value must be a whole number from 0 to " +
			"18446744073709551615, not -100 (write 18446744073709551516, its value as an unsigned number)"},
		{profile(arg(`"index": 0, "value": 0, "op": "SCMP_CMP_EQUAL"`)), `f:1:138: unknown operator "SCMP_CMP_EQUAL" (did you mean SCMP_CMP_EQ?)`},
		{profile(arg(`"index": 0, "op": "SCMP_CMP_EQ"`)), "f:1:107: an argument test without value (add it)"},
		{profile(`{"names": ["read"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8.1"}}`),
			`f:1:124: bad minKernel "4.8.1" (write a version of two numbers, such as 4.8)`},
		{profile(`{"names": ["read"], "action": "SCMP_ACT_ALLOW", "includes": {"cap": ["CAP_CHOWN"]}}`),
			`f:1:111: unknown field "cap" in includes (did you mean caps?)`},
		{`{"ociVersion": "1.0.2", "linux": {}}`, "f:1:34: this OCI configuration has no linux.seccomp (a container that it starts is not confined)"},
	} {
		_, _, err := oci.Parse("f", []byte(c.src), oci.Options{})
		switch {
		case err == nil:
			t.Errorf("%.80s: no error, want %s", c.src, c.want)
		case err.Error() != c.want:
			t.Errorf("%.80s:\n got %s\nwant %s", c.src, err, c.want)
		}
	}
}

func arg(tests string) string {
	return `{"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{` + tests + `}]}`
}

// TestSyntaxErrorsPoint checks that a place is named in all broken JSON, and that it is one line.
func TestSyntaxErrorsPoint(t *testing.T) {
	src := profile(arg(`"index": 0, "value": 12, "op": "SCMP_CMP_EQ"`))
	for _, broken := range []string{`{"defaultAction": "SCMP_ACT_ERRNO",}`, `{"a" 1}`, `{a: 1}`, `{"a": 01}`, `{"a": "\x"}`, `{"a": [1 2]}`,
		`{"a": tru}`, "{\"a\": \"\n\"}", `{"a": 1]`, `// x`, `{"a": 1`, `"a`, `{1: 2}`} {
		_, _, err := oci.Parse("f", []byte(broken), oci.Options{})
		if err == nil || !strings.HasPrefix(err.Error(), "f:1:") && !strings.HasPrefix(err.Error(), "f:2:") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", broken, err)
		}
	}
	for i := range src {
		if _, _, err := oci.Parse("f", []byte(src[:i]), oci.Options{}); err == nil {
			t.Errorf("truncated after %d bytes: no error", i)
		}
	}
}

// TestMeaning decides calls of x86_64, x86 and others by profiles.
func TestMeaning(t *testing.T) {
	type call struct {
		arch abi.Arch
		name string
		args [6]uint64
		want string
	}
	x64 := []abi.Arch{abi.X86_64}
	for _, c := range []struct {
		name    string
		profile string
		options oci.Options
		calls   []call
	}{
		{"tests of one rule hold together", profile(`{"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [
			{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}, {"index": 2, "value": 9, "op": "SCMP_CMP_LT"}]}`), oci.Options{Archs: x64}, []call{
			{abi.X86_64, "read", [6]uint64{1, 0, 8}, "allow"},
			{abi.X86_64, "read", [6]uint64{1, 0, 9}, "errno(1)"},
			{abi.X86_64, "read", [6]uint64{2, 0, 8}, "errno(1)"},
			{abi.X86_64, "read", [6]uint64{1<<32 | 1, 0, 8}, "errno(1)"},
		}},
		{"but tests of one argument are alternatives", profile(`{"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [
			{"index": 0, "value": 5, "op": "SCMP_CMP_GE"}, {"index": 0, "value": 3, "op": "SCMP_CMP_LE"},
			{"index": 1, "value": 7, "op": "SCMP_CMP_EQ"}]}`), oci.Options{Archs: x64}, []call{
			{abi.X86_64, "read", [6]uint64{5}, "allow"},
			{abi.X86_64, "read", [6]uint64{3}, "allow"},
			{abi.X86_64, "read", [6]uint64{4}, "errno(1)"},
			{abi.X86_64, "read", [6]uint64{4, 7}, "allow"},
		}},
		{"masked", profile(`{"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [
			{"index": 0, "value": 240, "valueTwo": 31, "op": "SCMP_CMP_MASKED_EQ"}]}`), oci.Options{Archs: x64}, []call{
			{abi.X86_64, "read", [6]uint64{0x1f}, "allow"}, // libseccomp cuts valueTwo by the mask
			{abi.X86_64, "read", [6]uint64{0x10}, "allow"},
			{abi.X86_64, "read", [6]uint64{0x20}, "errno(1)"},
		}},
		{"comparisons are unsigned", profile(`{"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [
			{"index": 0, "value": 9223372036854775807, "op": "SCMP_CMP_GT"}]}`), oci.Options{Archs: x64}, []call{
			{abi.X86_64, "read", [6]uint64{1 << 63}, "allow"},
			{abi.X86_64, "read", [6]uint64{1}, "errno(1)"},
		}},
		{"constants are cut to the register", profile(`{"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [
			{"index": 0, "value": 18446744073709551516, "op": "SCMP_CMP_EQ"}]}`), oci.Options{Archs: []abi.Arch{abi.X86_64, abi.X86}}, []call{
			{abi.X86_64, "read", [6]uint64{1<<64 - 100}, "allow"},
			{abi.X86_64, "read", [6]uint64{1<<32 - 100}, "errno(1)"},
			{abi.X86, "read", [6]uint64{1<<32 - 100}, "allow"},
		}},
		{"unconditional beats conditional, the first of two decides, the default is not a rule", profile(`
			{"names": ["read"], "action": "SCMP_ACT_KILL_PROCESS", "args": [{"index": 0, "value": 0, "op": "SCMP_CMP_EQ"}]},
			{"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1},
			{"names": ["read"], "action": "SCMP_ACT_ALLOW"},
			{"names": ["read"], "action": "SCMP_ACT_LOG"}`), oci.Options{Archs: x64}, []call{
			{abi.X86_64, "read", [6]uint64{}, "allow"},
		}},
		{"of conditional ones the more restrictive", profile(`
			{"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 3, "op": "SCMP_CMP_LE"}]},
			{"names": ["read"], "action": "SCMP_ACT_TRAP", "args": [{"index": 0, "value": 3, "op": "SCMP_CMP_GE"}]},
			{"names": ["read"], "action": "SCMP_ACT_KILL", "args": [{"index": 1, "value": 3, "op": "SCMP_CMP_EQ"}]}`), oci.Options{Archs: x64}, []call{
			{abi.X86_64, "read", [6]uint64{3}, "trap(0)"},
			{abi.X86_64, "read", [6]uint64{2}, "allow"},
			{abi.X86_64, "read", [6]uint64{2, 3}, "kill_thread"},
		}},
		{"names resolve on each architecture", `{"defaultAction": "SCMP_ACT_TRACE", "architectures": ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
			"syscalls": [{"name": "open", "action": "SCMP_ACT_ALLOW"}, {"name": "nosuch", "action": "SCMP_ACT_ALLOW"}]}`, oci.Options{}, []call{
			{abi.ARM, "open", [6]uint64{}, "allow"},
			{abi.AArch64, "openat", [6]uint64{}, "trace(1)"},
			{abi.X86_64, "read", [6]uint64{}, "kill_process"},
		}},
		{"errno by name", `{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrno": "ENOSYS", "defaultErrnoRet": 38, "architectures": ["SCMP_ARCH_MIPS"],
			"syscalls": [{"names": ["read"], "action": "SCMP_ACT_ERRNO", "errno": "EPERM", "errnoRet": 1}]}`, oci.Options{}, []call{
			{abi.MIPS, "write", [6]uint64{}, "errno(89)"},
			{abi.MIPS, "read", [6]uint64{}, "errno(1)"},
		}},
		{"multiplexers, without conditions", profile(`{"names": ["socket", "shmat"], "action": "SCMP_ACT_ALLOW"}`),
			oci.Options{Archs: []abi.Arch{abi.X86}}, []call{
				{abi.X86, "socket", [6]uint64{}, "allow"},
				{abi.X86, "socketcall", [6]uint64{1}, "allow"},
				{abi.X86, "socketcall", [6]uint64{2}, "errno(1)"},
				{abi.X86, "shmat", [6]uint64{}, "allow"},
				{abi.X86, "ipc", [6]uint64{21}, "allow"},
				{abi.X86, "ipc", [6]uint64{1<<16 | 21}, "errno(1)"},
			}},
		{"multiplexers, with conditions", profile(`{"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [
			{"index": 0, "value": 2, "op": "SCMP_CMP_EQ"}, {"index": 2, "value": 7, "op": "SCMP_CMP_EQ"}]}`),
			oci.Options{Archs: []abi.Arch{abi.X86_64, abi.X86}}, []call{
				{abi.X86, "socket", [6]uint64{2, 0, 7}, "allow"},
				{abi.X86, "socket", [6]uint64{1, 0, 7}, "errno(1)"},
				{abi.X86, "socketcall", [6]uint64{1, 0, 7}, "allow"},
				{abi.X86, "socketcall", [6]uint64{1, 0, 6}, "errno(1)"},
				{abi.X86_64, "socket", [6]uint64{2, 0, 7}, "allow"},
			}},
		{"a multiplexer's own rule covers what is behind it", profile(`{"names": ["socket"], "action": "SCMP_ACT_ALLOW"},
			{"names": ["socketcall"], "action": "SCMP_ACT_TRAP"}`), oci.Options{Archs: []abi.Arch{abi.X86}}, []call{
			{abi.X86, "socketcall", [6]uint64{1}, "trap(0)"},
			{abi.X86, "socket", [6]uint64{}, "allow"},
		}},
		{"minKernel", profile(`{"names": ["read"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
			{"names": ["write"], "action": "SCMP_ACT_ALLOW", "excludes": {"minKernel": "4.8"}}`),
			oci.Options{Archs: x64, Kernel: abi.Version{Major: 4, Minor: 7, Patch: 9}}, []call{
				{abi.X86_64, "read", [6]uint64{}, "errno(1)"},
				{abi.X86_64, "write", [6]uint64{}, "allow"},
			}},
		{"a whole configuration", `{"ociVersion": "1.0.2", "process": {"args": ["sh"]}, "linux": {"namespaces": [], "seccomp":
			{"defaultAction": "SCMP_ACT_KILL_PROCESS", "syscalls": [` + allowRead + `]}}}`, oci.Options{Archs: x64}, []call{
			{abi.X86_64, "read", [6]uint64{}, "allow"},
			{abi.X86_64, "write", [6]uint64{}, "kill_process"},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, _ := parse(t, "f", []byte(c.profile), c.options)
			v := verdictOf(t, verdict.NewSpace(budget), p)
			for _, call := range c.calls {
				nr, ok := call.arch.Number(call.name)
				if !ok {
					t.Fatalf("%s has no %s", call.arch, call.name)
				}
				if got := v.At(&bpf.Data{Arch: call.arch.Token(), Nr: nr, Args: call.args}); got.String() != call.want {
					t.Errorf("%s %s(%#x): %s, want %s", call.arch, call.name, call.args, got, call.want)
				}
			}
		})
	}
}

func TestReport(t *testing.T) {
	native := abi.X86_64
	_, report := parse(t, "f", []byte(profile(`
		{"names": ["read", "arm_fadvise64_64", "raed"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 5, "op": "SCMP_CMP_GE"}]},
		{"names": ["read"], "action": "SCMP_ACT_LOG", "args": [{"index": 1, "value": 5, "op": "SCMP_CMP_EQ"}]},
		{"names": ["read"], "action": "SCMP_ACT_TRAP", "args": [{"index": 0, "value": 4, "op": "SCMP_CMP_EQ"}, {"index": 1, "value": 6, "op": "SCMP_CMP_EQ"}]},
		{"names": ["write"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMN"], "arches": ["x86_64"]}}`)),
		oci.Options{Native: &native})
	if want := []string{"arm_fadvise64_64", "raed"}; !slices.Equal(report.Unknown, want) {
		t.Errorf("unknown: %q, want %q", report.Unknown, want)
	}
	if want := []string{"f:3:14: read: log overlaps with allow at f:2:14; the policy takes log"}; !slices.Equal(report.Overlaps, want) {
		t.Errorf("overlaps: %q, want %q", report.Overlaps, want)
	}
	for _, want := range []string{
		"f:2:42: Linux has no system call raed on any architecture (did you mean read?)",
		`f:5:64: no capability is called "CAP_SYS_ADMN", so this never holds (did you mean CAP_SYS_ADMIN?)`,
		`f:5:64: no native architecture is called "x86_64", so this never holds (Docker's name is amd64)`,
	} {
		if !slices.Contains(report.Notes, want) {
			t.Errorf("no note %q in %q", want, report.Notes)
		}
	}
}

func TestParseCaps(t *testing.T) {
	for _, c := range []struct {
		in   []string
		want int
	}{{[]string{"docker"}, 14}, {[]string{"none"}, 0}, {nil, 0}, {[]string{"all"}, 41}, {[]string{"docker", "SYS_ADMIN", "cap_sys_admin", "chown"}, 15}} {
		got, err := oci.ParseCaps(c.in)
		if err != nil || got == nil || len(got) != c.want {
			t.Errorf("%q: %q, %v; want %d capabilities", c.in, got, err, c.want)
		}
	}
	_, err := oci.ParseCaps([]string{"SYS_ADMN"})
	if want := `unknown capability "SYS_ADMN" (did you mean SYS_ADMIN?)`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestPodman reads Podman's profile for each architecture, and back from its printed form.
func TestPodman(t *testing.T) {
	src := corpus(t, "oci/podman-default.json")
	for _, native := range []abi.Arch{abi.X86_64, abi.AArch64, abi.S390X, abi.MIPS64} {
		for _, runtime := range []string{"", "runc"} {
			p, report := parse(t, "podman-default.json", src, oci.Options{Native: &native, Runtime: runtime})
			// Podman allows setns and, without CAP_SYS_ADMIN, also denies it; libseccomp takes what comes first.
			setns := "podman-default.json:720:5: setns: errno(EPERM) overlaps with allow at podman-default.json:393:5; the policy takes allow"
			if !slices.Equal(report.Overlaps, []string{setns}) {
				t.Errorf("%s: overlaps: %q", native, report.Overlaps)
			}
			again, err := lang.Load("printed", []byte(lang.Print(p)), lang.Options{})
			if err != nil {
				t.Fatal(err)
			}
			wantEqual(t, p, again)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(profile(allowRead)), true)
	f.Add([]byte(profile(arg(`"index": 0, "value": 1, "valueTwo": 2, "op": "SCMP_CMP_MASKED_EQ"`))), false)
	f.Add([]byte(`{"defaultAction":"SCMP_ACT_LOG","archMap":[{"architecture":"SCMP_ARCH_X86_64","subArchitectures":null}],"flags":[]}`), true)
	f.Add([]byte(`{"ociVersion":"1","linux":{"seccomp":{"defaultAction":"SCMP_ACT_ERRNO","defaultErrno":"ENOSYS"}}}`), false)
	native := abi.X86_64
	f.Fuzz(func(t *testing.T, src []byte, runc bool) {
		o := oci.Options{Native: &native}
		if runc {
			o.Runtime = "runc"
		}
		p, _, err := oci.Parse("f", src, o)
		if err != nil {
			if strings.Contains(err.Error(), "\n") || !strings.HasPrefix(err.Error(), "f:") {
				t.Errorf("not one line with a place: %q", err)
			}
			return
		}
		if err := p.Check(); err != nil {
			t.Errorf("a policy that does not hold: %v", err)
		}
	})
}

// TestLargeFiles checks that no file below the limit takes long: places, keys, names and overlaps are the places to
// go quadratic.
func TestLargeFiles(t *testing.T) {
	names := strings.Repeat(`"read", "nosuchcall", `, 200_000) + `"write"`
	var keys, tests strings.Builder
	for i := range 300_000 {
		fmt.Fprintf(&keys, `"k%d": 1, `, i)
	}
	for i := range 30_000 {
		fmt.Fprintf(&tests, `{"names": ["read"], "action": "SCMP_ACT_%s", "args": [{"index": 0, "value": %d, "op": "SCMP_CMP_EQ"}]}, `,
			[]string{"ALLOW", "LOG"}[i%2], i)
	}
	start := time.Now()
	for _, src := range []string{
		profile(`{"names": [` + names + `], "action": "SCMP_ACT_ALLOW"}`),
		`{` + keys.String() + `"defaultAction": "SCMP_ACT_ERRNO"}`,
		profile(tests.String() + strings.Replace(allowRead, "read", "write", 1)),
	} {
		_, _, err := oci.Parse("f", []byte(src), oci.Options{})
		t.Logf("%d bytes: %v, after %v", len(src), err, time.Since(start))
	}
	if d := time.Since(start); d > 30*time.Second {
		t.Errorf("took %v", d)
	}
}
