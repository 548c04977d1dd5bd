//go:build linux && (amd64 || arm64)

package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"monban/bpf"
	"monban/seccomp"
)

// A plan is a Command for a launcher process of its own: signals, SIGKILL and outer sandboxes must not meet the tests'.
type plan struct {
	Command
	Outer []bpf.Program // installed on the launcher first
	// OuterAt is the step after which the tracing thread installs them instead.
	OuterAt string
	UID     int           // the launcher's, if not 0
	DieAt   string        // SIGKILL the launcher after this step
	Limit   time.Duration // startLimit, if not 0

	TermAt string // SIGTERM to the launcher after this step, and wait until its child is dead
	Files  uint64 // a lock of the test, if not 0: the program's limit on open files
}

// outcome is what a launcher reports on its descriptor 3.
type outcome struct {
	Result *Result
	Err    string
	Status int
	Kinds  []string
	Done   []string // the steps that the launcher has done
	Step   string   // of a StartError
	Typed  bool     // the error is a StartError or a LostError
}

// launcherEnv names the file with a launcher's plan.
const launcherEnv = "MONBAN_TEST_LAUNCHER"

func TestMain(m *testing.M) {
	if raw := os.Getenv(launcherEnv); raw != "" {
		launch(raw)
	}
	code := m.Run()
	os.RemoveAll(buildDir)
	os.Exit(code)
}

// launch is the life of a launcher process.
func launch(raw string) {
	os.Unsetenv(launcherEnv)
	var p plan
	data, err := os.ReadFile(raw)
	if err == nil {
		err = json.Unmarshal(data, &p)
	}
	if err != nil {
		panic(err)
	}
	report := os.NewFile(3, "report")
	unix.CloseOnExec(3)
	if p.UID != 0 {
		for _, err := range []error{syscall.Setgroups(nil), syscall.Setgid(p.UID), syscall.Setuid(p.UID)} {
			if err != nil {
				panic(err)
			}
		}
	}
	outer := func(flags seccomp.Flags) {
		for _, g := range p.Outer {
			runtime.LockOSThread()
			if err := seccomp.NoNewPrivs(); err != nil {
				panic(err)
			}
			if err := seccomp.Install(g, flags); err != nil {
				panic(err)
			}
			runtime.UnlockOSThread()
		}
	}
	if p.OuterAt == "" {
		outer(seccomp.TSYNC)
	}
	if p.Limit != 0 {
		startLimit = p.Limit
	}
	if p.Files != 0 {
		begun = append(begun, limitFiles(p.Files))
	}
	var steps []string
	stepDone = func(done string) {
		steps = append(steps, done)
		if p.OuterAt != "" && done == p.OuterAt {
			outer(0)
		}
		if done == p.DieAt {
			unix.Kill(unix.Getpid(), unix.SIGKILL)
			select {}
		}
		if done == p.TermAt {
			unix.Kill(unix.Getpid(), unix.SIGTERM)
			var info unix.Siginfo
			for range 1000 {
				err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT|unix.WALL|unix.WNOTHREAD, nil)
				if err != nil || info.Signo != 0 {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
		}
	}
	res, err := p.Run(context.Background())
	out := outcome{Result: res, Done: steps}
	if err != nil {
		out.Err, out.Status = err.Error(), ExitStatus(err)
		if start := (*StartError)(nil); errors.As(err, &start) {
			out.Step, out.Typed = start.Step, true
		}
		if lost := (*LostError)(nil); errors.As(err, &lost) {
			out.Typed = true
		}
		for name, kind := range map[string]error{"notfound": ErrNotFound, "notexecutable": ErrNotExecutable,
			"refused": ErrPtraceRefused, "unsupported": ErrUnsupported, "invalid": ErrInvalid} {
			if errors.Is(err, kind) {
				out.Kinds = append(out.Kinds, name)
			}
		}
	}
	json.NewEncoder(report).Encode(out)
	if p.UID != 0 || len(p.Outer) > 0 {
		syscall.Exit(0) // with -cover, os.Exit would write counters where this user may not, or by calls that a filter denies
	}
	os.Exit(0)
}

// command makes the launcher of p; the report arrives on the returned file.
func (p *plan) command(t testing.TB) (*exec.Cmd, *os.File) {
	t.Helper()
	raw, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "plan") // it may be too long for the environment
	if err := os.WriteFile(file, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), launcherEnv+"="+file)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.ExtraFiles = []*os.File{w}
	t.Cleanup(func() { r.Close() })
	return cmd, r
}

