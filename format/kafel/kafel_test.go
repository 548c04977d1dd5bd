package kafel

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"monban/abi"
	"monban/bpf"
	"monban/format/codec"
	"monban/policy"
)

var beside = map[string]string{
	"lib.policy":  "POLICY lib { ALLOW { read } }",
	"loop.policy": `#include "loop.policy"` + "\n",
}

func load(src string) (*policy.Policy, error) {
	in := &codec.Input{Name: "f", Src: []byte(src), Options: codec.Options{Native: abi.X86_64}}
	in.ReadFile = func(name string) ([]byte, error) {
		if text, ok := beside[name]; ok {
			return []byte(text), nil
		}
		return nil, errors.New("there is no such file")
	}
	parsed, err := Format().Read(in)
	if err != nil {
		return nil, err
	}
	return parsed.Policy, nil
}

func nr(name string) uint32 {
	n, _ := abi.X86_64.Number(name)
	return n
}

type vector struct {
	nr   uint32
	args [6]uint64
	want bpf.Action
}

func check(t *testing.T, name, src string, vectors []vector) {
	t.Helper()
	p, err := load(src)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	for _, v := range vectors {
		got, err := p.Decide(&bpf.Data{Arch: abi.X86_64.Token(), Nr: v.nr, Args: v.args})
		if err != nil || got.Action != v.want {
			t.Errorf("%s: %d %x: %s, want %s (%v)", name, v.nr, v.args, got.Action, v.want, err)
		}
	}
}

type args = [6]uint64

const (
	yes  = bpf.Allow
	no   = bpf.KillThread
	long = 0xc267df278caf1f35
)

func TestSamples(t *testing.T) {
	dir := os.Getenv("MONBAN_CORPUS")
	if dir == "" {
		t.Skip("needs MONBAN_CORPUS, the directory with other projects' data")
	}
	w, r := nr("write"), nr("read")
	basic := []vector{{w, args{1, 9, 3}, yes}, {w, args{2, 0, 9}, yes}, {w, args{1, 9, 4}, no}, {w, args{3, 0, 0}, no}, {w, args{1<<32 | 1}, no}, {r, args{1}, no}}
	custom := []vector{{0xffffffff, args{1, 2}, yes}, {0xffffffff, args{1, 3}, no}, {1, args{1, 2}, no}}
	samples := map[string][]vector{
		"and_eq_long":             {{w, args{0, long}, yes}, {w, args{0, ^uint64(0)}, yes}, {w, args{0, long &^ 1}, no}, {w, args{0, long &^ (1 << 63)}, no}},
		"and_eq_long_set":         {{w, args{0, 0x0e0e0e0e0e0e0e0e}, yes}, {w, args{0, 1}, no}, {w, args{0, 1 << 63}, no}},
		"and_eq_short_bottom":     {{w, args{0, 0xf1}, yes}, {w, args{0, 1<<40 | 0xff}, yes}, {w, args{0, 0xf0}, no}},
		"and_eq_short_bottom_set": {{w, args{0x0e}, yes}, {w, args{1 << 32}, yes}, {w, args{0x10}, no}},
		"and_eq_short_top":        {{w, args{0, 0xf1f1f1f100000000}, yes}, {w, args{0, 0xf1f1f1f1}, no}, {w, args{0, 0xf1f1f1f000000000}, no}},
		"and_eq_short_top_set":    {{w, args{0xffffffff}, yes}, {w, args{1 << 32}, no}},
		"basic":                   basic,
		"constants":               basic,
		"basic_many":              {{w, args{}, yes}, {r, args{}, yes}, {nr("lseek"), args{}, yes}, {nr("open"), args{}, yes}, {nr("ptrace"), args{}, bpf.Errno | 5}, {nr("close"), args{}, no}},
		"composition":             {{w, args{1}, yes}, {w, args{2}, yes}, {w, args{0}, no}, {r, args{0}, yes}, {r, args{1}, no}},
		"custom_syscall":          custom,
		"custom_syscall_const":    custom,
		"empty":                   {{w, args{}, no}, {abi.X32Bit, args{}, no}},
		"empty_not_kill":          {{w, args{}, yes}, {abi.X32Bit, args{}, yes}, {9999, args{}, yes}},
		"ftrace":                  {{w, args{1, 1, 10}, yes}, {w, args{1<<32 | 2, 1, 10}, yes}, {w, args{3, 0, 10}, yes}, {w, args{3, 1, 9}, yes}, {w, args{3, 1 << 32, 10}, no}},
		"kill_all":                {{w, args{}, no}, {r, args{}, no}, {nr("close"), args{}, no}},
		"or_flags":                {{nr("open"), args{0, 66}, yes}, {nr("open"), args{0, 65}, yes}, {nr("open"), args{0, 1<<32 | 65}, yes}, {nr("open"), args{0, 64}, no}},
	}
	refused := map[string]bool{ // they compare arguments with each other, which no meaning can hold
		"and_cmp_var": true, "and_eq_var_long": true, "and_eq_var_long_set": true, "and_eq_var_short_bottom": true,
		"and_eq_var_short_top": true, "var_cmp": true,
	}
	files, err := filepath.Glob(filepath.Join(dir, "kafel", "sample_*.policy"))
	if err != nil || len(files) != len(samples)+len(refused) {
		t.Fatalf("%d samples, %v", len(files), err)
	}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !Format().Sniff(src) {
			t.Errorf("%s is not recognised", file)
		}
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "sample_"), ".policy")
		if !refused[name] {
			check(t, name, string(src), samples[name])
		} else if _, err := load(string(src)); err == nil || !strings.Contains(err.Error(), "two arguments") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What Kafel's documents say beside its samples.
