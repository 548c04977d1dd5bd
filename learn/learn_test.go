package learn_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"monban/abi"
	"monban/bpf"
	"monban/gate"
	"monban/internal/hostile"
	"monban/learn"
	"monban/policy"
	"monban/policy/lang"
	"monban/record"
	"monban/scan"
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
		text := learn.Recording(r, learn.Options{Args: args, Native: abi.X86_64}).String()
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
			t.Errorf("--args %d: %d calls are lacking:\n%s", args, len(l.Calls), learn.Recording(l, learn.Options{Args: args, Native: abi.X86_64}))
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
	o := learn.Options{Native: abi.X86_64}
	for _, text := range []string{learn.Recording(r, o).String(), added(t, r, o)} {
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

// Programs choose their names and arguments; a gate has them in comments only, and still means what was seen.
func TestHostileNames(t *testing.T) {
	o := learn.Options{Native: abi.X86_64}
	meaning := func(text string) *policy.Policy {
		t.Helper()
		p, err := lang.Load("x.gate", []byte(text), lang.Options{Native: o.Native})
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		p.Name = ""
		return p
	}
	want := lang.Print(meaning(learn.Recording(calls(t, "read(0)"), o).String()))
	for _, name := range hostile.Names() {
		r := record.New([]string{name, name}, "hand")
		r.Add(abi.X86_64, &bpf.Data{Arch: abi.X86_64.Token()}, name)
		for _, text := range []string{learn.Recording(r, o).String(), added(t, r, o)} {
			if err := hostile.Check(text); err != nil {
				t.Errorf("%q: %v", name, err)
			}
		}
		if got := lang.Print(meaning(learn.Recording(r, o).String())); got != want {
			t.Errorf("%q makes rules:\n%s", name, got)
		}
		if got := lang.Print(meaning(added(t, r, o))); strings.Contains(got, "ptrace") {
			t.Errorf("%q makes rules:\n%s", name, got)
		}
	}
}

// earlier is the gate of a text, and the text to keep.
func earlier(t *testing.T, text string) (*gate.Gate, *lang.File) {
	t.Helper()
	f, err := lang.Parse("old.gate", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	p, err := f.Resolve(lang.Options{Native: abi.X86_64})
	if err != nil {
		t.Fatal(err)
	}
	return gate.OfPolicy("old.gate", p), f
}

// added is a gate that allows nothing, to which a recording is added.
func added(t *testing.T, r *record.Recording, o learn.Options) string {
	t.Helper()
	g, text := earlier(t, "arch x86_64\ndefault errno(EPERM)\n")
	e, err := learn.NewEarlier(g, text, o.Native)
	if err != nil {
		t.Fatal(err)
	}
	f, _, err := e.Add(r, o)
	if err != nil {
		t.Fatal(err)
	}
	return f.String()
}

// TestRecording: a recording as a file, whole.
func TestRecording(t *testing.T) {
	r := calls(t, "read(0)", "read(1)", "socket(AF_UNIX, SOCK_STREAM)", "5000(1)")
	r.Clone3[abi.X86_64] = 2
	r.Lost = 3
	text := learn.Recording(r, learn.Options{Native: abi.X86_64, Args: record.Safe, Extra: []learn.Extra{{Why: "for a loader", Calls: []string{"setuid", "read", "nosuch"}}}}).String()
	head, rest, _ := strings.Cut(text, "# not seen, but any run may make them\n")
	want := `# What this run did, by monban record (hand):
#   test
# 4 calls of 3 kinds. Behind each: how often, and by which programs.
# Events were lost, 3 of them: a call may be missing.

arch     x86_64
default  errno(EPERM)

# reading and writing
allow    read  # 2: test

# sockets
allow    socket(family == AF_UNIX && type & 0xf == SOCK_STREAM)  # 1: test

# processes and threads
errno(ENOSYS) clone3  # 2: its flags are behind a pointer; libc falls back to clone

# other
allow    any(nr == 0x1388)  # 1: test

`
	if diff := cmp.Diff(want, head); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
	if !strings.HasSuffix(rest, "\n\n# for a loader\nallow    setuid\n") {
		t.Errorf("it ends with %s", rest)
	}
	if f, err := lang.Parse("x", []byte(text)); err != nil || f.String() != text {
		t.Errorf("%v: it is not formatted:\n%s", err, text)
	}
}

// TestAdd: an earlier gate keeps what it says, comments and all; what it lacks comes before, and holds only there where
// it was seen.
func TestAdd(t *testing.T) {
	const old = "# mine\n\narch x86_64 # here\ndefault errno(EPERM)\nallow read # why\non x86_64: allow write\n"
	o := learn.Options{Native: abi.X86_64}
	for _, c := range []struct {
		name, old string
		keep      bool
		calls     []string
		x86       bool // a call of x86 was made as well
		want      string
	}{
		{"nothing lacks", old, true, []string{"read"}, false, "# mine\n\narch     x86_64  # here\ndefault  errno(EPERM)\nallow    read  # why\non x86_64: allow write\n"},
		{"a call", old, true, []string{"read", "close"}, false, "# What a later run needed as well, by monban record (hand):\n#   test\n\n# reading and writing\non x86_64: allow close  # 1: test\n\n# mine\n\narch     x86_64  # here\ndefault  errno(EPERM)\nallow    read  # why\non x86_64: allow write\n"},
		{"another architecture", old, true, nil, true, "\n# mine\n\narch     x86_64 x86  # here\ndefault  errno(EPERM)\non x86_64: allow read  # why\non x86_64: allow write\n"},
		{"anew", "allow read # why", false, []string{"close"}, false, "\n# old.gate\narch     x86_64\ndefault  kill_process\nunknown  errno(ENOSYS)\nbadarch  kill_process\n\nallow    read\n"},
		{"anew, because of what is included", "arch x86_64\ninclude @strict\n", true, nil, true, "\non x86_64: allow "},
	} {
		r := calls(t, c.calls...)
		if c.x86 {
			r.Add(abi.X86, &bpf.Data{Arch: abi.X86.Token(), Nr: 3}, "old")
		}
		g, kept := earlier(t, c.old)
		if !c.keep {
			kept = nil
		}
		before, err := g.Verdict()
		if err != nil {
			t.Fatal(err)
		}
		e, err := learn.NewEarlier(g, kept, o.Native)
		if err != nil {
			t.Fatal(err)
		}
		f, more, err := e.Add(r, o)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		text := f.String()
		if !strings.HasSuffix(text, c.want) && !(strings.HasPrefix(c.want, "\non ") && strings.Contains(text, c.want)) {
			t.Errorf("%s: got\n%s\nwant at its end\n%s", c.name, text, c.want)
		}
		if c.x86 != (len(more) == 1) {
			t.Errorf("%s: it speaks for %v, too", c.name, more)
		}
		p, err := lang.Load("new.gate", []byte(text), lang.Options{})
		if err != nil {
			t.Errorf("%s: %v in\n%s", c.name, err, text)
			continue
		}
		v, err := p.Verdict(before.Space())
		if err != nil {
			t.Fatal(err)
		}
		if l, err := r.Lacking(v); err != nil || l.Kinds() > 0 {
			t.Errorf("%s: it still lacks %d kinds of calls (%v)", c.name, l.Kinds(), err)
		}
		// Where nothing was added, it answers as before.
		for nr, call := range abi.X86_64.Calls() {
			if before.Call(abi.X86_64, nr) != v.Call(abi.X86_64, nr) && !strings.Contains(strings.Join(c.calls, " "), call) {
				t.Errorf("%s: %s is answered otherwise", c.name, call)
			}
		}
		if c.x86 {
			for nr, call := range abi.X86.Calls() {
				if do, ok := v.Call(abi.X86, nr).Constant(); (!ok || do.Passes()) && !record.AnyRun(call) && call != "read" {
					t.Errorf("%s: %s passes on x86, where the earlier gate did not speak", c.name, call)
				}
			}
		}
	}
}

// TestTiers: what was seen is allowed, what can be reached gets its own answer, what is neither is refused.
func TestTiers(t *testing.T) {
	r := calls(t, "read", "ioctl(0, TIOCGWINSZ)")
	s := &scan.Result{Arch: abi.X86_64, Calls: []scan.Call{{Name: "read"}, {Name: "ioctl"}, {Name: "connect"}, {Name: "clone3"}, {Nr: 9999}}}
	o := learn.Options{Native: abi.X86_64, Args: record.Safe}
	for _, reachable := range []policy.Action{{Kind: bpf.Log}, {Kind: bpf.Errno, Errno: "EACCES"}} {
		f, err := learn.Tiers(r, s, o, reachable)
		if err != nil {
			t.Fatal(err)
		}
		p, err := lang.Load("t.gate", []byte(f.String()), lang.Options{})
		if err != nil {
			t.Fatalf("%v in\n%s", err, f)
		}
		for call, want := range map[string]string{"read": "allow", "ioctl(0, TIOCGWINSZ)": "allow", "ioctl(0, TIOCSTI)": reachable.String(), "connect": reachable.String(), "mount": "errno(EPERM)", "clone3": "errno(ENOSYS)"} {
			c, err := lang.ParseCall(abi.X86_64, call)
			if err != nil {
				t.Fatal(err)
			}
			d, err := p.Decide(&c.Data)
			if got := policy.ActionOn(abi.X86_64, d.Action).String(); err != nil || got != want {
				t.Errorf("%s gets %s (%v), want %s:\n%s", call, got, err, want, f)
			}
		}
		if !strings.Contains(f.String(), "(or not with such arguments): 2 calls.\n") {
			t.Errorf("got\n%s", f)
		}
	}
}

// TestScan: what can be reached is allowed, with what somebody else needs.
func TestScan(t *testing.T) {
	s := &scan.Result{Arch: abi.AArch64, Calls: []scan.Call{{Name: "read"}, {Nr: 9999}}}
	f := learn.Scan(s, learn.Options{Default: &policy.Action{Kind: bpf.KillProcess}, Extra: []learn.Extra{{Why: "loaders", Calls: []string{"read", "setuid", "stat"}}}})
	want := "arch     aarch64\ndefault  kill_process\n\n# reading and writing\nallow    read\n\n# loaders\nallow    optional setuid stat\n"
	if diff := cmp.Diff(want, f.String()); diff != "" {
		t.Error(diff)
	}
	if _, err := f.Resolve(lang.Options{}); err != nil {
		t.Error(err)
	}
}

// The text of a recording with all that it can have in it.
func TestText(t *testing.T) {
	r := record.New([]string{"sh", "-c", "true"}, "hand")
	add := func(a abi.Arch, text, program string) {
		c, err := lang.ParseCall(a, text)
		if err != nil {
			t.Fatal(err)
		}
		r.Add(a, &c.Data, program)
	}
	for range 3 {
		add(abi.X86_64, "socket(AF_UNIX, SOCK_STREAM)", "app")
	}
	add(abi.X86_64, "socket(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC)", "b")
	for _, p := range []string{"c", "d", "e"} {
		add(abi.X86_64, "socket(AF_UNIX, SOCK_STREAM)", p)
	}
	add(abi.X86_64, "prctl(PR_SET_NAME)", "app")
	add(abi.X86_64, "1000", "app")
	add(abi.X86, "read", "old")
	r.Clone3[abi.X86_64] = 2
	r.Lost = 1
	r.Unseen = []string{"read", "write", "socket"}
	eacces := policy.Action{Kind: bpf.Errno, Errno: "EACCES"}
	o := learn.Options{Native: abi.X86_64, Args: record.Safe, Default: &eacces, Extra: []learn.Extra{{"the runtime makes these", []string{"prctl", "capset", "no_such_call"}}}}
	text := learn.Recording(r, o).String()
	for _, line := range []string{
		"# What this run did, by monban record (hand):\n#   sh -c true\n",
		"# 10 calls of 4 kinds. Behind each: how often, and by which programs.\n",
		"# Events were lost, 1 of them: a call may be missing.\n",
		"\narch     x86_64 x86\ndefault  errno(EACCES)\n",
		"\non x86_64: allow    socket(family == AF_UNIX && type & 0xf == SOCK_STREAM) # 7: app b c d …\n",
		"\non x86_64: allow    prctl                            # 1: app\n", // whole: the runtime has arguments of its own
		"\non x86_64: allow    any(nr == 1000)                  # 1: app\n",
		"\non x86_64: errno(ENOSYS) clone3 # 2: its flags are behind a pointer; libc falls back to clone\n",
		"\n# let pass while recording, so not counted\non x86_64: allow    read write\n",
		"\n# the runtime makes these\non x86_64: allow    capset\n",
		"\non x86: allow    read                             # 1: old\n",
		"\non x86: errno(ENOSYS) clone3\n",
	} {
		if !strings.Contains(spaced(text), spaced(line)) {
			t.Errorf("it lacks %q:\n%s", line, text)
		}
	}
	p, err := lang.Load("x.gate", []byte(text), lang.Options{Native: abi.X86_64})
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	v, err := p.Verdict(verdict.NewSpace(verdict.DefaultBudget))
	if err != nil {
		t.Fatal(err)
	}
	if l, err := r.Lacking(v); err != nil || l.Kinds() != 0 {
		t.Errorf("%d kinds are lacking, %v", l.Kinds(), err)
	}
}

// spaced has one space where there are several.
func spaced(text string) string { return regexp.MustCompile(" +").ReplaceAllString(text, " ") }
