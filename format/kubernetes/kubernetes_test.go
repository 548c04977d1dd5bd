package kubernetes_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"monban/abi"
	"monban/bpf"
	"monban/format/codec"
	"monban/format/kubernetes"
	"monban/gate"
	"monban/policy"
	"monban/policy/lang"
	"monban/verdict"
)

const budget = 2_000_000

const head = "apiVersion: security-profiles-operator.x-k8s.io/v1\nkind: SeccompProfile\nmetadata: {name: web, namespace: old}\n"

// A profile with everything that an object may have.
const whole = head + `spec:
  state: Enabled
  defaultAction: SCMP_ACT_ERRNO
  architectures: [SCMP_ARCH_X86_64, SCMP_ARCH_X86]
  listenerPath: /var/run/security-profiles-operator/agent.sock
  listenerMetadata: "x"
  flags:
  - SECCOMP_FILTER_FLAG_LOG
  syscalls:
  - names: [read, write]
    action: SCMP_ACT_ALLOW
  - action: SCMP_ACT_ERRNO
    names:
    - clone3
    errnoRet: 38
  - names: ["personality"]
    action: SCMP_ACT_TRACE
    errnoRet: 7
    args:
    - {index: 0, value: 0x10, valueTwo: 16, op: SCMP_CMP_MASKED_EQ}
  - names: [close]
    action: SCMP_ACT_ERRNO
    errnoRet: 0
    args: []
status: {status: Installed}
`

func read(src, part string) (*gate.Gate, error) {
	return kubernetes.Format().Read(&codec.Input{Name: "f", Part: part, Src: []byte(src), Options: codec.Options{Native: abi.X86_64}})
}

