package record_test

import (
	"strings"
	"testing"

	"monban/abi"
	"monban/learn"
	"monban/policy/lang"
	"monban/record"
	"monban/verdict"
)

// calls makes a recording of calls as people write them.
func calls(t *testing.T, texts ...string) *record.Recording {
	t.Helper()
	r := record.New([]string{"test"}, "hand")
	for _, text := range texts {
		c, err := lang.ParseCall(abi.X86_64, text)
		if err != nil {
			t.Fatal(err)
		}
		r.Add(abi.X86_64, &c.Data, "test")
	}
	return r
}

func TestGeneralise(t *testing.T) {
	for _, c := range []struct {
		calls []string
		args  record.Args
		want  string // of the first call; "" the whole call
	}{
		{[]string{"read(3, 0x1234, 77)"}, record.All, ""},
		{[]string{"socket(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC)", "socket(AF_UNIX, SOCK_STREAM)"}, record.Safe,
			"family == AF_UNIX && type & 0xf == SOCK_STREAM"},
		{[]string{"socket(AF_INET, SOCK_DGRAM)", "socket(AF_UNIX, SOCK_STREAM)"}, record.Safe,
			"family in {AF_UNIX, AF_INET} && type & 0xf in {SOCK_STREAM, SOCK_DGRAM}"},
		{[]string{"socket(AF_INET, SOCK_DGRAM)"}, record.None, ""},
		{[]string{"mprotect(0x1000, 4096, PROT_READ)", "mprotect(0x2000, 4096, PROT_READ|PROT_WRITE)"}, record.Safe, "prot & ~(PROT_READ | PROT_WRITE) == 0"},
		{[]string{"mprotect(0x1000, 4096, 0)"}, record.Safe, "prot == 0"},
		{[]string{"clone(CLONE_VM|CLONE_THREAD|CLONE_SIGHAND)"}, record.Safe, "flags & ~(CSIGNAL | CLONE_VM | CLONE_SIGHAND | CLONE_THREAD) == 0"},
		{[]string{"openat(AT_FDCWD, 1, O_RDONLY|O_CLOEXEC)"}, record.Safe, ""},
		{[]string{"openat(AT_FDCWD, 1, O_WRONLY|O_CREAT)"}, record.All, "flags & ~(O_WRONLY | O_CREAT) == 0"},
		{[]string{"ioctl(1, TCGETS)", "ioctl(1, 0x1234)"}, record.Safe, "request in {0x1234, TCGETS}"},
		{[]string{"personality(0xffffffff)"}, record.Safe, "persona == 0xffffffff"},
		{[]string{"fcntl(1, F_GETFD)"}, record.Safe, "cmd == F_GETFD"},
		{[]string{"futex(1, FUTEX_WAKE)"}, record.All, ""}, // another run waits
		{[]string{"kill(1, SIGTERM)"}, record.All, "sig == SIGTERM"},
	} {
		r := calls(t, c.calls...)
		first, _ := lang.ParseCall(abi.X86_64, c.calls[0])
		got := ""
		if e := record.Generalise(abi.X86_64, first.Name, r.Calls[record.Key{Arch: abi.X86_64, Nr: first.Data.Nr}], c.args); e != nil {
			got = e.String()
		}
		if strings.ReplaceAll(got, "O_WRONLY | O_CREAT", "O_CREAT | O_WRONLY") != strings.ReplaceAll(c.want, "O_WRONLY | O_CREAT", "O_CREAT | O_WRONLY") {
			t.Errorf("%s: %s, want %s", c.calls, got, c.want)
		}
	}
}

// What a gate allows by now is not added once more.
func TestDenialsLacking(t *testing.T) {
	r := audited(t, "audit", line("165", `comm=6120620A exe=2F746D702F6120620A`), line("112", `comm="dead" exe="/bin/dead"`))
	for gate, want := range map[string]string{"": "setsid mount ", "log setsid\n": "setsid mount ", "allow setsid\n": "mount ", "allow setsid mount\n": "",
		"allow setsid mount(mountflags == 0)\n": "mount "} {
		p, err := lang.Load("x.gate", []byte("arch x86_64\ndefault errno(EPERM)\n"+gate), lang.Options{})
		if err != nil {
			t.Fatal(err)
		}
		v, err := p.Verdict(verdict.NewSpace(verdict.DefaultBudget))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		lacking, err := r.Lacking(v)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range lacking.Keys(abi.X86_64) {
			name, _ := k.Arch.Name(k.Nr)
			got += name + " "
		}
		if got != want {
			t.Errorf("%q lacks %q, want %q", gate, got, want)
		}
		if text := learn.Recording(lacking, learn.Options{Native: abi.X86_64}).String(); want != "" && !strings.Contains(text, `# 1: a b\n`) {
			t.Error(text)
		}
	}
}