// run starts the launcher of p and returns its report and the program's output.
func (p *plan) run(t *testing.T) (outcome, string) {
	t.Helper()
	cmd, r := p.command(t)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	cmd.ExtraFiles[0].Close()
	var o outcome
	if derr := json.NewDecoder(r).Decode(&o); derr != nil {
		t.Fatalf("launcher: %v, report: %v, output: %s", err, derr, out.String())
	}
	return o, out.String()
}

var (
	buildLock sync.Mutex
	buildDir  string
	built     = map[string]string{}
)

// build compiles testdata/NAME.c. The compiler is gcc or musl-gcc.
func build(t testing.TB, compiler, name string, flags ...string) string {
	t.Helper()
	if slices.Contains(flags, "-m32") {
		needsI386(t)
	}
	if _, err := exec.LookPath(compiler); err != nil {
		t.Skip("needs " + compiler)
	}
	buildLock.Lock()
	defer buildLock.Unlock()
	key := strings.Join(append([]string{compiler, name}, flags...), " ")
	if path := built[key]; path != "" {
		return path
	}
	if buildDir == "" {
		dir, err := os.MkdirTemp("", "monban-sandbox-*")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o755); err != nil { // for the tests as an ordinary user
			t.Fatal(err)
		}
		buildDir = dir
	}
	path := filepath.Join(buildDir, fmt.Sprintf("%s-%d", name, len(built)))
	args := append([]string{"-O1", "-w", "-o", path, filepath.Join("testdata", name+".c")}, flags...)
	if out, err := exec.Command(compiler, args...).CombinedOutput(); err != nil {
		if bytes.Contains(out, []byte("-m32")) || bytes.Contains(out, []byte("cannot find")) ||
			bytes.Contains(out, []byte("No such file")) {
			t.Skipf("needs %s %s: %s", compiler, strings.Join(flags, " "), bytes.TrimSpace(out))
		}
		t.Fatalf("%s: %v\n%s", key, err, out)
	}
	built[key] = path
	return path
}

// nativeArch is the AUDIT_ARCH_* of the test's own calls.
var nativeArch = map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}[runtime.GOARCH]

// needsI386 skips where no i386 program can run.
func needsI386(t testing.TB) {
	t.Helper()
	if runtime.GOARCH != "amd64" {
		t.Skip("needs amd64")
	}
}

// answer is one rule of a test gate: a call of an architecture by number.
type answer struct {
	arch   uint32
	nr     uint32
	action bpf.Action
}

// gate makes a filter that answers as told, and else allows.
func gate(answers ...answer) bpf.Program {
	var p bpf.Program
	for _, a := range answers {
		p = append(p,
			bpf.Instruction{Code: bpf.LD | bpf.W | bpf.ABS, K: bpf.OffsetArch},
			bpf.Instruction{Code: bpf.JMP | bpf.JEQ | bpf.K, Jf: 3, K: a.arch},
			bpf.Instruction{Code: bpf.LD | bpf.W | bpf.ABS, K: bpf.OffsetNr},
			bpf.Instruction{Code: bpf.JMP | bpf.JEQ | bpf.K, Jf: 1, K: a.nr},
			bpf.Instruction{Code: bpf.RET | bpf.K, K: uint32(a.action)})
	}
	return append(p, bpf.Instruction{Code: bpf.RET | bpf.K, K: uint32(bpf.Allow)})
}

func (o outcome) String() string {
	b, _ := json.Marshal(o)
	return string(b)
}

// eventually is what a file holds once it holds anything, "" if that takes too long.
func eventually(t *testing.T, path string) string {
	t.Helper()
	for range 300 {
		if b, err := os.ReadFile(path); err == nil && len(b) > 0 {
			return string(b)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return ""
}
