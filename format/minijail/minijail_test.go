package minijail_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/format"
	"monban/format/codec"
	"monban/format/minijail"
	"monban/gate"
	"monban/policy/lang"
	"monban/verdict"
)

// files are what the policies here include.
var files = map[string]string{
	"base.policy": "write: 1\nclose: 1", "loop.policy": "@include ./again.policy", "again.policy": "@include ./loop.policy",
	"counts": "read: 10\nwrite: 0x20", "bad.counts": "read: often", "bad.policy": "read: 1\nwirte: 1",
}

func readFile(name string) ([]byte, error) {
	if text, ok := files[name]; ok {
		return []byte(text), nil
	}
	return nil, errors.New("there is no such file")
}

func read(text string, archs ...abi.Arch) (*gate.Gate, error) {
	return minijail.Format().Read(&codec.Input{
		Name: "t.policy", Src: []byte(text), ReadFile: readFile, Options: codec.Options{Native: abi.X86_64, Archs: archs},
	})
}

func TestMeaning(t *testing.T) {
	const text = `# a comment
@include ./base.policy
@frequency ./counts
read: arg0 == 3 || arg0 >= 0x10 && \
      arg2 < 100
{open, openat}: return ENOENT
mmap: arg2 in ~PROT_EXEC
ioctl: arg1 & 0x6400; return 25
prctl: { arg0 == PR_SET_NAME, arg0 == 4 || arg0 != 5 && arg1 == -1; log, trap }
umask[arch=arm,arm64]: 1
dup [arch=x86_64]: kill-thread
kill: allow
`
	p, err := read(text)
	if err != nil {
		t.Fatal(err)
	}
	v, err := p.Policy.Verdict(verdict.NewSpace(verdict.DefaultBudget))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		call string
		args [3]uint64
		want bpf.Action
	}{
		{"write", [3]uint64{}, bpf.Allow},
		{"read", [3]uint64{3}, bpf.Allow},
		{"read", [3]uint64{1<<32 + 3, 0, 99}, bpf.Allow},
		{"read", [3]uint64{16, 0, 100}, bpf.KillProcess},
		{"read", [3]uint64{15, 0, 1}, bpf.KillProcess},
		{"open", [3]uint64{}, bpf.Errno | 2},
		{"openat", [3]uint64{}, bpf.Errno | 2},
		{"mmap", [3]uint64{0, 0, 3}, bpf.Allow},
		{"mmap", [3]uint64{0, 0, 4}, bpf.KillProcess},
		{"ioctl", [3]uint64{0, 0x400}, bpf.Errno | 25},
		{"ioctl", [3]uint64{0, 1}, bpf.KillProcess},
		{"prctl", [3]uint64{15}, bpf.Allow},
		{"prctl", [3]uint64{4}, bpf.Log},
		{"prctl", [3]uint64{6, ^uint64(0)}, bpf.Log},
		{"prctl", [3]uint64{5, ^uint64(0)}, bpf.Trap},
		{"umask", [3]uint64{}, bpf.KillProcess},
		{"dup", [3]uint64{}, bpf.KillThread},
		{"kill", [3]uint64{}, bpf.Allow},
	} {
		nr, _ := abi.X86_64.Number(c.call)
		d := bpf.Data{Arch: abi.X86_64.Token(), Nr: nr}
		copy(d.Args[:], c.args[:])
		if got := v.At(&d); got != c.want {
			t.Errorf("%s%#x gets %v, want %v", c.call, c.args, got, c.want)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"read 1", `t.policy:1:6: expected ":", not "1"`},
		{"raed: 1", `t.policy:1:1: x86_64 has no system call raed (did you mean read?)`},
		{"umount: 1", `t.policy:1:1: x86_64 has no system call umount (minijail refuses the policy as well: remove the line, or name the call's architectures, umount[arch=…])`},
		{"read: arg6 == 1", `t.policy:1:7: expected arg0 to arg5, not "arg6"`},
		{"read: arg0 = 1", `t.policy:1:12: expected an operator (== != < <= > >= & in), not "="`},
		{"read: arg0 == AF_INTE", `t.policy:1:15: unknown constant AF_INTE on x86_64`},
		{"read: arg0 == 0x1ffffffffffffffff", `t.policy:1:15: 0x1ffffffffffffffff does not fit the 64 bits of an argument on x86_64`},
		{"read: arg0 == 1 &&", `t.policy:1:19: expected arg0 to arg5, not the end of the line`},
		{"read: 2", `t.policy:1:7: expected an action or a condition on arg0 to arg5, not "2"`},
		{"read: alow", `t.policy:1:7: expected an action or a condition on arg0 to arg5, not "alow" (did you mean allow?)`},
		{"read: 1\nread: arg0 == 1", `t.policy:2:7: read has an action without a condition already, at t.policy:1:7: nothing after it counts`},
		{"read: 1 1", `t.policy:1:9: unexpected "1" after the end of the statement`},
		{"read: return 5000", `t.policy:1:14: "5000" is not an errno: they go up to 4095`},
		{"{read, write: 1", `t.policy:1:13: expected "}", not ":"`},
		{"read: arg0 == ((1)", `t.policy:1:19: expected ")", not the end of the line`},
		{"read: arg0 == " + strings.Repeat("(", 200), `t.policy:1:115: more than 100 parentheses`},
		{"read: arg0 == ~~1", `t.policy:1:16: ~~ is not allowed (remove both)`},
		{"@default allow", `t.policy:1:10: @default takes kill-process, kill-thread, kill, trap or user-notify, not "allow"`},
		{"@inclde ./x", `t.policy:1:1: unknown directive @inclde (did you mean @include?)`},
		{"@include x", `t.policy:1:10: @include takes a path that starts with ./ or /, not "x"`},
		{"@include ./none.policy", `t.policy:1:10: cannot read none.policy: there is no such file (t.policy > none.policy)`},
		{"@include ./loop.policy", `again.policy:1:10: the file includes itself: t.policy > loop.policy > again.policy > loop.policy`},
		{"@include ./bad.policy", `bad.policy:2:1: x86_64 has no system call wirte (did you mean write?)`},
		{"@frequency ./bad.counts", `bad.counts:1:7: a frequency is a number, not "often" (0)`},
		{"@denylist\nread: 1", `t.policy:2:7: a filter of a denylist is  return ERRNO, not "1"`},
		{"@denylist\nread: arg0 == 1", `t.policy:2:16: a filter of a denylist ends in  ; return ERRNO, not the end of the line`},
		{"read: 1 \\", `t.policy:1:1: the file ends after a \ that joins the next line (remove it)`},
		{"read§: 1", `t.policy:1:5: unexpected '§' (a line is CALL: FILTER, such as  read: 1)`},
		{"x@y: 1", `t.policy:1:1: x@y is a group that only a minijail with its own table knows: name its calls`},
	} {
		if _, err := read(c.text); err == nil || err.Error() != c.want {
			t.Errorf("%q:\n got  %v\n want %s", c.text, err, c.want)
		}
	}
	if _, err := read("read: 1", abi.X86_64, abi.X32); err == nil {
		t.Error("x32 is spoken for")
	}
}