func TestMeaning(t *testing.T) {
	w, r, f := nr("write"), nr("read"), nr("fcntl")
	for src, vectors := range map[string][]vector{
		"ALLOW { exit, read }, DENY { read, write } DEFAULT LOG":                             {{r, args{}, yes}, {w, args{}, no}, {2, args{}, bpf.Log}},
		"ALLOW { read { fd == 0 && count == 0 } } ERRNO(1) { read { count == 0 } }":          {{r, args{}, yes}, {r, args{5}, bpf.Errno | 1}, {r, args{5, 0, 1}, no}},
		"ALLOW { read { count | 8 | count == 8 } }":                                          {{r, args{}, yes}, {r, args{0, 0, 8}, yes}, {r, args{0, 0, 1}, no}},
		"ALLOW { fcntl { fd == 0x1234 } }":                                                   {{f, args{0x100001234}, yes}, {f, args{0x1235}, no}},
		"ALLOW { fcntl { fd == 0x100001234 } }":                                              {{f, args{0x100001234}, yes}, {f, args{0x1234}, no}},
		"ALLOW { fcntl { 0x100001234 == 0x1234 } }":                                          {{f, args{}, no}},
		"ALLOW { fcntl { 5 < fd } }":                                                         {{f, args{6}, yes}, {f, args{5}, no}},
		"ERRNO(1) { read { !(fd == 5 && count == 0) } }":                                     {{r, args{4}, bpf.Errno | 1}, {r, args{5}, no}},
		"ALLOW { read { fd == fd, count != count } }":                                        {{r, args{7}, yes}},
		"KILL_PROCESS { read } TRAP(2) { write } TRACE(3) { close } USER_NOTIF { fcntl }":    {{r, args{}, bpf.KillProcess}, {w, args{}, bpf.Trap | 2}, {3, args{}, bpf.Trace | 3}, {f, args{}, bpf.Notify}},
		"#include \"lib.policy\"\nUSE lib DEFAULT ERRNO(1)":                                  {{r, args{}, yes}, {w, args{}, bpf.Errno | 1}},
		"#define N 0x10 /* no */ // 1\nALLOW { read { count == N }, write ON arm, newstat }": {{r, args{0, 0, 16}, yes}, {w, args{}, no}, {nr("stat"), args{}, yes}},
		"ALLOW { SYSCALL[1073741825] }":                                                      {{abi.X32Bit | 1, args{}, yes}, {abi.X32Bit, args{}, no}, {1, args{}, no}},
	} {
		check(t, src, src, vectors)
	}
}

