package expect_test

import (
	"fmt"
	"strings"
	"testing"

	"monban/abi"
	"monban/expect"
	"monban/gate"
	"monban/policy"
	"monban/policy/lang"
)

const web = `arch x86_64 x86
default errno(EPERM)
allow read write socket(family in {AF_UNIX, AF_INET} && type & 0xf == SOCK_STREAM)
allow openat(flags & O_ACCMODE == O_RDONLY)
errno(ENOSYS) clone3
kill_process mount
log getpid
`

func webGate(t testing.TB) *gate.Gate {
	p, err := lang.Load("web.gate", []byte(web), lang.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return gate.OfPolicy("web.gate", p)
}

func TestProve(t *testing.T) {
	g := webGate(t)
	v, err := g.Verdict()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ line, want string }{
		{"allow read", "ok ok"},
		{"ok allow openat(AT_FDCWD, ?, O_RDONLY)", "ok ok"},
		{"allow openat", "openat(dirfd=0, pathname=0, flags=O_WRONLY, mode=0): errno(EPERM) | openat(dirfd=0, pathname=0, flags=O_WRONLY, mode=0): errno(EPERM)"},
		{"deny ptrace mount clone3", "ok ok ok ok ok ok"},
		{"errno(EPERM) ptrace mount", "ok ok mount(source=0, target=0, filesystemtype=0, mountflags=0, data=0): kill_process | mount(source=0, target=0, filesystemtype=0, mountflags=0, data=0): kill_process"},
		{"errno(1) ptrace", "ok ok"},
		{"pass getpid read", "ok ok ok ok"},
		{"allow getpid", "getpid(): log | getpid(): log"},
		{"on x86: errno(EPERM) socketcall", "ok"},
		{"errno(EPERM) socketcall", "ok"}, // x86_64 has none
		{"allow socket({AF_UNIX, AF_INET}, type=SOCK_STREAM) # both", "ok ok"},
		{"deny socket(AF_INET6..40)", "ok ok"},
		{"deny socket(AF_INET..40)", "socket(family=AF_INET, type=SOCK_STREAM, protocol=0): allow | socket(family=AF_INET, type=SOCK_STREAM, protocol=0): allow"},
	} {
		f, err := expect.Parse("web.expect", []byte(c.line))
		if err != nil {
			t.Errorf("%s: %v", c.line, err)
			continue
		}
		results, err := f.Prove(g)
		if err != nil {
			t.Errorf("%s: %v", c.line, err)
			continue
		}
		var got []string
		for _, r := range results {
			if at := v.At(&r.Witness); at != r.Got {
				t.Errorf("%s: the witness gets %s, not %s", c.line, at, r.Got)
			}
			if r.Holds {
				got = append(got, "ok")
				continue
			}
			got = append(got, fmt.Sprintf("%s: %s", policy.FormatCall(r.Arch, &r.Witness), policy.ActionOn(r.Arch, r.Got)))
		}
		text := strings.ReplaceAll(strings.Join(got, " | "), "ok | ", "ok ")
		if text != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.line, text, c.want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for src, want := range map[string]string{
		"":                            "web.expect: no case is in it",
		"allow":                       "web.expect:1:6: a call is missing after allow",
		"alow read":                   "web.expect:1:1: alow is not an expectation: write allow, deny",
		"errno(EPRM) read":            "web.expect:1:1: unknown errno EPRM (did you mean EPERM?)",
		"deny raed":                   "web.expect:1:6: unknown system call raed (did you mean read?)",
		"deny read socket(AF_INTE)":   "web.expect:1:18: unknown constant AF_INTE",
		"\n  deny socket(1, famly=2)": "web.expect:2:18: socket has no argument famly",
		"on x86 deny read":            "web.expect:1:8: ",
		"on x86: open":                "web.expect:1:9: open is not an expectation",
		"on x86:":                     "web.expect:1:8: an expectation is missing",
		"on arm64: deny open":         "web.expect:1:16: aarch64 has no system call open",
		"gate":                        "web.expect:1:1: one gate is named",
		"gate a.gate\ngate b.gate":    "web.expect:2:1: the gate is named twice",
		"deny read(0":                 "web.expect:1:12: ",
	} {
		_, err := expect.Parse("web.expect", []byte(src))
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", src, err, want)
		}
	}
	f, err := expect.Parse("web.expect", []byte("deny socketcall"))
	if err != nil {
		t.Fatal(err)
	}
	g := webGate(t)
	g.Policy.Archs = []abi.Arch{abi.X86_64}
	if _, err := f.Prove(g); err == nil || !strings.HasPrefix(err.Error(), "web.expect:1:6: x86_64 has no system call socketcall") {
		t.Errorf("a call that no architecture of the gate has: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"allow openat(AT_FDCWD, ?, O_RDONLY)", "deny ptrace # no", "on x86 x32: errno(EPERM) mount", "gate \"a b\"\nok pass read", "deny (\"", "allow x({"} {
		f.Add(seed)
	}
	g := webGate(f)
	v, err := g.Verdict()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, src string) {
		file, err := expect.Parse("f.test", []byte(src))
		if err != nil {
			return
		}
		results, err := file.Prove(g)
		if err != nil {
			return
		}
		for _, r := range results {
			ok, err := r.Want.Accepts(&r.Asked, v.At(&r.Witness))
			if err != nil || ok != r.Holds {
				t.Errorf("%q: %+v is said to hold: %v (%v)", src, r.Witness, r.Holds, err)
			}
		}
	})
}
