package lang_test

import (
	"fmt"
	"strings"
	"testing"

	"monban/abi"
	"monban/internal/hostile"
	"monban/internal/plain"
	"monban/policy"
	"monban/policy/lang"
)

func load(src string, archs ...abi.Arch) (*policy.Policy, error) {
	if archs == nil {
		archs = []abi.Arch{abi.X86_64}
	}
	return lang.Load("t.gate", []byte(src), lang.Options{Archs: archs, Native: archs[0]})
}

// Every mistake has a place and a mend.
func TestErrors(t *testing.T) {
	for _, c := range []struct{ src, want string }{
		{"alow read", "t.gate:1:1: unknown action or header alow (did you mean allow?)"},
		{"kill read", "t.gate:1:1: unknown action or header kill (did you mean kill_process? kill_thread leaves the other threads running)"},
		{"deny read", "t.gate:1:1: unknown action or header deny (did you mean errno(EPERM)?)"},
		{"allow raed", "t.gate:1:7: unknown system call raed (did you mean read?)"},
		{"allow", "t.gate:1:6: allow needs a system call or a group, found the end of the file"},
		{"allow read, write", "t.gate:1:11: calls are separated by spaces: leave out the comma"},
		{"allow @basic-oi", "t.gate:1:7: unknown group @basic-oi (did you mean @basic-io?)"},
		{"allow @libc", "t.gate:1:7: @libc is a preset, not a group: write include @libc"},
		{"errno read", "t.gate:1:7: errno needs a value: write errno(EPERM)"},
		{"errno(EPREM) read", "t.gate:1:7: unknown errno EPREM (did you mean EPERM?)"},
		{"errno(4096) read", "t.gate:1:7: errno(4096) is out of range: the kernel takes 0 to 4095"},
		{"trace(65536) read", "t.gate:1:7: trace(65536) is out of range: the kernel takes 0 to 65535"},
		{"allow socket(famly == AF_INET)", "t.gate:1:14: socket has no argument famly (did you mean family?)"},
		{"allow socket(family == AF_INTE)", "t.gate:1:24: unknown constant AF_INTE (did you mean AF_INET?)"},
		{"allow socket(family = AF_INET)", "t.gate:1:21: unexpected '=' (did you mean ==?)"},
		{"allow socket(family == 0x100000000)", "t.gate:1:14: 0x100000000 does not fit: family is 32 bits wide in socket (u64(family) looks at the whole register)"},
		{"allow socket(family)", "t.gate:1:20: expected a comparison (== != < <= > >= in), found ) (a value alone is not a condition: write != 0 after it)"},
		{"allow socket(1 == 2)", "t.gate:1:16: this compares two constants: one side must be an argument"},
		{"allow socket(family == type)", "t.gate:1:21: a filter can compare an argument with constants only, not with another argument"},
		{"allow socket(1 < family < 3)", "t.gate:1:25: comparisons do not chain: join them with &&"},
		{"allow socket(arg6 == 0)", "t.gate:1:14: arg6: a system call has arguments arg0 to arg5"},
		{"allow socket(family in {})", "t.gate:1:25: an empty set: nothing is in it"},
		{"allow socket(family in {5..2})", "t.gate:1:14: the range 5..2 is empty: its ends are the wrong way round"},
		{"allow socket(family == 1", "t.gate:1:25: expected ), found the end of the file"},
		{"allow socket(family == 99999999999999999999)", "t.gate:1:24: 99999999999999999999 is not a number that fits 64 bits"},
		{"allow socket()", "t.gate:1:14: empty condition: leave out the parentheses, or write one such as socket(arg0 == 0)"},
		{"allow @basic-io(fd == 1)", "t.gate:1:16: a condition belongs to one call, not to the group @basic-io"},
		{"allow any(family == 1)", "t.gate:1:11: any() has no argument family: write arg0 to arg5, nr or ip"},
		{"allow read(nr == 0)", "t.gate:1:12: read has no argument nr (it has fd, buf, count)"},
		{"allow cacheflush", "t.gate:1:7: cacheflush does not exist on x86_64, only on arm, m68k, mips, mipsel, …: write optional cacheflush to pass over it"},
		{"kernel soon", "t.gate:1:8: kernel soon is not a kernel version: write one such as 6.12"},
		{"arch", "t.gate:1:5: arch needs a value, such as: arch x86_64 aarch64"},
		{"arch x86_46", "t.gate:1:6: unknown architecture \"x86_46\" (did you mean x86_64?)"},
		{"default errno(EPERM)\ndefault allow", "t.gate:2:1: default allow contradicts default errno(EPERM) at t.gate:1:1: leave one of them out"},
		{"compare 32", "t.gate:1:9: compare 32: the one value is 64 (without the header, arguments are compared at their real width)"},
		{"include base", `t.gate:1:9: include takes a quoted path or a preset: write "base" or @base`},
		{`include "base.gate"`, `t.gate:1:9: "base.gate" cannot be included here: only presets can`},
		{"include @contaner", "t.gate:1:9: unknown preset @contaner (did you mean @container?)"},
		{"on: allow read", "t.gate:1:3: on needs architectures, such as: on arm aarch64: allow cacheflush"},
		{"allow read\x00", "t.gate:1:11: a byte 0x00 is not policy text: is this a .gate file?"},
		{`include "x`, `t.gate:1:9: this string does not end: write a closing "`},
		{"allow read(" + strings.Repeat("(", 300) + "fd==1", "t.gate:1:211: conditions nest more than 200 deep"},
		{"allow read(!(fd == 1) &&)", "t.gate:1:25: expected an argument or a constant, found )"},
		{"allow socket(family >= 0x80000000)", "t.gate:1:14: 0x80000000 is not a signed 32-bit number, and family is one in socket: write -2147483648, or u64(family) to compare unsigned"},
		{"allow socket(family in 0..0xffffffff)", "t.gate:1:14: 0xffffffff is not a signed 32-bit number, and family is one in socket: write -1, or u64(family) to compare unsigned"},
		{"allow socket(family & 0x100000000 == 0)", "t.gate:1:14: 0x100000000 does not fit: family is 32 bits wide in socket (u64(family) looks at the whole register)"},
		{"allow socket(family ^ 0x100000000 == 2)", "t.gate:1:14: 0x100000000 does not fit: family is 32 bits wide in socket (u64(family) looks at the whole register)"},
		{"allow read # x\rkill_process read\n", "t.gate:1:12: a carriage return inside this comment: some editors end the line there, Monban does not (take it out)"},
		{"allow read\rkill_process write\n", "t.gate:1:11: a carriage return inside a line: some editors end a line here, Monban does not (take it out)"},
		{"allow read(fd == 1" + strings.Repeat("|1", 2000) + ")", "t.gate:1:2019: more than 1000 bit operations on one line"},
		{"default allow allow", "t.gate:1:15: unexpected allow at the end of a default line"},
	} {
		_, err := load(c.src)
		if err == nil {
			t.Errorf("%.60q: no error, want %s", c.src, c.want)
		} else if err.Error() != c.want {
			t.Errorf("%.60q:\n got %s\nwant %s", c.src, err, c.want)
		}
	}
}

