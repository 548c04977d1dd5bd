package source_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/format"
	"monban/format/codec"
	"monban/format/source"
	"monban/gate"
	"monban/policy/lang"
)

func read(text, part string) (*gate.Gate, error) {
	return source.C().Read(&codec.Input{Name: "t.c", Part: part, Src: []byte(text), Options: codec.Options{Native: abi.X86_64}})
}

var want = bpf.Program{
	{Code: 0x20, K: 4}, {Code: 0x15, Jt: 1, K: 0xc000003e}, {Code: 6, K: 0x80000000}, {Code: 0x20},
	{Code: 0x15, Jf: 1, K: 41}, {Code: 6, K: 0x5000d}, {Code: 6, K: 0x7fff0000},
}

func TestRead(t *testing.T) {
	for name, text := range map[string]string{
		"macros": `#include <x.h>
#define A \
  { 1 }
static int other[] = { 1, 2 };
/* the filter */ struct sock_filter f[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)), // arch
	BPF_JUMP(BPF_JMP+BPF_JEQ+BPF_K, AUDIT_ARCH_X86_64, 1, 0),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (offsetof(struct seccomp_data, nr))),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_socket, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (EACCES & SECCOMP_RET_DATA)),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};
struct sock_fprog prog = { .len = 7, .filter = f };`,
		"plain":    "struct sock_filter f[7] = {{0x20,0,0,4},{0x15,1,0,0xc000003eU},{6,0,0,0x80000000},{32,0,0,0},{21,0,1,41},{6,0,0,0x5000d},{6,0,0,0x7fff0000}};",
		"named":    "struct sock_filter f[] = {{.code=0x20,.k=4},{.code=0x15,.jt=1,.k=0xc000003e},{.k=1u<<31,.code=6},{.code=32},{.code=21,.jf=1,.k=41},{6,0,0,0x5000d},{6,.k=0x7fff0000}};",
		"tcpdump":  "{ 0x20, 0, 0, 0x4 },\n{ 0x15, 1, 0, 0xc000003e },\n{ 0x6, 0, 0, 0x80000000 },\n{ 0x20, 0, 0, 0x0 },\n{ 0x15, 0, 1, 0x29 },\n{ 0x6, 0, 0, 0x5000d },\n{ 0x6, 0, 0, 0x7fff0000 },\n",
		"go":       "package x\nimport \"golang.org/x/sys/unix\"\nvar f = []unix.SockFilter{\n{Code: 0x20, K: 4}, {Code: unix.BPF_JMP|unix.BPF_JEQ, Jt: 1, K: 0xc000003e}, {Code: 6, K: 0x80000000}, {Code: 0x20}, {Code: 0x15, Jf: 1, K: unix.SYS_SOCKET}, {Code: 6, K: 0x5000d}, {Code: 6, K: 0x7fff0000},\n}\nfunc g() { x := 1 }",
		"x/net":    "f := []bpf.RawInstruction{{Op: 0x20, K: 4}, {0x15, 1, 0, 0xc000003e}, {Op: 6, K: 0x80000000}, bpf.RawInstruction{Op: 0x20}, {Op: 0x15, Jf: 1, K: 41}, {Op: 6, K: 0x5000d}, {Op: 6, K: 0x7fff0000}}",
		"bytes":    "unsigned char f[] = {32,0,0,0,4,0,0,0, 21,0,1,0,62,0,0,0xc0, 6,0,0,0,0,0,0,0x80, 32,0,0,0,0,0,0,0, 21,0,0,1,41,0,0,0, 6,0,0,0,13,0,5,0, 6,0,0,0,0,0,0xff,0x7f};",
		"literals": "struct sock_filter f[] = {(struct sock_filter){0x20,0,0,4},{0x15,1,0,0xc000003e},{6,0,0,0x80000000},{32,0,0,0},{21,0,1,41},{6,0,0,0x5000d},{6,0,0,0x7fff0000},};",
	} {
		p, err := read(text, "")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := p.Programs[0]; len(got) != len(want) {
			t.Errorf("%s: %v", name, got)
		} else {
			for i := range want {
				if got[i] != want[i] {
					t.Errorf("%s: instruction %d is %+v, want %+v", name, i, got[i], want[i])
				}
			}
		}
	}
	const two = "struct sock_filter a[] = {{6,0,0,0}}; struct sock_filter b[] = {{6,0,0,0x7fff0000}};"
	if p, err := read(two, "b"); err != nil || p.Programs[0][0].K != 0x7fff0000 {
		t.Errorf("b of two: %v", err)
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct{ text, part, want string }{
		{"int x;", "", "t.c: no filter is in this source: an array of struct sock_filter, of Go's bpf.RawInstruction, or of bytes"},
		{"struct sock_filter a[] = {{6,0,0,0}}; struct sock_filter b[] = {{6,0,0,0}};", "", "t.c:1:64: several filters: say which, t.c#a or #b"},
		{"struct sock_filter a[] = {{6,0,0,0}};", "c", "t.c: no filter is called c (there are a)"},
		{strings.Repeat("struct sock_filter a[] = {{6,0,0,0}};", 50), "", "t.c:1:63: several filters: say which, t.c#a" + strings.Repeat(" or #a", 15) + " … and 34 more"},
		{strings.Repeat("struct sock_filter a[] = {{6,0,0,0}};", 50), "b", "t.c: no filter is called b (there are a" + strings.Repeat(", a", 15) + " … and 34 more)"},
		{"struct sock_filter a[] = {{6,0,0,FOO}};", "", "t.c:1:34: unknown constant FOO (only names of the kernel's headers are known: write its value)"},
		{"struct sock_filter a[] = {{6,0,0,0,1}};", "", "t.c:1:36: an instruction has four fields: code, jt, jf and k"},
		{"struct sock_filter a[] = {{6,256,0,0}};", "", "t.c:1:27: 0x100 does not fit the field jt of an instruction"},
		{"struct sock_filter a[] = {{6,0,0,0},", "", `t.c:1:37: the source ends where "{" is expected (is it truncated?)`},
		{"struct sock_filter a[] = {{6,0,0,", "", "t.c:1:34: the source ends where a value is expected (is it truncated?)"},
		{"struct sock_filter a[] = {BPF_STMT(6)};", "", "t.c:1:27: BPF_STMT takes 2 values, not 1"},
		{"struct sock_filter a[] = {FOO(6)};", "", `t.c:1:30: expected "{", not "("`},
		{"struct sock_filter a[] = {{7,0,0,0}};", "", "t.c:1:26: the kernel does not admit this program: "},
		{"struct sock_filter a[] = {};", "", "t.c:1:26: the kernel does not admit this program: "},
		{"/* x", "", "t.c:1:1: the comment does not end (is the file truncated?)"},
		{"var f = []bpf.RawInstruction{{Op: 6, K: 1 << 10000000000}}", "", "t.c:1:43: the result of << does not fit 64 bits"},
		{"struct sock_filter a[] = {{6,0,0,3 << 63}};", "", "t.c:1:36: the result of << does not fit 64 bits"},
		{"struct sock_filter a[] = {{6,0,0,0x100000000 * 0x100000000}};", "", "t.c:1:46: the result of * does not fit 64 bits"},
		{"struct sock_filter a[] = {{6,0,0,~0 + 0xffffffffffffffff}};", "", "t.c:1:37: the result of + does not fit 64 bits"},
		{"struct sock_filter a[] = {{6,0,0,1 - 2 + 1}};", "", "t.c:1:36: the result of - does not fit 64 bits, or is negative"},
		{strings.Repeat("1|", 1<<20), "", "t.c:1:1048577: more than 1048576 words and signs: that is not a gate"},
		{`"x`, "", "t.c:1:1: the string does not end (is the file truncated?)"},
		{"char a[] = {1,2,300};", "", "t.c:1:17: 0x12c is not a byte"},
		{"struct sock_filter a[] = {{6,0,0," + strings.Repeat("(", 1000), "", "t.c:1:134: an expression nested more than 100 deep"},
		{"struct sock_filter a[] = {BPF_STMT(0x20, offsetof(struct seccomp_data, x))};", "", `t.c:1:72: struct seccomp_data has no field "x" (nr, arch, instruction_pointer, args)`},
		{"struct sock_filter a[] = {{6,0,0,__NR_mmap2}};", "", "t.c:1:34: x86_64 has no system call mmap2 (is the source for another architecture?)"},
	} {
		if _, err := read(c.text, c.part); err == nil || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.60q:\n got  %v\n want %s", c.text, err, c.want)
		}
	}
}

