package record_test

import (
	"strings"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/internal/hostile"
	"monban/policy"
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

// Whatever was recorded passes at the recording's gate, and nothing of it is lacking there.
func TestCovers(t *testing.T) {
	r := calls(t, "socket(AF_INET, SOCK_DGRAM)", "socket(AF_UNIX, SOCK_STREAM|SOCK_NONBLOCK)", "clone(CLONE_VM|SIGCHLD)", "ioctl(0, 0xffffffff)",
		"ioctl(0, TIOCSWINSZ)", "openat(AT_FDCWD, 1, 0xfffff)", "mmap(0, 1, PROT_READ|PROT_EXEC, MAP_PRIVATE, -1, 0)", "kill(-5, 0)", "setsockopt(1, SOL_SOCKET)",
		"prctl(PR_SET_NAME)", "futex(1, FUTEX_WAIT|FUTEX_PRIVATE_FLAG)", "madvise(1, 1, -7)", "setns(1, CLONE_NEWNET)", "455")
	for i := range 100 { // more values than are kept
		c, err := lang.ParseCall(abi.X86_64, "ioctl")
		if err != nil {
			t.Fatal(err)
		}
		c.Data.Args[1] = uint64(i)
		r.Add(abi.X86_64, &c.Data, "many")
	}
	for _, args := range []record.Args{record.None, record.Safe, record.All} {
		text := r.Text(record.Options{Args: args, Native: abi.X86_64})
		p, err := lang.Load("recorded.gate", []byte(text), lang.Options{})
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		v, err := p.Verdict(verdict.NewSpace(verdict.DefaultBudget))
		if err != nil {
			t.Fatal(err)
		}
		if l, err := r.Lacking(v); err != nil {
			t.Fatal(err)
		} else if len(l.Calls) > 0 {
			t.Errorf("--args %d: %d calls are lacking:\n%s", args, len(l.Calls), l.Rules(record.Options{Args: args, Native: abi.X86_64}, "lacking"))
		}
		nr, _ := abi.X86_64.Number("ptrace")
		if do := v.At(&bpf.Data{Arch: abi.X86_64.Token(), Nr: nr}); do.Kind() != bpf.Errno {
			t.Errorf("ptrace gets %s", do)
		}
	}
}

// What a program is called, and with which arguments, is its own choice: none of it becomes a rule.
func TestNamesAreNoRules(t *testing.T) {
	r := record.New([]string{"sh", "-c", "true\nallow reboot\n", "\xff\x1b[2J\u2028"}, "hand")
	r.Add(abi.X86_64, &bpf.Data{Arch: abi.X86_64.Token()}, "a\nallow reboot #\r\xff\u202e")
	o := record.Options{Native: abi.X86_64}
	for _, text := range []string{r.Text(o), "arch x86_64\n" + r.Rules(o, "Added")} {
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "allow reboot") || strings.ContainsAny(line, "\x1b\r\u202e") {
				t.Errorf("%q in\n%s", line, text)
			}
		}
		if _, err := lang.Load("x.gate", []byte(text), lang.Options{}); err != nil {
			t.Errorf("%v in\n%s", err, text)
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
		if text := lacking.Rules(record.Options{Native: abi.X86_64}, "Denied"); want != "" && !strings.Contains(text, `# 1: a b\n`) {
			t.Error(text)
		}
	}
}

// Programs choose their names and arguments; a gate has them in comments only, and still means what was seen.
func TestHostileNames(t *testing.T) {
	o := record.Options{Native: abi.X86_64}
	meaning := func(text string) *policy.Policy {
		t.Helper()
		p, err := lang.Load("x.gate", []byte(text), lang.Options{Native: o.Native})
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		p.Name = ""
		return p
	}
	want := lang.Print(meaning(calls(t, "read(0)").Text(o)))
	for _, name := range hostile.Names() {
		r := record.New([]string{name, name}, "hand")
		r.Add(abi.X86_64, &bpf.Data{Arch: abi.X86_64.Token()}, name)
		for _, text := range []string{r.Text(o), r.Rules(o, "More")} {
			if err := hostile.Check(text); err != nil {
				t.Errorf("%q: %v", name, err)
			}
		}
		if got := lang.Print(meaning(r.Text(o))); got != want {
			t.Errorf("%q makes rules:\n%s", name, got)
		}
		if got := lang.Print(meaning("arch x86_64\ndefault errno(EPERM)\n" + r.Rules(o, "More"))); strings.Contains(got, "ptrace") {
			t.Errorf("%q makes rules:\n%s", name, got)
		}
	}
}