func meaning(t *testing.T, s *verdict.Space, p *policy.Policy) verdict.Verdict {
	t.Helper()
	v, err := p.Verdict(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestRead(t *testing.T) {
	beta := strings.NewReplacer("/v1\n", "/v1beta1\n", "errnoRet: 38", `errnoRet: "38"`, "errnoRet: 7", `errnoRet: "7"`, "errnoRet: 0", `errnoRet: ""`).Replace(whole)
	want, err := lang.Load("want", []byte(`arch x86_64 x86
		default errno(EPERM)
		unknown errno(EPERM)
		allow read write
		errno(ENOSYS) clone3
		trace(7) personality(u64(arg0) & 0x10 == 0x10)`), lang.Options{})
	if err != nil {
		t.Fatal(err)
	}
	json := `{"apiVersion": "security-profiles-operator.x-k8s.io/v1", "kind": "SeccompProfile", "spec": {"defaultAction": "SCMP_ACT_ERRNO",
		"architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"], "syscalls": [{"names": ["read", "write"], "action": "SCMP_ACT_ALLOW"},
		{"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
		{"names": ["personality"], "action": "SCMP_ACT_TRACE", "errnoRet": 7, "args": [{"index": 0, "value": 16, "valueTwo": 16, "op": "SCMP_CMP_MASKED_EQ"}]}]}}`
	for name, src := range map[string]string{
		"v1": whole, "v1beta1": beta, "json": json, "crlf": strings.ReplaceAll(whole, "\n", "\r\n"),
		"several": "apiVersion: v1\nkind: Namespace\n---\n" + whole + "---\n# nothing\n",
	} {
		if !kubernetes.Format().Sniff([]byte(src)) {
			t.Errorf("%s is not recognised", name)
		}
		got, err := read(src, "")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		s := verdict.NewSpace(budget)
		for _, d := range verdict.Differences(meaning(t, s, want), meaning(t, s, got.Policy)) {
			t.Errorf("%s: %d %#x: %s, want %s", name, d.Data.Nr, d.Data.Args, d.B, d.A)
		}
		if place := got.Policy.Rules[0].Pos; name == "v1" && (place.Line != 13 || place.Col != 13) {
			t.Errorf("the first rule is at %v, want 13:13", place)
		}
	}
	two := whole + "---\n" + strings.ReplaceAll(head, "web", "db") + "spec: {defaultAction: SCMP_ACT_ALLOW}\n"
	got, err := read(two, "db")
	if err != nil || got.Policy.Default.Kind != bpf.Allow {
		t.Error(got, err)
	}
	for part, want := range map[string]string{
		"":  "f:1:1: 2 SeccompProfiles in it (name one, as in f#web)",
		"x": "f:1:1: no SeccompProfile x in it (there are: web db)",
	} {
		if _, err := read(two, part); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", part, err, want)
		}
	}
	for _, text := range []string{"{\"defaultAction\": \"SCMP_ACT_ALLOW\"}", "default allow\n# apiVersion: security-profiles-operator.x-k8s.io\n", ""} {
		if kubernetes.Format().Sniff([]byte(text)) {
			t.Errorf("%q is taken for a SeccompProfile", text)
		}
	}
	if got, err := read(strings.Replace(whole, "Enabled", "Disabled", 1), ""); err != nil || got.Notes[0] != "f:5:10: state is Disabled: the operator does not install the profile" {
		t.Error(got, err)
	}
}

func TestErrors(t *testing.T) {
	rule := func(s string) string {
		return head + "spec:\n  defaultAction: SCMP_ACT_ERRNO\n  syscalls:\n  - " + s + "\n"
	}
	arg := func(s string) string { return rule("{names: [read], action: SCMP_ACT_ALLOW, args: [{" + s + "}]}") }
	for src, want := range map[string]string{
		"":                            "f:1:1: no SeccompProfile of security-profiles-operator.x-k8s.io in it",
		"kind: x\n":                   "f:1:1: no SeccompProfile of security-profiles-operator.x-k8s.io in it",
		"- a\n":                       "f:1:1: a document must be a mapping, not a list",
		head:                          "f:1:1: the SeccompProfile has no spec (add one with defaultAction)",
		head + "spce: {}\nspec: {}\n": `f:4:1: unknown field "spce" in the object (did you mean spec?)`,
		strings.Replace(whole, "/v1\n", "/v2\n", 1):                     `f:1:13: unknown version "v2" of SeccompProfile (known are v1, v1beta1)`,
		head + "spec: {}\n":                                             "f:4:7: the spec has no defaultAction (add defaultAction: SCMP_ACT_ERRNO)",
		head + "spec: {defaultAction: SCMP_ACT_ERNO}\n":                 `f:4:23: unknown action "SCMP_ACT_ERNO" (did you mean SCMP_ACT_ERRNO?)`,
		head + "spec: {defaultAction: SCMP_ACT_NOTIFY}\n":               "f:4:23: SCMP_ACT_NOTIFY cannot be the default action (the runtime needs calls itself before anyone answers)",
		head + "spec: {defaultErrnoRet: 1}\n":                           `f:4:8: unknown field "defaultErrnoRet" in spec (remove it)`,
		head + "spec:\n  baseProfileName: runc-v1\n":                    "f:5:20: the base profile runc-v1 is in the cluster, not here (copy its syscalls into this one and remove baseProfileName)",
		head + "spec:\n  state: Off\n":                                  `f:5:10: unknown state "Off" (want one of Enabled Disabled)`,
		head + "spec:\n  flags: {}\n":                                   "f:5:10: flags must be a list, not a mapping",
		head + "spec:\n  state: Enabled\n  state: Enabled\n":            `f:6:3: duplicate key "state" (first in line 5: remove one)`,
		head + "spec:\n  architectures: [SCMP_ARCH_X86_46]\n":           `f:5:19: unknown architecture "SCMP_ARCH_X86_46" (did you mean SCMP_ARCH_X86_64?)`,
		rule("{action: SCMP_ACT_ALLOW}"):                                "f:7:5: a rule without names (add names: [read])",
		rule("{names: [read]}"):                                         "f:7:5: a rule without action (add action: SCMP_ACT_ALLOW)",
		rule("{names: [7], action: SCMP_ACT_ALLOW}"):                    "f:7:14: each of names must be a string, not 7 (quote it)",
		rule("{names: [''], action: SCMP_ACT_ALLOW}"):                   "f:7:14: an empty name (write a system call's)",
		rule("{names: [read], action: SCMP_ACT_ALLOW, errnoRet: 1}"):    "f:7:55: SCMP_ACT_ALLOW takes no errnoRet (remove it, or use SCMP_ACT_ERRNO)",
		rule("{names: [read], action: SCMP_ACT_ERRNO, errnoRet: 5000}"): "f:7:55: errnoRet must be a whole number from 0 to 4095, not 5000",
		rule("{names: [read], action: SCMP_ACT_ERRNO, errnoRet: '38'}"): `f:7:55: errnoRet must be a number, not the string "38"`,
		arg("index: 6, op: SCMP_CMP_EQ"):                                "f:7:60: index must be a whole number from 0 to 5, not 6",
		arg("index: 0, value: 1"):                                       "f:7:52: an argument test needs index and op (add them)",
		arg("index: 0, op: SCMP_CMP_EQ, value: 9223372036854775808"):    "f:7:87: value must be a whole number from 0 to 9223372036854775807, not 9223372036854775808",
		arg("index: 0, op: SCMP_CMP_EQ, value: -1"):                     "f:7:87: value must be a whole number from 0 to 9223372036854775807, not -1",
		arg("index: 0, op: SCMP_CMP_EQ, value: 1.5"):                    "f:7:87: value must be a whole number from 0 to 9223372036854775807, not 1.5",
		head + "status: &x [1]\nspec: *x\n":                             "f:5:7: an alias (*x) is not read here (write out what it stands for)",
		head + "spec: [\n":                                              "f:4:1: not YAML: did not find expected node content (check indentation, colons and quotes here and in the line before)",
		head + "spec:\n\tdefaultAction: x\n":                            "f:5:1: not YAML: found character that cannot start any token (check indentation, colons and quotes here and in the line before)",
		head + "spec: " + strings.Repeat("[", 70):                       "f:4:71: nested more than 64 deep (an object needs seven)",
		strings.Repeat("- ", 70):                                        "f:1:1: nested more than 64 deep (an object needs seven)",
		strings.Repeat("x", lang.MaxSize+1):                             "f: 4194305 bytes: the limit is 4194304 (is this the right file?)",
	} {
		_, err := read(src, "")
		if err == nil || err.Error() != want {
			t.Errorf("%.200q:\n%v, want\n%s", src, err, want)
		}
	}
}

func write(t *testing.T, src, version string, archs ...abi.Arch) (string, verdict.Verdict, error) {
	t.Helper()
	p, err := lang.Load("some/Web_1.gate", []byte(src), lang.Options{Archs: archs})
	if err != nil {
		t.Fatalf("%v\n%s", err, src)
	}
	v := meaning(t, verdict.NewSpace(budget), p)
	text, err := kubernetes.Format().Write(&codec.Meaning{Name: p.Name, Policy: p, Verdict: v, For: version, Options: codec.Options{Native: archs[0]}})
	if err != nil {
		return "", v, err
	}
	back, err := kubernetes.Format().Read(&codec.Input{Name: "f", Src: text.Bytes, Options: *text.ReadBack})
	if err != nil {
		t.Fatalf("%v\n%s", err, text.Bytes)
	}
	for _, d := range verdict.Differences(v, meaning(t, v.Space(), back.Policy)) {
		t.Fatalf("%s\nbecame\n%s\n%d %#x: %s, want %s", src, text.Bytes, d.Data.Nr, d.Data.Args, d.B, d.A)
	}
	return string(text.Bytes), v, nil
}

func TestWrite(t *testing.T) {
	const gate = "default errno(EPERM)\nunknown errno(EPERM)\nallow read write\nerrno(ENOSYS) clone3\n" +
		"allow openat2(u64(arg0) & 0xfffffffffffffff0 == 0x10 && u64(arg1) <= 0x7fffffffffffffff && u64(arg2) > 0x7fffffffffffffff)\n"
	got, _, err := write(t, gate, "v1", abi.X86_64)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"apiVersion: security-profiles-operator.x-k8s.io/v1\n", "\n  name: web-1\n", "errnoRet: 38\n", "value: 31\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	got, _, err = write(t, gate, "v1beta1", abi.X86_64)
	if err != nil || !strings.Contains(got, `errnoRet: "38"`) || !strings.Contains(got, "/v1beta1\n") {
		t.Errorf("%v\n%s", err, got)
	}
	for _, archs := range [][]abi.Arch{{abi.X86_64, abi.X86, abi.X32}, {abi.AArch64, abi.ARM}} {
		for _, preset := range []string{"@container", "@strict"} {
			if _, _, err := write(t, "include "+preset+"\n", "v1", archs...); err != nil {
				t.Errorf("%s on %v: %v", preset, archs, err)
			}
		}
	}
}

func TestWriteErrors(t *testing.T) {
	for src, want := range map[string]string{
		"default errno(EPERM)\nallow read":                                                        "numbers without a name get errno(38), and an object has no number for its default action, which is then errno(EPERM) (write unknown errno(EPERM))",
		"default kill_process\nunknown kill_process\nerrno(0) read":                               "read gets SCMP_ACT_ERRNO with 0, and in an object 0 is a number that is not given (use another one)",
		"default kill_process\nunknown kill_process\ntrace(5000) read":                            "read gets SCMP_ACT_TRACE with 5000, and an object's numbers go to 4095 (use another one)",
		"default kill_process\nunknown kill_process\nallow read(u64(arg1) == 0x8000000000000001)": "read: an object has no numbers above 2^63-1, so it cannot say arg1 == 0x8000000000000001 (write an OCI profile)",
		"default kill_process\nunknown kill_process\nallow read(ip == 1)":                         "read on x86_64 cannot be said in tests of single arguments: it depends on the instruction pointer",
	} {
		if _, _, err := write(t, src, "v1", abi.X86_64); err == nil || err.Error() != want {
			t.Errorf("%s:\n%v, want\n%s", src, err, want)
		}
	}
	if _, _, err := write(t, "default kill_process\nunknown kill_process\nallow read", "v1", abi.LoongArch64); err == nil || !strings.HasPrefix(err.Error(), "the operator does not know SCMP_ARCH_LOONGARCH64") {
		t.Error(err)
	}
}

// Random conditions come back as they were, or are refused for a number.
func TestWriteRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	done := 0
	for range 60 {
		var b strings.Builder
		b.WriteString("default kill_process\nunknown kill_process\n")
		for _, call := range []string{"read", "write", "lseek"} {
			fmt.Fprintf(&b, "%s %s(%s %s %#x || arg1 & %#x == 0)\n", []string{"allow", "log", "errno(EACCES)", "notify"}[r.IntN(3)], call,
				[]string{"arg0", "u64(arg1)"}[r.IntN(2)], []string{"==", "!=", "<", ">="}[r.IntN(4)], r.IntN(1<<20), 1<<r.IntN(31))
		}
		if _, _, err := write(t, b.String(), "v1", abi.X86_64); err == nil {
			done++
		} else if !strings.Contains(err.Error(), "2^63-1") {
			t.Errorf("%s: %v", &b, err)
		}
	}
	if done < 40 {
		t.Errorf("only %d of 60 were written", done)
	}
}

