//go:build linux && (amd64 || arm64)

package sandbox

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A set-user-ID root program that merely imports the library does for its caller what its own main does, and nothing
// else, whatever he calls it and puts into its arguments, environment and files.
func TestSetUserIDImporter(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("needs go")
	}
	dir, err := os.MkdirTemp("", "monban-setuid-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	source := `package main

import (
	"fmt"
	"os"

	"monban"
	"monban/expect/live"
	"monban/record"
	"monban/sandbox"
	"monban/seccomp"
)

var _, _, _, _, _ = monban.Enforce, sandbox.ErrNotFound, seccomp.Install, live.Env, record.New

func main() { fmt.Println("main", os.Geteuid()) }
`
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(dir, "importer")
	build := exec.Command("go", "build", "-o", bin, filepath.Join(dir, "main.go"))
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.Chmod(bin, os.ModeSetuid|0o755); err != nil {
		t.Fatal(err)
	}
	marker := filepath.Join(dir, "marker")
	touch := []string{"touch", marker}
	gate := "BgAAAAAA/38=" // return allow
	for _, args := range [][]string{
		{bin}, // what the others are compared with
		{"monban-traced"},
		append([]string{"monban-gate", "1", "0", "/usr/bin/touch", "0"}, touch...),
		append([]string{"monban-gate", "3", "0", "/usr/bin/touch", "1", gate}, touch...),
		append([]string{"monban-child", "3"}, touch...),
		append([]string{"monban", "run", "--"}, touch...),
	} {
		for _, env := range []string{"A=B", "MONBAN_EXPECT_CHILD=1", launcherEnv + "=/etc/passwd", "MONBAN_TEST_DEED=1"} {
			cmd := &exec.Cmd{Path: bin, Args: args, Env: append(os.Environ(), env), Stdin: strings.NewReader(`{"Call":{"Nr":39}}`)}
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			cmd.ExtraFiles = []*os.File{w, r}
			out, err := cmd.CombinedOutput()
			r.Close()
			w.Close()
			switch got := string(out); {
			case args[0] == bin && got == "main 65534\n":
				t.Skip("needs a file system with set-user-id")
			case err != nil || got != "main 0\n":
				t.Errorf("%q with %s: %q, %v", args, env, got, err)
			}
			if _, err := os.Stat(marker); err == nil {
				t.Fatalf("%q with %s: the command ran", args, env)
			}
		}
	}
}