// TestWrite converts policies to the language and back; each conversion is proven.
func TestWrite(t *testing.T) {
	dir := crosvm(t)
	paths, err := filepath.Glob(filepath.Join(dir, "*.policy"))
	if err != nil {
		t.Fatal(err)
	}
	language, _ := format.Find("gate")
	o := format.Options{Native: abi.X86_64, Constants: filepath.Join(dir, "constants.json")}
	for _, path := range paths {
		for _, to := range []codec.Format{minijail.Format(), language} {
			g, err := format.Read("minijail:"+path, o)
			if err != nil {
				t.Fatal(err)
			}
			text, err := format.Write(g, to, "", o)
			if err != nil {
				t.Errorf("%s as %s: %v", filepath.Base(path), to.Name, err)
				continue
			}
			back := filepath.Join(t.TempDir(), "x")
			if err := os.WriteFile(back, text.Bytes, 0o600); err != nil {
				t.Fatal(err)
			}
			if g, err = format.Read(back, format.Options{Native: abi.X86_64}); err != nil {
				t.Errorf("%s: %v", filepath.Base(path), err)
			} else if g.Format != to.Name {
				t.Errorf("%s: written as %s, recognised as %s", filepath.Base(path), to.Name, g.Format)
			} else if _, err := format.Write(g, minijail.Format(), "", format.Options{Native: abi.X86_64}); err != nil {
				t.Errorf("%s: %v", filepath.Base(path), err)
			}
		}
	}
}

