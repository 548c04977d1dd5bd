package lint_test

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/gate"
	"monban/lint"
	"monban/policy/lang"
	"monban/verdict"
)

// look finds what is wrong with a text.
func look(archs []abi.Arch) func([]byte) (*lint.Result, error) {
	return func(text []byte) (*lint.Result, error) {
		p, err := lang.Load("t.gate", text, lang.Options{Archs: archs})
		if err != nil {
			return nil, err
		}
		g := gate.OfPolicy("t.gate", p)
		g.Source = text
		return lint.Run(g, lint.Options{})
	}
}

// fix fixes a text.
func fix(t *testing.T, text string, archs []abi.Arch) (string, []lint.Fixed) {
	t.Helper()
	again := look(archs)
	r, err := again([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	left, done, err := lint.Fix(r, lint.Advice, again)
	if err != nil {
		t.Fatal(err)
	}
	return string(left.Gate.Source), done
}

// Each pitfall that has an edit is gone after it, the comments are there still, and only the calls that the findings
// name get other answers.
func TestFix(t *testing.T) {
	for _, c := range pitfalls {
		check, _ := lint.ByID(c.id)
		archs := c.archs
		if archs == nil {
			archs = []abi.Arch{abi.X86_64}
		}
		text := "# a comment\n" + withPitfall(c.bad) + " # another one\n"
		fixed, done := fix(t, text, archs)
		k := slices.IndexFunc(done, func(f lint.Fixed) bool { return f.ID == c.id })
		if (k >= 0) != check.Fixable() {
			t.Errorf("%s was fixed: %v; its check says %v", c.id, k >= 0, check.Fixable())
			continue
		}
		if k < 0 {
			continue
		}
		if r, err := look(archs)([]byte(fixed)); err != nil || slices.Contains(ids(r.Findings), c.id) {
			t.Errorf("%s is there still, %v, in\n%s", c.id, err, fixed)
		}
		if !strings.Contains(fixed, "# a comment\n") || !strings.Contains(fixed, "# another one\n") {
			t.Errorf("%s: comments are lost in\n%s", c.id, fixed)
		}
		if len(done[k].Edit.New)+len(done[k].Edit.Old) == 0 {
			t.Errorf("%s: nothing is said of the change", c.id)
		}
		var concerned []string
		for _, f := range done {
			concerned = append(concerned, f.Calls...)
		}
		if c.id == "MB001" || c.id == "MB014" { // these are about no call
			continue
		}
		space := verdict.NewSpace(verdict.DefaultBudget)
		meaning := func(text string) verdict.Verdict {
			p, err := lang.Load("t.gate", []byte(text), lang.Options{Archs: archs})
			if err != nil {
				t.Fatal(err)
			}
			v, err := p.Verdict(space)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		before, after := meaning(text), meaning(fixed)
		for _, a := range archs {
			for nr, name := range a.Calls() {
				x := before.On(a, bpf.KillProcess).Restrict(verdict.Nr, nr)
				y := after.On(a, bpf.KillProcess).Restrict(verdict.Nr, nr)
				if x.Node() != y.Node() && !slices.Contains(concerned, name) && c.id != "MB008" {
					t.Errorf("%s: %s means something else on %v now", c.id, name, a)
				}
			}
		}
	}
}

// Where in a text the changes go.
func TestEdits(t *testing.T) {
	const rest = "allow    exit_group rt_sigreturn restart_syscall read clock_gettime gettimeofday getcpu time\n"
	const head = "default  errno(ENOSYS)\n"
	for _, c := range []struct{ name, before, after string }{
		{"above the rules' comment", "# web.gate\n\ndefault  errno(EPERM)\n\n# the front end\n" + rest + "allow    clone(flags & CLONE_NEWUSER == 0) clone3 # threads\n",
			"# web.gate\n\ndefault  errno(EPERM)\n\nerrno(ENOSYS) clone3\n\n# the front end\n" + rest + "allow    clone(flags & CLONE_NEWUSER == 0)  # threads\n"},
		{"below the file's", "# web.gate\nallow clone(flags & CLONE_NEWUSER == 0) clone3 uretprobe uprobe\n" + rest, "# web.gate\nerrno(ENOSYS) clone3\nallow    clone(flags & CLONE_NEWUSER == 0) uretprobe uprobe\n" + rest},
		{"before an include", "include  @compute\nallow    init_module\n", "errno(ENOSYS) epoll_pwait2 faccessat2\ninclude  @compute\nallow    init_module\n"},
		{"an item of a line", head + rest + "allow    read write # log\n", head + rest + "allow    write  # log\n"},
		{"a line, and its comment stays", head + rest + "\nallow    read # log\nallow    write\n", head + rest + "\n# log\nallow    write\n"},
		{"a line without a comment", head + rest + "\nallow    read\nallow    write\n", head + rest + "\nallow    write\n"},
		{"optional stays with what it speaks of", head + rest + "allow    optional read write\n", head + rest + "allow    optional write\n"},
		{"two of a kind", head + rest + "allow    read\nallow    write\nallow    read\n", head + rest + "allow    write\n"},
		{"an action in a header and in rules", "default  kill_thread\n" + rest + "allow    write(fd == 1)\nkill_thread write mount\n", "default  kill_process\nallow    uretprobe uprobe\n" + rest + "allow    write(fd == 1)\n"},
		{"a header that is there", head + "unknown  errno(EPERM) # new ones\n" + rest, head + "unknown  errno(ENOSYS)  # new ones\n" + rest},
	} {
		got, _ := fix(t, c.before, []abi.Arch{abi.X86_64})
		if got != c.after {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, c.after)
		}
	}
}

// A change that breaks something else is not kept, and nothing is changed where only a person can tell.
func TestNotFixed(t *testing.T) {
	archs := []abi.Arch{abi.X86_64}
	again := look(archs)
	text := []byte(fine + "allow clone(flags & CLONE_NEWUSER == 0) clone3\n")
	r, err := again(text)
	if err != nil {
		t.Fatal(err)
	}
	for name, worse := range map[string]func([]byte) (*lint.Result, error){
		"an error":         func([]byte) (*lint.Result, error) { return nil, errors.New("broken") },
		"the same finding": func([]byte) (*lint.Result, error) { return r, nil },
		"another one": func(b []byte) (*lint.Result, error) {
			r, err := again(b)
			r.Findings = append(r.Findings, lint.Finding{Check: lint.Check{Severity: lint.High}, Title: "new"})
			return r, err
		},
	} {
		left, done, err := lint.Fix(r, lint.Advice, worse)
		if err != nil || len(done) != 0 || left != r {
			t.Errorf("%s: fixed %v, %v", name, done, err)
		}
	}
	if _, done, _ := lint.Fix(r, lint.High+1, again); len(done) != 0 {
		t.Errorf("what is not severe enough was fixed: %v", done)
	}
	for _, f := range r.Findings {
		if f.ID == "MB009" && (f.Edit("t.gate", []byte("allow (")) != nil || f.Edit("t.gate", text) == nil) {
			t.Error("an edit of a broken text, or none of a good one")
		}
	}
	// Only a part of what a group says changes nothing: it stays.
	got, done := fix(t, "default errno(ENOSYS)\nallow exit_group rt_sigreturn restart_syscall clock_gettime gettimeofday getcpu time read\nallow @basic-io\n", archs)
	if len(done) != 0 || !strings.Contains(got, "@basic-io") {
		t.Errorf("fixed %v:\n%s", done, got)
	}
	_, _, err = lint.Fix(&lint.Result{Gate: gate.OfPrograms("x.bpf", binary.LittleEndian)}, lint.Advice, again)
	if e, ok := errors.AsType[*lint.NoTextError](err); !ok || e.Error() != "x.bpf is not a policy's text that can be changed, but a BPF program" {
		t.Errorf("a program: %v", err)
	}
}

// What a change is: the rows between those that are the same.
func TestEdit(t *testing.T) {
	text := "default  errno(ENOSYS)\nallow    exit_group rt_sigreturn restart_syscall read clock_gettime gettimeofday getcpu time\nallow    read\nallow    write\n"
	r, err := look([]abi.Arch{abi.X86_64})([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Findings {
		if f.ID != "MB030" {
			continue
		}
		if e := f.Edit("t.gate", []byte(text)); e == nil || e.Row != 3 || !slices.Equal(e.Old, []string{"allow    read"}) || len(e.New) != 0 {
			t.Errorf("the change is %+v", e)
		}
		return
	}
	t.Errorf("found %v", ids(r.Findings))
}

// A change after which a comment at the end of a line would speak of the whole gate is not kept.
func TestFixLeavesIgnores(t *testing.T) {
	const text = "arch x86_64\ndefault errno(EPERM)\nallow ioctl exit exit_group rt_sigreturn restart_syscall\n" +
		"allow clone(flags & CLONE_NEWUSER == 0)\nallow clone3 # monban:ignore MB013 no terminal here\n"
	again := look([]abi.Arch{abi.X86_64})
	r, err := again([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	r.Gate.Format = "gate"
	before := len(r.Ignored)
	left, _, err := lint.Fix(r, lint.Advice, again)
	if err != nil {
		t.Fatal(err)
	}
	if len(left.Ignored) > before {
		t.Errorf("more is ignored than before in\n%s", left.Gate.Source)
	}
}