var wrong = []struct{ src, want string }{
	{"POLICY a {", "f:1:11: expected an action such as ALLOW, not the end of the file"},
	{"POLICY a {} POLICY a {}", "f:1:20: policy a is defined twice (remove one)"},
	{"POLICY ab {} USE ac", "f:1:18: there is no policy ac before this place"},
	{"ALOW { read }", "f:1:1: expected an action such as ALLOW, not ALOW (did you mean ALLOW?)"},
	{"ALLOW { raed }", "f:1:9: x86_64 has no system call raed (did you mean read?)"},
	{"ALLOW { write { cuont == 1 } }", "f:1:17: unknown argument or constant cuont (did you mean count?)"},
	{"ALLOW { write(a, a) }", "f:1:18: argument a is named twice"},
	{"ALLOW { write(a, b, c, d, e, g, h) }", "f:1:33: a system call has six arguments at most"},
	{"ERRNO(65536) { read }", "f:1:7: 65536 is out of range (0 to 65535)"},
	{"ALLOW { read { fd == 0x10000000000000000 } }", "f:1:22: 0x10000000000000000 is not a 64-bit number"},
	{"ALLOW { read { fd } }", "f:1:19: expected a comparison such as ==, not }"},
	{"/* x", "f:1:1: the comment does not end (add */)"},
	{"ALLOW { read } $", "f:1:16: unexpected '$' (remove it)"},
	{"#define a 1\n#define a 2", "f:2:9: constant a is defined twice"},
	{"DEFAULT KILL DEFAULT ALLOW", "f:1:14: a second default action (keep one)"},
	{"#include \"none\"\n", "f:1:10: cannot include none: there is no such file (f -> none)"},
	{"#include \"loop.policy\"\n", "loop.policy:1:10: an include loop: f -> loop.policy -> loop.policy"},
	{"ALLOW { read { " + strings.Repeat("(", 5000), "f:1:216: more than 200 parentheses"},
	{"ALLOW { read { fd & count == 0 } }", "f:1:21: two arguments in one comparison"},
}

func TestErrors(t *testing.T) {
	for _, c := range wrong {
		_, err := load(c.src)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.60s: %v\nwant %s", c.src, err, c.want)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, c := range wrong {
		f.Add(c.src)
	}
	f.Add("#define N 0x10\nPOLICY a { ALLOW { write(a, b) { (a & 3) == N || !(b | 1 > 2), a < 0b11 } } } USE a DEFAULT ERRNO(5)")
	f.Fuzz(func(t *testing.T, src string) {
		if p, err := load(src); err == nil {
			if _, err := p.Decide(&bpf.Data{Arch: abi.X86_64.Token(), Nr: 1}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestLookAhead: parentheses in one another, and what stands behind them, are looked at once, not once for each of
// them.
func TestLookAhead(t *testing.T) {
	wide := strings.Repeat("(", maxDepth) + strings.Repeat("1 | ", 1<<19)
	for name, src := range map[string]string{
		"deep":     "ALLOW { read { " + strings.Repeat("(", 1<<21) + " } }",
		"wide":     "ALLOW { read { " + wide + " } }",
		"siblings": "ALLOW { read { (" + strings.Repeat("(1) | ", 1<<18) + "1) == 1 } }",
	} {
		before := time.Now()
		if _, err := load(src); err == nil || !strings.Contains(err.Error(), "parentheses or operators in one another") {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(before); took > 5*time.Second {
			t.Errorf("%s: %v", name, took)
		}
	}
	check(t, "nested", `ALLOW { write(fd, buf, count) { ((fd & (1 | 2)) == 2 && ((count)) < (8 | (1))) || (((fd)) == 7) } } DEFAULT KILL`, []vector{
		{nr("write"), [6]uint64{2, 0, 8}, bpf.Allow}, {nr("write"), [6]uint64{2, 0, 9}, bpf.KillThread},
		{nr("write"), [6]uint64{7, 0, 9}, bpf.Allow}, {nr("write"), [6]uint64{1, 0, 0}, bpf.KillThread},
	})
}
