package monban_test

import (
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// goList runs go list with cgo, as it is where there is a C compiler.
func goList(t *testing.T, args ...string) []string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))
}

// The library has no cgo, however it is built: a program that imports it is as pure as it was. The command has none but
// that of Go's own network package, which its command line library takes addresses by; so it is built with
// CGO_ENABLED=0.
func TestPureGo(t *testing.T) {
	const withCgo = "{{if .CgoFiles}}{{.ImportPath}}{{end}}"
	library := slices.DeleteFunc(goList(t, "./..."), func(p string) bool {
		return strings.HasPrefix(p, "monban/cmd/") || strings.HasPrefix(p, "monban/examples/") || p == "monban/abi/gen"
	})
	if len(library) < 20 {
		t.Fatalf("only the packages %v", library)
	}
	if found := goList(t, append([]string{"-deps", "-f", withCgo}, library...)...); len(found) > 0 {
		t.Errorf("the library needs packages with cgo: %v", found)
	}
	for _, p := range goList(t, "-deps", "-f", withCgo, "./cmd/monban") {
		if p != "net" && p != "runtime/cgo" {
			t.Errorf("the command needs a package with cgo: %s", p)
		}
	}
}

// Rooms that say what gates mean work where there is no kernel to ask: nothing that they are made of starts a process
// or goes to the kernel's seccomp. Those that find facts and words open no file either.
func TestRoomsWithoutKernel(t *testing.T) {
	rooms := []string{"./gate", "./lint", "./inspect", "./report", "./report/page", "./expect", "./format/...", "./policy/..."}
	deps := goList(t, append([]string{"-deps"}, rooms...)...)
	for _, never := range []string{"os/exec", "net", "monban/seccomp", "monban/sandbox", "monban/record", "monban/internal/sys", "monban/internal/ptrace"} {
		if slices.Contains(deps, never) {
			t.Errorf("%s is among what %s need", never, strings.Join(rooms, " "))
		}
	}
	if !slices.Contains(deps, "monban/verdict") {
		t.Error("nothing was listed")
	}
	const imports = `{{range .Imports}}{{.}} {{end}}`
	for _, never := range []string{"os", "syscall", "github.com/spf13/cobra"} {
		if slices.Contains(goList(t, "-f", imports, "./inspect", "./report", "./report/page"), never) {
			t.Errorf("inspect or report imports %s", never)
		}
	}
}

// The documents say nowhere to build the command in a way that links libc.
func TestBuiltWithoutCgo(t *testing.T) {
	command := regexp.MustCompile("(.*)go (build|run|install) (.*)cmd/monban")
	found := 0
	for _, name := range append(documents, ".ci/run", "bench/recording.go", "cmd/monban/bench_linux_test.go") {
		for _, m := range command.FindAllStringSubmatch(read(t, name), -1) {
			if found++; !strings.HasSuffix(m[1], "CGO_ENABLED=0 ") {
				t.Errorf("%s: %s: not without cgo", name, m[0])
			}
		}
	}
	if found < 2 {
		t.Errorf("%d commands build monban", found)
	}
}

// The README's command makes a static program. It says in a line what it lacks: where it may open no file, not even
// libc, it starts all the same; where there is too little address space it refuses to, before anything is done.
func TestStatic(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "monban")
	cmd := exec.Command("sh", "-c", "CGO_ENABLED=0 go build -o \"$1\" ./cmd/monban", "sh", bin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	f, err := elf.Open(bin)
	if err != nil {
		t.Skipf("needs ELF: %v", err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("it has a segment %v: it is not static", p.Type)
		}
	}
	if runtime.GOOS != "linux" {
		t.Skip("needs Linux")
	}
	for _, c := range []struct {
		command string
		status  int
	}{{"run -- touch ran", 125}, {"ask @libc read", 2}, {"explain @libc", 2}, {"record -- touch ran", 2}, {"doctor", 2}} {
		for _, kb := range []int{720000, 1000000} {
			cmd := exec.Command("bash", "-c", fmt.Sprintf("ulimit -v %d; exec %s %s", kb, bin, c.command))
			cmd.Dir = t.TempDir()
			out, _ := cmd.CombinedOutput()
			// Below the first of these, what Go's runtime has no room for differs from version to version.
			if want := fmt.Sprintf("monban: the limit of address space (ulimit -v) is %d KB: monban needs 1048576\n", kb); string(out) != want && kb > 720000 || cmd.ProcessState.ExitCode() != c.status && kb > 720000 {
				t.Errorf("%d KB, %s: status %d, %s", kb, c.command, cmd.ProcessState.ExitCode(), out)
			}
			if left, err := os.ReadDir(cmd.Dir); err != nil || len(left) > 0 {
				t.Errorf("%d KB, %s: it left %v, %v", kb, c.command, left, err)
			}
		}
	}
}

// Behind a filter that refuses to open any file, the static program says in one line what it lacks, or needs no file.
func TestNothingOpens(t *testing.T) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("needs Linux on amd64")
	}
	bin := build(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x.gate"), []byte("allow read\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, errno := range []string{"EPERM", "EACCES", "ENOSYS"} {
		gate := filepath.Join(dir, errno+".gate")
		if err := os.WriteFile(gate, []byte("default allow\nerrno("+errno+") open openat openat2\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		for command, ok := range map[string]bool{
			"run --gate x.gate -- touch ran": false, "run -- " + filepath.Join(bin, "monban") + " ask @libc read": true, "ask x.gate read": false, "ask @libc read": true, "explain @libc": true,
			"compile x.gate -o x.bpf": false, "dump 1": false, "dump --all": false, "scan /bin/true": false, "doctor": true,
		} {
			cmd := exec.Command(filepath.Join(bin, "monban"), append([]string{"run", "--gate", gate, "--", filepath.Join(bin, "monban")}, strings.Fields(command)...)...)
			cmd.Dir = dir
			var stderr strings.Builder
			cmd.Stderr = &stderr
			err := cmd.Run()
			lines := strings.Split(strings.TrimSuffix(stderr.String(), "\n"), "\n")
			if ok != (err == nil) || !ok && (len(lines) != 1 || !strings.HasPrefix(lines[0], "monban: ")) {
				t.Errorf("%s: %s: %v, %s", errno, command, err, stderr.String())
			}
		}
	}
}
