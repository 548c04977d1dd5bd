package expect_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/expect"
	"monban/gate"
	"monban/internal/hostile"
	"monban/policy"
	"monban/policy/lang"
	"monban/verdict"
)

// A file is read line by line; comments, line ends of other systems and TAP's "ok" are no matter.
func TestParseFile(t *testing.T) {
	src := "# all of it\r\ngate \"my gates/web.gate\" # quoted\r\n\r\nok allow read write\t# two\r\non x86 x32: errno(EPERM) socket({1, 2}, type = \"# no comment\")\r\n  deny ptrace"
	src = strings.Replace(src, `, type = "# no comment"`, "", 1)
	f, err := expect.Parse("a.expect", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	if f.Name != "a.expect" || f.Gate != "my gates/web.gate" {
		t.Errorf("name %q, gate %q", f.Name, f.Gate)
	}
	var got []string
	for _, c := range f.Cases {
		got = append(got, fmt.Sprintf("%s %s %s %v", c.Pos, c.Want.Text, c.Call, c.Archs))
	}
	want := []string{
		"a.expect:4:10 allow read []", "a.expect:4:15 allow write []", "a.expect:5:26 errno(EPERM) socket({1, 2}) [x86 x32]", "a.expect:6:8 deny ptrace []",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// What is wrong with a line, and where.
func TestParseLines(t *testing.T) {
	for src, want := range map[string]string{
		`gate ""`:                          "a.expect:1:6: the gate has no name",
		"gate a b":                         "a.expect:1:1: one gate is named",
		"on":                               "a.expect:1:1: a colon is missing",
		"on :":                             "a.expect:1:4: ",
		"on x87: deny read":                "a.expect:1:4: ",
		"errno(EPERM":                      "a.expect:1:1: ",
		"errno(99999) read":                "a.expect:1:1: ",
		"trace read":                       "a.expect:1:1: ",
		"deny\tread(fd=x)":                 "a.expect:1:14: ",
		"deny größe(1)":                    "a.expect:1:",
		"kill_process 99999999999":         "a.expect:1:14: ",
		"deny read(":                       "a.expect:1:11: ",
		"deny read)":                       "a.expect:1:10: ",
		"on x86 x86_64: deny oldumount":    "a.expect:1:21: ",
		"deny read(0,0,0,0,0,0,0)":         "a.expect:1:",
		"deny read({})":                    "a.expect:1:",
		"# nothing\n   \nok\n":             "a.expect: no case is in it",
		"deny " + strings.Repeat("(", 1e5): "a.expect:1:",
	} {
		f, err := expect.Parse("a.expect", []byte(src))
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.40q: %.300v, want %s", src, err, want)
		}
		if _, ok := errors.AsType[*policy.Error](err); !ok {
			t.Errorf("%.40q: an error of type %T", src, err)
		}
		if f == nil {
			t.Errorf("%.40q: no file", src)
		}
	}
}

// A hopeless file ends after twenty errors, one a line, and what was understood is there.
func TestParseHopeless(t *testing.T) {
	f, err := expect.Parse("a.expect", []byte("allow read\n"+strings.Repeat("what is this\n", 1e5)))
	if err == nil || len(f.Cases) != 1 {
		t.Fatalf("%d cases, %v", len(f.Cases), err)
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 20 || !strings.HasPrefix(lines[19], "a.expect:21:1: what is ") {
		t.Errorf("%d errors, the last %s", len(lines), lines[len(lines)-1])
	}
}

// Names that somebody else chose do not make a case of another line.
func TestParseHostile(t *testing.T) {
	for _, name := range hostile.Names() {
		f, err := expect.Parse(name, []byte("deny "+name+"\nallow read\n"))
		if err == nil {
			continue // after a # or a line break nothing is the name's
		}
		for _, c := range f.Cases {
			if c.Want.Text != "allow" && c.Call != "ptrace" && c.Call != "x" {
				t.Errorf("%q made a case: %s %s", name, c.Want.Text, c.Call)
			}
		}
	}
}

// prove proves a file's text against a gate.
func prove(t *testing.T, g *gate.Gate, src string) ([]expect.Result, error) {
	t.Helper()
	f, err := expect.Parse("a.expect", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	return f.Prove(g)
}

// Programs, stacks and policies are asked alike; what decided is known of policies only.
func TestProveKinds(t *testing.T) {
	web := webGate(t)
	filters, err := web.Filters()
	if err != nil {
		t.Fatal(err)
	}
	programs := gate.OfPrograms("web.bpf", binary.LittleEndian, filters...)
	denies, err := lang.Load("log.gate", []byte("arch x86_64 x86\ndefault allow\nunknown allow\nerrno(EACCES) write\n"), lang.Options{})
	if err != nil {
		t.Fatal(err)
	}
	stack, err := gate.Stack("all", programs, gate.OfPolicy("log.gate", denies))
	if err != nil {
		t.Fatal(err)
	}
	const src = "on x86_64: allow write\non x86_64: deny ptrace"
	for _, c := range []struct {
		g       *gate.Gate
		holds   []bool
		decided bool
	}{
		{web, []bool{true, true}, true},
		{programs, []bool{true, true}, false},
		{stack, []bool{false, true}, true},
	} {
		results, err := prove(t, c.g, src)
		if err != nil {
			t.Errorf("%s: %v", c.g.Name, err)
			continue
		}
		for i, r := range results {
			if r.Holds != c.holds[i] {
				t.Errorf("%s: %s holds: %v; got %s", c.g.Name, r.Call, r.Holds, r.Got)
			}
			if c.g != stack && (r.Decision != nil) != c.decided {
				t.Errorf("%s: %s was decided by %v", c.g.Name, r.Call, r.Decision)
			}
		}
	}
}

// A case is asked on every architecture that has the call; x32's numbers are x32's, and a number is asked about once.
func TestProveArchs(t *testing.T) {
	p, err := lang.Load("a.gate", []byte("arch x86_64 x32 x86\ndefault errno(EPERM)\nallow read\non x32: allow write\n"), lang.Options{})
	if err != nil {
		t.Fatal(err)
	}
	g := gate.OfPolicy("a.gate", p)
	for src, want := range map[string]string{
		"allow read":                "x86_64 true, x32 true, x86 true",
		"allow write":               "x86_64 false, x32 true, x86 false",
		"on x32: allow write":       "x32 true",
		"deny socketcall":           "x86 true",
		"deny 0x40000001":           "x32 false, x86 true", // x32's write; on x86 nobody's
		"on aarch64: deny read":     "aarch64 true",        // the gate says nothing of it
		"on x86_64 aarch64: deny 0": "x86_64 false, aarch64 true",
	} {
		results, err := prove(t, g, src)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		var got []string
		for _, r := range results {
			got = append(got, fmt.Sprintf("%s %v", r.Arch, r.Holds))
		}
		if text := strings.Join(got, ", "); text != want {
			t.Errorf("%s: %s, want %s", src, text, want)
		}
	}
}

// What cannot be asked is an error that has its place; a gate's own errors come through.
func TestProveErrors(t *testing.T) {
	g := webGate(t)
	for src, want := range map[string]string{
		"allow read\n  deny socketcall(5)": "", // x86 has it
		"deny oldolduname":                 "",
		"deny spu_run":                     "a.expect:1:6: x86 has no system call spu_run",
	} {
		_, err := prove(t, g, src)
		if (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", src, err, want)
		}
	}
	if _, err := prove(t, &gate.Gate{Name: "nothing"}, "deny read"); err == nil || !strings.HasPrefix(err.Error(), "nothing: ") {
		t.Errorf("a gate of nothing: %v", err)
	}
	// An argument that is compared with another one: no budget suffices.
	sum, err := bpf.Assemble("sum.bpf", strings.NewReader("ld [24]\ntax\nld [16]\njeq x, 4, 5\nret #0x7fff0000\nret #0x50001\n"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = prove(t, gate.OfPrograms("sum.bpf", binary.LittleEndian, sum), "deny read")
	if !errors.Is(err, verdict.ErrTooComplex) || !strings.HasPrefix(err.Error(), "sum.bpf: ") {
		t.Errorf("a filter that is too complex: %v", err)
	}
}

// What is wanted of an answer.
func TestAccepts(t *testing.T) {
	call, err := lang.ParseCall(abi.X86_64, "read")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"allow": "allow", "log": "log", "pass": "log allow", "deny": "kill_process kill_thread trap errno", "errno(0)": "errno",
		"kill_thread": "kill_thread", "kill_process": "kill_process", "notify": "notify", "trap": "trap",
	} {
		f, err := expect.Parse("a.expect", []byte(text+" read"))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var got []string
		for _, do := range bpf.Actions() {
			ok, err := f.Cases[0].Want.Accepts(&call, do)
			if err != nil {
				t.Errorf("%s, %s: %v", text, do, err)
			}
			if ok {
				got = append(got, do.Name())
			}
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("%q accepts %s, want %s", f.Cases[0].Want.Text, text, want)
		}
	}
	unknown := expect.Want{Action: &policy.Action{Kind: bpf.Errno, Errno: "ENONE"}}
	if ok, err := unknown.Accepts(&call, bpf.Allow); err == nil || ok {
		t.Errorf("an errno that is not known: %v", ok)
	}
}