// A constant whose value an architecture does not tell is an error there, not a guess.
func TestConstantUnknownOnArch(t *testing.T) {
	_, err := load("arch x86_64 m68k\nallow prctl(option == PR_SET_MDWE_NOT_A_NAME)", abi.X86_64, abi.M68K)
	if err == nil || !strings.Contains(err.Error(), "unknown constant") {
		t.Error(err)
	}
}

// What is long but harmless is read in little time: lines, and files that are included again and again.
func TestLongInputs(t *testing.T) {
	if _, err := load("allow" + strings.Repeat(" read", 90_000)); err != nil {
		t.Error(err)
	}
	if _, err := load("\xef\xbb\xbfallow read\r\nallow write\r\n"); err != nil {
		t.Error("a byte order mark and CRLF:", err)
	}
	if _, err := load("allow" + strings.Repeat(" @known", 400)); err == nil || !strings.HasSuffix(err.Error(), ": the policy has more than 100000 rules") {
		t.Errorf("groups without end: %v", err)
	}
	files := map[string]string{}
	for i := range 7 {
		files[fmt.Sprint(i)] = strings.Repeat(fmt.Sprintf("include \"%d\"\n", i+1), 10)
	}
	files["7"] = "allow read\n"
	_, err := lang.Load("0", []byte(files["0"]), lang.Options{ReadFile: func(name string) ([]byte, error) { return []byte(files[name]), nil }})
	if err == nil || !strings.Contains(err.Error(), "more than 256 files are included") || strings.Contains(err.Error(), "\n") {
		t.Errorf("an include bomb: %.200v", err)
	}
}