// TestWriteConditions writes what minijail has no operator for, and says what it cannot say.
func TestWriteConditions(t *testing.T) {
	write := func(text string) (string, error) {
		p, err := lang.Load("t.gate", []byte(text), lang.Options{Native: abi.X86_64})
		if err != nil {
			t.Fatal(err)
		}
		out, err := format.Write(gate.OfPolicy("t.gate", p), minijail.Format(), "", format.Options{Native: abi.X86_64})
		if err != nil {
			return "", err
		}
		return string(out.Bytes), nil
	}
	for _, text := range []string{
		"unknown kill_process\nallow read close(fd & 0x7 == 0x5) socket(family in {1, 3..9} && type & 0xf == 1)",
		"unknown kill_process\nbadarch kill_thread\nerrno(EPERM) ioctl(request == TIOCSTI)\nallow ioctl",
		"unknown kill_process\nbadarch kill_thread\nallow lseek(offset < 0) lseek(offset > 100 && whence != 2)",
		"arch x86_64 x32\ndefault allow\nunknown allow\nbadarch kill_thread\non x86_64: errno(5) mount lseek(offset == 7)",
	} {
		if got, err := write(text); err != nil {
			t.Errorf("%s\n%v\n%s", text, err, got)
		}
	}
	for text, want := range map[string]string{
		"badarch errno(ENOSYS)\nunknown kill_process\nallow read":       "other architectures get errno(38), and minijail kills their threads (write badarch kill_thread)",
		"badarch kill_thread\nallow read":                               "numbers that nobody has get errno(38)",
		"arch x86_64\ndefault allow\nunknown allow\nerrno(5) mount":     "x32's numbers get kill_process, and minijail gives them its default, allow (write arch x86_64 x32, and on x32: allow any)",
		"arch x86_64 aarch64\nunknown kill_process\nallow read":         "a minijail policy is for one architecture: choose it",
		"unknown kill_process\nbadarch kill_thread\ntrace(7) read":      "read on x86_64: minijail has no word for trace(7) here",
		"unknown kill_process\nbadarch kill_thread\nallow read(ip > 5)": "instruction pointer",
	} {
		if _, err := write(text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s\n got  %v\n want %s", text, err, want)
		}
	}
}

// A file of signs alone would take fifty times its size in memory.
func TestManyTokens(t *testing.T) {
	for name, text := range map[string]string{
		"a line":     "read: " + strings.Repeat("(", 1<<20),
		"many lines": strings.Repeat("read: 1\n", 1<<19),
		"joined":     strings.Repeat("(((((((( \\\n", 1<<17),
	} {
		_, err := read(text)
		if err == nil || !strings.Contains(err.Error(), "more than 1048576 words and signs: that is not a policy") {
			t.Errorf("%s: %.200v", name, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, text := range []string{
		"read: 1", "@include ./base.policy\nopen: return ENOENT", "{a, read}: { arg0 == 1; log, arg1 in ~(1|2); trap, kill }",
		"@denylist\nread[arch=x86_64;k=v]: arg0 & 3 && arg1 != -1 || arg2 >= 010; return 1", "@frequency ./counts\n\\\nread: 1 # x",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := read(text)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than a line: %v", err)
			}
			return
		}
		if !slices.Contains(p.Policy.Archs, abi.X86_64) {
			t.Error("not for x86_64")
		}
		if _, err := p.Policy.Verdict(verdict.NewSpace(verdict.DefaultBudget)); err != nil && !errors.Is(err, verdict.ErrTooComplex) {
			t.Error(err)
		}
	})
}