// No file below the limit takes long.
func TestLargeFiles(t *testing.T) {
	start := time.Now()
	for _, src := range []string{
		head + "spec:\n  defaultAction: SCMP_ACT_ERRNO\n  syscalls:\n  - action: SCMP_ACT_ALLOW\n    names:\n" + strings.Repeat("    - read\n", 90_000),
		head + "spec:\n" + strings.Repeat("  x: 1\n", 200_000),
		head + "spec:\n" + strings.Repeat("# x\n", 500_000),
		head + "spec: \"" + strings.Repeat("x", 3<<20),
		strings.Repeat("---\na: b\n", 100_000),
	} {
		_, err := read(src, "")
		t.Logf("%d bytes: %.150v, after %v", len(src), err, time.Since(start))
	}
	if d := time.Since(start); d > 30*time.Second {
		t.Errorf("took %v", d)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte(head + "spec: {defaultAction: SCMP_ACT_LOG, syscalls: [{names: [read], action: SCMP_ACT_ALLOW, args: [{index: 0, op: SCMP_CMP_NE}]}]}"))
	f.Add([]byte("a: &a [*a]\n---\n? x\n: |\n  y\n"))
	f.Fuzz(func(t *testing.T, src []byte) {
		kubernetes.Format().Sniff(src)
		p, err := kubernetes.Format().Read(&codec.Input{Name: "f", Src: bytes.Clone(src), Options: codec.Options{Native: abi.X86_64}})
		if err != nil {
			if strings.Contains(err.Error(), "\n") || !strings.HasPrefix(err.Error(), "f:") {
				t.Errorf("not one line with a place: %q", err)
			}
			return
		}
		if err := p.Policy.Check(); err != nil {
			t.Errorf("a policy that does not hold: %v", err)
		}
	})
}
