package policy_test

import (
	"strings"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/policy/decompile"
	"monban/policy/lang"
	"monban/verdict"
)

func TestAsk(t *testing.T) {
	p, err := lang.Load("q.gate", []byte(`arch x86_64 x86
default errno(EPERM)
allow socket(family in {AF_UNIX, AF_INET} && type & 0xf == SOCK_STREAM)
errno(EACCES) openat(dirfd == AT_FDCWD && flags & O_ACCMODE != O_RDONLY)
allow openat lseek(offset < 0)
on x86: allow pread64(pos < 0x100000000)
`), lang.Options{})
	if err != nil {
		t.Fatal(err)
	}
	v, err := p.Verdict(verdict.NewSpace(verdict.DefaultBudget))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		arch abi.Arch
		call string
		want string
	}{
		{abi.X86_64, "socket(AF_INET, SOCK_STREAM)", "allow"},
		{abi.X86_64, "socket(?, SOCK_RAW, ?)", "errno(EPERM)"},
		{abi.X86_64, "socket(type=SOCK_RAW)", "errno(EPERM)"},
		{abi.X86_64, "socket(type=SOCK_STREAM|SOCK_CLOEXEC)", "allow if family in {AF_UNIX, AF_INET}; errno(EPERM) if !(family in {AF_UNIX, AF_INET})"},
		{abi.X86_64, "socket({AF_UNIX, AF_INET}, SOCK_STREAM)", "allow"},
		{abi.X86_64, "socket(AF_UNIX..AF_INET6, SOCK_STREAM)", "allow if family in {AF_UNIX, AF_INET}; errno(EPERM) if family in {AF_AX25, AF_IPX, AF_APPLETALK, AF_NETROM, AF_BRIDGE, AF_ATMPVC, AF_X25, AF_INET6}"},
		{abi.X86_64, "openat(flags=O_RDONLY)", "allow"},
		{abi.X86_64, "openat(AT_FDCWD, _, {O_WRONLY, O_RDWR|O_CREAT})", "errno(EACCES)"},
		{abi.X86_64, "openat(-5..5, _, O_WRONLY)", "allow"},
		{abi.X86_64, "openat(-200..5, _, O_WRONLY)", "allow if dirfd in {4294967096..4294967195, 4294967197..4294967295, 0..5}; errno(EACCES) if dirfd == AT_FDCWD"},
		{abi.X86_64, "lseek(_, -3)", "allow"},
		{abi.X86_64, "lseek(arg1=-9..-1)", "allow"},
		{abi.X86, "pread64(pos=0..0xffffffff)", "allow"},
		{abi.X86, "pread64(pos={0x100000000, 0x500000000})", "errno(EPERM)"},
		{abi.X86_64, "41(1, 1)", "allow"},
	} {
		call, err := lang.ParseCall(c.arch, c.call)
		if err != nil {
			t.Errorf("%s: %v", c.call, err)
			continue
		}
		asked, err := call.Ask(v)
		if err != nil {
			t.Fatal(err)
		}
		outcomes, err := decompile.Answers(asked)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, o := range outcomes {
			s := o.Action.String()
			if len(outcomes) > 1 {
				s += " if " + o.Cond.String()
			}
			got = append(got, s)
			d, ok, err := asked.Example(func(x bpf.Action) bool { return x == o.On })
			if err != nil || !ok || v.At(&d) != o.On {
				t.Errorf("%s: the example of %s is %+v, which gets %s", c.call, o.Action, d, v.At(&d))
			}
		}
		if text := strings.Join(got, "; "); text != c.want && !equivalent(text, c.want) {
			t.Errorf("%s:\n got %s\nwant %s", c.call, text, c.want)
		}
		if again, err := lang.ParseCall(c.arch, call.String()); err != nil || again.Data != call.Data || again.Open != call.Open {
			t.Errorf("%s prints as %s, which reads as %+v (%v)", c.call, call, again, err)
		}
	}
}

// equivalent lets conditions on what was not asked about be written in any way: only the actions are compared.
func equivalent(got, want string) bool {
	strip := func(s string) (out string) {
		for part := range strings.SplitSeq(s, "; ") {
			action, _, _ := strings.Cut(part, " if ")
			out += action + ";"
		}
		return out
	}
	return strip(got) == strip(want)
}

func TestAskErrors(t *testing.T) {
	for text, want := range map[string]string{
		"socket(famly=AF_INET)": "call:1:8: socket has no argument famly (did you mean family?)",
		"socket(type=1, 2)":     "call:1:16: an argument by position cannot stand after one by name",
		"socket(1, family=2)":   "call:1:18: this argument is given twice",
		"socket(5..1)":          "call:1:8: the range 5..1 is empty",
		"socket({0x100000000})": "call:1:8: 0x100000000 does not fit: the argument has 32 bits on x86_64",
		"socket({})":            "call:1:9: an empty set",
		"socket(a=1)":           "call:1:8: socket has no argument a",
		"read(0, ?, 1, 2)":      "call:1:15: read takes 3 arguments",
		"socket(=1)":            "call:1:8: ",
		"?":                     "call:1:1: expected a system call",
	} {
		_, err := lang.ParseCall(abi.X86_64, text)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func FuzzParseCall(f *testing.F) {
	for _, seed := range []string{"socket(AF_INET, 1..5, {0, 1})", "openat(dirfd=AT_FDCWD, flags=?)", "41(_)", "read(-1..3)", "0x40000000"} {
		f.Add(seed)
	}
	v := verdict.NewSpace(verdict.DefaultBudget)
	allow := v.Verdict(v.Action(bpf.Allow))
	f.Fuzz(func(t *testing.T, text string) {
		call, err := lang.ParseCall(abi.X86_64, text)
		if err != nil {
			return
		}
		if _, err := call.Ask(allow); err != nil {
			t.Errorf("%q was read, and cannot be asked: %v", text, err)
		}
		again, err := lang.ParseCall(call.Arch, call.String()) // a number may be x32's
		if err != nil || again.Data != call.Data || again.Open != call.Open {
			t.Errorf("%q prints as %q, which reads as %+v (%v)", text, call.String(), again, err)
		}
	})
}