// written is a gate in source code.
func written(t *testing.T, to codec.Format) string {
	t.Helper()
	native := abi.Native()
	p, err := lang.Load("dir/quiet.gate", []byte("default allow\nerrno(ETXTBSY) mkdirat optional mkdir\n"), lang.Options{Native: native})
	if err != nil {
		t.Fatal(err)
	}
	text, err := format.Write(gate.OfPolicy("dir/quiet.gate", p), to, "", format.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return string(text.Bytes)
}

// TestC compiles what is written and calls what it forbids.
func TestC(t *testing.T) {
	text := written(t, source.C())
	gcc, err := exec.LookPath("gcc")
	if err != nil || runtime.GOOS != "linux" {
		t.Skip("needs gcc on Linux")
	}
	t.Chdir(t.TempDir())
	main := text + `
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
int main(void)
{
	if (quiet_load())
		return 1;
	printf("%d\n", mkdir("x", 0777) < 0 && errno == ETXTBSY);
	return 0;
}
`
	if err := os.WriteFile("main.c", []byte(main), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(gcc, "-std=c99", "-Wall", "-Wextra", "-Werror", "-o", "main", "main.c").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := exec.Command("./main").CombinedOutput(); err != nil || string(out) != "1\n" {
		t.Errorf("%v: %s", err, out)
	}
}

// TestGo runs what is written, as a package of this module, whose dependency it has.
func TestGo(t *testing.T) {
	text := written(t, source.Go())
	if runtime.GOOS != "linux" {
		t.Skip("needs Linux")
	}
	dir, err := os.MkdirTemp(".", "testdata-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	main := strings.Replace(text, "package quiet", "package main", 1) + `
func main() {
	if err := Enforce(); err != nil {
		panic(err)
	}
	println(unix.Mkdirat(unix.AT_FDCWD, "x", 0o777) == unix.ETXTBSY)
}
`
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(main), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "run", "./"+dir)
	cmd.Env = append(os.Environ(), "GOFLAGS=") // a -v there would print the package's name
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "true\n" {
		t.Errorf("%v: %s", err, out)
	}
}

func FuzzRead(f *testing.F) {
	f.Add("struct sock_filter a[] = {BPF_STMT(BPF_RET|BPF_K, SECCOMP_RET_ALLOW), {.code = 6, .k = ~0 & 5}};")
	f.Add("{ 0x6, 0, 0, 0x0 },")
	f.Add("f := []bpf.RawInstruction{{Op: 6}}; unsigned char b[] = {6,0,0,0,0,0,0,0};")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := read(text, "")
		if err == nil {
			err = p.Programs[0].Check()
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("more than a line: %v", err)
		}
	})
}
