package lang_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"monban/abi"
	"monban/bpf"
	"monban/internal/hostile"
	"monban/policy"
	"monban/policy/internal/random"
	"monban/policy/lang"
	"monban/verdict"
)

// sameTree compares trees without the places of what is in them.
var sameTree = cmp.Options{
	cmp.Exporter(func(reflect.Type) bool { return true }),
	cmp.Comparer(func(policy.Pos, policy.Pos) bool { return true }),
	cmp.Comparer(func(policy.Error, policy.Error) bool { return true }), // the end of the file may now be that of a line
	cmp.Comparer(func(a, b lang.Action) bool { return a.Action == b.Action && a.String() == b.String() }),
	cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".off" }, cmp.Ignore()),
}

// readBack checks that a tree prints as a text that has the same tree, and prints as itself.
func readBack(t *testing.T, f *lang.File) {
	t.Helper()
	text := f.String()
	g, _ := lang.Parse(f.Name, []byte(text))
	if diff := cmp.Diff(f, g, sameTree); diff != "" {
		t.Fatalf("%q is read back as another tree:\n%s", text, diff)
	}
	if again := g.String(); again != text {
		t.Fatalf("%q prints as %q", text, again)
	}
}

// odd are texts with what parsing could lose: comments, blank rows, spellings, line breaks, and lines that are wrong.
var odd = []string{
	"",
	"\n\n# one\n\n\n#two\n#\nallow read # three\nallow\twrite #\n\n",
	"kernel 6.12 # k\narch native compat x32\ndefault errno(0x26) # d\nunknown trap(0x1_0)\nbadarch trap\ninclude \"a b.gate\" @libc\n",
	"kernel \"6.12\"\narch \"x86_64\" x86\n",
	"on arm aarch64: allow optional cacheflush optional clone3 read(fd == 1) # c\n",
	"allow socket( # first\n\n\n  family in {AF_UNIX, # a\n# b\n 0x2,\n} && (type & 0xf == SOCK_STREAM\n || !(5 > protocol))\n) read # last\n",
	"allow read(~fd == -1 && u64(buf) | 7 != 0x10) any(nr in 3..9)",
	"allow read\nalow write # not a word\nerrno(EPERM) close",
	"allow socket(family == \n  AF_UNIX\n\n  type == 1)\nallow read",
	"allow read\ninclude \"never ends\nallow write = close\n$ % &\nallow read",
	"allow read(fd == 1\n\ndefault allow\n",
	"allow read\n\x00\xff allow\nallow write\n",
	"\ufeffallow read\r\nallow write # c\r\n",
	"badarch\n\nallow read\nerrno(\nallow write\ntrace(1\nallow close",
	strings.Repeat("x\n\n", 150) + "allow read\n",
}

func TestTree(t *testing.T) {
	texts := odd
	files, err := filepath.Glob("testdata/format/*")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(src))
	}
	r := rand.New(rand.NewPCG(4, 4))
	for range 50 {
		texts = append(texts, random.Source(r))
	}
	for _, text := range texts {
		f, _ := lang.Parse("t.gate", []byte(text))
		readBack(t, f)
	}
}

// FuzzTree: whatever is read, understood or not, is read back from what is printed.
func FuzzTree(f *testing.F) {
	for _, text := range odd {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		if len(src) > 10_000 {
			return
		}
		file, _ := lang.Parse("fuzz", src)
		readBack(t, file)
	})
}

