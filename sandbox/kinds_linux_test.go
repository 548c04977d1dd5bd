//go:build linux && (amd64 || arm64)

package sandbox

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"monban/bpf"
)

// What most gates here deny: all that the installation itself uses, in both calling conventions.
var noInstall = gate(
	answer{nativeArch, unix.SYS_EXECVE, bpf.KillProcess},
	answer{nativeArch, unix.SYS_SECCOMP, bpf.KillProcess},
	answer{nativeArch, unix.SYS_PRCTL, bpf.Errno | 1}, // the Go runtime names its memory with it
	answer{nativeArch, unix.SYS_PTRACE, bpf.KillProcess},
	answer{unix.AUDIT_ARCH_I386, 11, bpf.KillProcess},
	answer{unix.AUDIT_ARCH_I386, 354, bpf.KillProcess},
	answer{unix.AUDIT_ARCH_I386, 172, bpf.KillProcess},
	answer{unix.AUDIT_ARCH_I386, 26, bpf.KillProcess},
)

func TestKindsOfPrograms(t *testing.T) {
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho hello\nprintf '%s\\n' \"$@\"\nexit 7\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	goHello := func(t *testing.T) string {
		dir := t.TempDir()
		src := filepath.Join(dir, "main.go")
		code := "package main\nimport (\"fmt\"; \"os\")\nfunc main() { fmt.Println(\"hello\"); for _, a := range os.Args[1:] { fmt.Println(a) }; os.Exit(7) }\n"
		if err := os.WriteFile(src, []byte(code), 0o644); err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(dir, "hello")
		if _, err := exec.LookPath("go"); err != nil {
			t.Skip("needs go")
		}
		cmd := exec.Command("go", "build", "-o", out, src)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		// The ordinary user must get there.
		for d := dir; strings.HasPrefix(d, os.TempDir()+"/"); d = filepath.Dir(d) {
			os.Chmod(d, 0o755)
		}
		return out
	}
	for d := filepath.Dir(script); strings.HasPrefix(d, os.TempDir()+"/"); d = filepath.Dir(d) {
		os.Chmod(d, 0o755)
	}
	for name, path := range map[string]func(t *testing.T) string{
		"dynamic PIE": func(t *testing.T) string { return build(t, "gcc", "hello") },
		"dynamic":     func(t *testing.T) string { return build(t, "gcc", "hello", "-no-pie") },
		"static":      func(t *testing.T) string { return build(t, "gcc", "hello", "-static") },
		"static-pie":  func(t *testing.T) string { return build(t, "gcc", "hello", "-static-pie") },
		"musl":        func(t *testing.T) string { return build(t, "musl-gcc", "hello") },
		"musl static": func(t *testing.T) string { return build(t, "musl-gcc", "hello", "-static") },
		"i386":        func(t *testing.T) string { return build(t, "gcc", "hello", "-m32") },
		"i386 static": func(t *testing.T) string { return build(t, "gcc", "hello", "-m32", "-static") },
		"script":      func(*testing.T) string { return script },
		"Go":          goHello,
	} {
		t.Run(name, func(t *testing.T) {
			path := path(t)
			for _, uid := range uids() {
				for _, watch := range []bool{false, true} {
					p := plan{Command: Command{Path: path, Args: []string{"x", "a", "b c"}, Gates: []bpf.Program{noInstall}, Watch: watch}, UID: uid}
					o, out := p.run(t)
					if o.Err != "" || o.Result.ExitCode != 7 || o.Result.Signal != 0 || out != "hello\na\nb c\n" {
						t.Errorf("uid %d, watch %v: %+v, output %q", uid, watch, o, out)
					}
				}
			}
		})
	}
}

// uids are the users to test as: root, who can become another, or only ourselves.
func uids() []int {
	if os.Getuid() == 0 {
		return []int{0, 65534}
	}
	return []int{0}
}

// The gate binds the first instruction: a program whose first call is denied gets nothing done.
func TestFirstInstruction(t *testing.T) {
	for _, tt := range []struct {
		name  string
		flags []string
		deny  answer
	}{
		{runtime.GOARCH, nil, answer{nativeArch, unix.SYS_WRITE, bpf.KillProcess}},
		{"i386", []string{"-m32"}, answer{unix.AUDIT_ARCH_I386, 4, bpf.KillProcess}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := build(t, "gcc", "nolibc", append([]string{"-static", "-nostdlib"}, tt.flags...)...)
			allowed := plan{Command: Command{Path: path, Gates: []bpf.Program{gate()}}}
			if o, out := allowed.run(t); o.Err != "" || out != "first\n" || o.Result.ExitCode != 0 {
				t.Fatalf("without denial: %+v, %q", o, out)
			}
			for _, watch := range []bool{false, true} {
				p := plan{Command: Command{Path: path, Gates: []bpf.Program{gate(tt.deny)}, Watch: watch}}
				o, out := p.run(t)
				if o.Err != "" || out != "" || o.Result.Signal != syscall.SIGSYS {
					t.Fatalf("watch %v: %+v, %q", watch, o, out)
				}
				if !watch {
					continue
				}
				if len(o.Result.Killed) != 1 {
					t.Fatalf("%+v", o.Result)
				}
				k := o.Result.Killed[0]
				if k.Data.Nr != tt.deny.nr || k.Data.Arch != tt.deny.arch || k.Data.Args[0] != 1 || k.Data.Args[2] != 6 || k.Thread {
					t.Errorf("killed: %+v", k)
				}
			}
		})
	}
}