func TestManyErrorsAreCapped(t *testing.T) {
	_, err := load(strings.Repeat("alow read\n", 50))
	if n := strings.Count(err.Error(), "\n") + 1; n != 10 {
		t.Errorf("%d errors reported", n)
	}
}

func TestIncludes(t *testing.T) {
	files := map[string]string{
		"dir/main.gate":     "include \"sub/base.gate\"\nallow write\n",
		"dir/sub/base.gate": "default errno(EACCES)\ninclude \"leaf.gate\"\n",
		"dir/sub/leaf.gate": "compare 64\nallow read(fd == 0)\n",
		"loop.gate":         "include \"loop.gate\"\n",
		"clash.gate":        "default allow\ninclude \"dir/sub/base.gate\"\n",
	}
	read := func(name string) ([]byte, error) {
		if s, ok := files[name]; ok {
			return []byte(s), nil
		}
		return nil, errNoFile
	}
	native := abi.X86_64
	get := func(name string) (*policy.Policy, error) {
		return lang.Load(name, []byte(files[name]), lang.Options{Native: native, ReadFile: read})
	}
	p, err := get("dir/main.gate")
	if err != nil {
		t.Fatal(err)
	}
	if p.Default.String() != "errno(EACCES)" || len(p.Rules) != 2 || p.Rules[0].String() != "allow read(u64(fd) == 0)" {
		t.Errorf("got\n%s", lang.Print(p))
	}
	if _, err := get("loop.gate"); err == nil || err.Error() != "loop.gate:1:9: loop.gate includes itself: loop.gate -> loop.gate" {
		t.Error(err)
	}
	if _, err := get("clash.gate"); err == nil || !strings.Contains(err.Error(), "default errno(EACCES) contradicts default allow at clash.gate:1:1") {
		t.Error(err)
	}
}

var errNoFile = &policy.Error{Msg: "no such file"}

// A name that nobody can see for what it is, is refused; the error shows it.
func TestHostileStrings(t *testing.T) {
	for _, name := range hostile.Names() {
		if strings.ContainsAny(name, "\"\n") || plain.Text(name) == name {
			continue
		}
		_, err := lang.Parse("x.gate", []byte("include \""+name+"\"\n"))
		if err == nil {
			t.Errorf("%q is taken", name)
		}
	}
	for _, name := range hostile.Innocent {
		if _, err := lang.Parse("x.gate", []byte("include \""+name+"\"\n")); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestNothing: a text without a line in force is not a gate that kills all; what is included may be one.
func TestNothing(t *testing.T) {
	for _, src := range []string{"", "\n\n", "# read\n", "#define A 1\n\t# b", "\ufeff"} {
		_, err := lang.Load("x.gate", []byte(src), lang.Options{})
		if want := "x.gate: nothing is in it except comments and blank lines: a gate says at least what its default is"; err == nil || err.Error() != want {
			t.Errorf("%q: %v", src, err)
		}
	}
	o := lang.Options{ReadFile: func(string) ([]byte, error) { return []byte("# nothing yet\n"), nil }}
	if _, err := lang.Load("x.gate", []byte("default errno(EPERM)\ninclude \"y.gate\"\n"), o); err != nil {
		t.Error(err)
	}
}

// TestTokens: a text of signs is refused before all of them are in memory.
func TestTokens(t *testing.T) {
	for _, sign := range []string{"1|", "\"\"", "\n", "("} {
		_, err := lang.Parse("x.gate", []byte(strings.Repeat(sign, 4<<20/len(sign))))
		if err == nil || !strings.HasSuffix(err.Error(), ": more than 1048576 words and signs: that is not a gate") {
			t.Errorf("%q: %.200v", sign, err)
		}
	}
}