// TestPartial: what is understood is there beside what is not, and each error has its span.
func TestPartial(t *testing.T) {
	const text = "allow read\nalow write # why\n\nallow socket(famly == 1,\n  7)\ninclude base\nerrno(EPREM) kill # c\nallow = close\nallow exit"
	f, err := lang.Parse("t.gate", []byte(text))
	var errs lang.Errors
	if !errors.As(err, &errs) {
		t.Fatalf("%T %v", err, err)
	}
	var got []string
	for _, l := range f.Lines {
		where := fmt.Sprintf("%d:%d-%d:%d", l.At().Start.Line, l.At().Start.Col, l.At().End.Line, l.At().End.Col)
		switch l := l.(type) {
		case *lang.Rules:
			got = append(got, where+" "+l.Items[0].Name)
		case *lang.Bad:
			got = append(got, where+" bad "+l.Text)
			if l.Err != errs[0] {
				t.Errorf("the line of %v comes when that of %v is due", l.Err, errs[0])
			}
			errs = errs[1:]
		default:
			t.Errorf("%T", l)
		}
	}
	want := []string{"1:1-1:11 read", "2:1-2:17 bad alow write # why", "4:1-5:5 bad allow socket(famly == 1,\n  7)", "6:1-6:13 bad include base",
		"7:1-7:22 bad errno(EPREM) kill # c", "8:1-8:14 bad allow = close", "9:1-9:11 exit"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	errors.As(err, &errs)
	var spans []string
	for _, e := range errs {
		spans = append(spans, fmt.Sprintf("%d:%d-%d %s", e.Pos.Line, e.Pos.Col, e.End.Col, e.Near))
	}
	if diff := cmp.Diff([]string{"2:1-5 allow", "4:24-25 ", "6:9-13 ", "7:7-12 EPERM", "8:7-8 "}, spans); diff != "" {
		t.Error(diff)
	}
	if p, err := f.Resolve(lang.Options{Archs: []abi.Arch{abi.X86_64}}); err == nil || !strings.HasPrefix(err.Error(), "t.gate:2:1: ") {
		t.Errorf("lines that are not understood are left out: %v %v", p, err)
	}
}

// TestNextLine: a line that ends too early does not take the next one with it.
func TestNextLine(t *testing.T) {
	for _, bad := range []string{"badarch", "default", "errno", "errno(", "errno(EPERM", "on", "on x86", "on x86:", "kernel", "allow", "allow optional", "include"} {
		f, err := lang.Parse("t.gate", []byte(bad+"\nallow read\n"))
		if err == nil || len(f.Lines) != 2 {
			t.Errorf("%q: %d lines, %v", bad, len(f.Lines), err)
			continue
		}
		if r, ok := f.Lines[1].(*lang.Rules); !ok || r.Items[0].Name != "read" {
			t.Errorf("%q: after it comes %T", bad, f.Lines[1])
		}
	}
}

// TestErrorsEnd: a file of mistakes is read to its end without as many errors, and ten are shown.
func TestErrorsEnd(t *testing.T) {
	f, err := lang.Parse("t.gate", []byte(strings.Repeat("alow read\n", 10_000)+"allow write\n"))
	var errs lang.Errors
	if !errors.As(err, &errs) || len(errs) != 100 || len(f.Lines) != 100 || strings.Count(err.Error(), "\n") != 9 || errors.Join(errs.Unwrap()...).Error() != err.Error() {
		t.Errorf("%d errors, %d lines, %.200v", len(errs), len(f.Lines), err)
	}
	if last, ok := f.Lines[99].(*lang.Bad); !ok || !strings.HasSuffix(last.Text, "\nallow write") {
		t.Errorf("the last line is %T", f.Lines[99])
	}
}

// TestEdit: what is changed is printed, what is not stays as it was written.
func TestEdit(t *testing.T) {
	const text = "# mine\n\n# and more\narch x86_64 # here\nerrno(0x26) ptrace # why\nallow read(fd == 0x1 # one\n)\non x86_64: allow write\n"
	f, err := lang.Parse("t.gate", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		edit func()
		want string
	}{
		{func() {}, "# mine\n\n# and more\narch     x86_64          # here\nerrno(0x26) ptrace       # why\nallow    read(fd == 0x1  # one\n)\non x86_64: allow write\n"},
		{func() { f.AddHeader(lang.Head("kernel", "6.12")) }, "# mine\n\n# and more\nkernel   6.12\narch     x86_64          # here\nerrno(0x26) ptrace       # why\nallow    read(fd == 0x1  # one\n)\non x86_64: allow write\n"},
		{func() { f.SpeakFor([]abi.Arch{abi.X86_64}, []abi.Arch{abi.X86, abi.X32}) }, "# mine\n\n# and more\nkernel   6.12\narch     x86_64 x86 x32          # here\non x86_64: errno(0x26) ptrace    # why\non x86_64: allow read(fd == 0x1  # one\n)\non x86_64: allow write\n"},
		{func() {
			for r := range f.Rules {
				r.Comment = ""
				if r.Items[0].Name == "read" {
					r.Items[0].Cond = lang.NewCondition(policy.Compare{X: policy.Operand{Name: "fd"}, Op: policy.LE, Y: policy.Num(2)})
				}
				if r.Do.Kind == bpf.Errno {
					r.Do.Data = 1
				}
			}
			f.Header("arch").Comment = "# there"
		}, "# mine\n\n# and more\nkernel   6.12\narch     x86_64 x86 x32  # there\non x86_64: errno(1) ptrace\non x86_64: allow read(fd <= 2)\non x86_64: allow write\n"},
		{func() {
			f.Lines = f.Lines[:2]
			f.Prepend(&lang.Comment{Text: lang.Remark("%s", "above\nallow all")})
			f.Section("what for", &lang.Rules{Do: lang.Act(policy.Action{Kind: bpf.Log}), Items: lang.Calls("open", "close"), Comment: lang.Remark("seen")})
			f.Note("the end")
		}, "# above\\nallow all\n\n# mine\n\n# and more\n\n# what for\nlog      open close  # seen\n# the end\n"},
	} {
		step.edit()
		if diff := cmp.Diff(step.want, f.String()); diff != "" {
			t.Fatalf("want (-), got (+):\n%s", diff)
		}
		readBack(t, f)
	}
}

// TestAddHeader: a header goes below the comments at the top, and above all else.
func TestAddHeader(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "kernel   6.12\n",
		"# only this\n":                      "# only this\nkernel   6.12\n",
		"allow read\n":                       "kernel   6.12\nallow    read\n",
		"# title\n\n# of read\n\nallow read": "# title\n\n# of read\n\nkernel   6.12\nallow    read\n",
		"allow read(fd\n# odd\n== 1)":        "kernel   6.12\nallow    read(fd\n# odd\n    == 1)\n",
	} {
		f, err := lang.Parse("t.gate", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		f.AddHeader(lang.Head("kernel", "6.12"))
		if got := f.String(); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
		readBack(t, f)
	}
}

// TestNew: a policy as a tree prints as a text that means the same, with the tree, however long its conditions are.
func TestNew(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	archs := []abi.Arch{abi.X86_64, abi.X86, abi.X32, abi.AArch64}
	check := func(src string) bool {
		p, err := load(src, archs...)
		if err != nil {
			return false
		}
		s := verdict.NewSpace(verdict.DefaultBudget)
		v, err := p.Verdict(s)
		if err != nil {
			t.Fatal(err)
		}
		f := lang.New(p)
		for row := range strings.Lines(f.String()) {
			if len(row) > 101 {
				t.Errorf("a row of %d characters: %s", len(row)-1, row)
			}
		}
		parsed, err := lang.Parse(f.Name, []byte(f.String()))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(f, parsed, sameTree); diff != "" {
			t.Fatalf("what is built is another tree than what is read:\n%s", diff)
		}
		for _, f := range []*lang.File{f, parsed} {
			q, err := f.Resolve(lang.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if w, err := q.Verdict(s); err != nil || w != v {
				t.Fatalf("%s\nbecomes\n%s\n%v", src, f, err)
			}
		}
		return true
	}
	done := 0
	for range 200 {
		if check(random.Source(r)) {
			done++
		}
	}
	if done < 50 {
		t.Errorf("only %d policies", done)
	}
	long := "allow ioctl(request in {0"
	for i := range 300 {
		long += fmt.Sprintf(", %d", 3*i+3)
	}
	if !check("compare 64\n" + long + "} && (fd == 1 || u64(arg2) & 0xff00000000 != 0x100000000 && !(arg2 in 10000000000..20000000000)))\nallow optional read optional cacheflush") {
		t.Error("a long condition is not read")
	}
}

// TestBuiltWrong: a tree that no text has is not a policy.
func TestBuiltWrong(t *testing.T) {
	allow := lang.Act(policy.Action{Kind: bpf.Allow})
	for _, l := range []lang.Line{
		&lang.Rules{Do: allow, Items: lang.Calls("read\nallow reboot")},
		&lang.Rules{Do: allow, Items: lang.Calls("read write")},
		&lang.Rules{Do: allow, Items: lang.Calls("@basic-io # x")},
		&lang.Rules{Do: allow, Items: lang.Calls("read"), On: []lang.Arg{{Text: "x86_64: kill_process reboot\non x86"}}},
		&lang.Rules{Do: lang.Act(policy.Action{Kind: bpf.Errno, Errno: "EPERM) reboot"}), Items: lang.Calls("read")},
		&lang.Rules{Do: allow, Items: []lang.Item{{Name: "read", Cond: lang.NewCondition(policy.Compare{X: policy.Operand{Name: "fd == 1) reboot any(nr"}, Y: policy.Num(1)})}}},
		&lang.Rules{Do: allow, Items: []lang.Item{{Name: "@basic-io", Cond: lang.NewCondition(policy.Compare{Y: policy.Num(1)})}}},
		&lang.Rules{Do: allow, Items: []lang.Item{{Name: "read", Cond: &lang.Condition{}}}},
		&lang.Rules{Do: allow, Items: lang.Calls("read"), On: []lang.Arg{{Text: "x86_64", Quoted: true}}},
		&lang.Rules{Do: allow},
		&lang.Rules{Do: lang.Act(policy.Action{Kind: bpf.Log, Data: 7}), Items: lang.Calls("read")},
		&lang.Rules{Do: lang.Act(policy.Action{Kind: 0x12345678}), Items: lang.Calls("read")},
		lang.Head("kernel", "6.12 # x"), lang.Head("kernel"), lang.Head("kernel", "6.12", "6.13"), lang.Head("arch"), lang.Head("arch", "x86_64 x86"), lang.Head("compare", "64 "),
		lang.Head("include", `@libc @strict`), lang.Head("incl", "x"), lang.Head("allow", "read"),
		&lang.Header{Word: "include", Args: []lang.Arg{{Text: "a\" @libc \"b", Quoted: true}}},
		&lang.Header{Word: "include", Args: []lang.Arg{{Text: "a\nb", Quoted: true}}},
		&lang.Header{Word: "default", Do: allow, Args: []lang.Arg{{Text: "x"}}},
		&lang.Bad{Text: "allow reboot"},
		nil,
	} {
		f := &lang.File{Name: "t.gate", Lines: []lang.Line{lang.HeadAction("default", policy.Action{Kind: bpf.Errno, Errno: "EPERM"}), l}}
		o := lang.Options{Archs: []abi.Arch{abi.X86_64}, ReadFile: func(string) ([]byte, error) { return []byte("allow read"), nil }}
		if p, err := f.Resolve(o); err == nil {
			t.Errorf("%#v is taken for\n%s", l, lang.Print(p))
		}
	}
	for _, name := range hostile.Names() {
		f := &lang.File{Name: "t.gate", Lines: []lang.Line{
			&lang.Comment{Text: name}, &lang.Rules{Do: allow, Items: lang.Calls("read"), Comment: name},
			&lang.Header{Word: "default", Do: allow, Comment: "#" + name}}}
		g, err := lang.Parse("t.gate", []byte(f.String()))
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		if lines := len(g.Lines); lines != 3 && name != "" {
			t.Errorf("%q makes %d lines of 3", name, lines)
		}
	}
}
