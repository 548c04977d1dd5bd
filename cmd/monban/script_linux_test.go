package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/rogpeppe/go-internal/testscript"

	"monban/bpf"
	"monban/internal/plain"
	"monban/seccomp"
)

var update = flag.Bool("update", false, "write what the commands print into the scripts, where cmp compares")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"monban":      main,
		"nobody":      nobody,
		"threads":     threads,
		"hold-strict": holdStrict,
		"renamed":     renamed,
	})
}

// TestScript runs the manual: testdata/script has a file for each subject, and each line in them is tried.
func TestScript(t *testing.T) { runScripts(t, "testdata/script") }

// TestCorpusScript is the part of the manual that takes other people's gates.
func TestCorpusScript(t *testing.T) {
	if os.Getenv("MONBAN_CORPUS") == "" {
		t.Skip("needs MONBAN_CORPUS")
	}
	runScripts(t, "testdata/corpus")
}

func runScripts(t *testing.T, dir string) {
	examples, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	goEnv, err := exec.Command("go", "env", "-json", "GOCACHE", "GOMODCACHE", "GOPATH", "GOFLAGS", "GOPROXY").Output()
	if err != nil {
		t.Fatal("go env: ", err)
	}
	vars := map[string]string{"EXAMPLES": examples, "CORPUS": os.Getenv("MONBAN_CORPUS")}
	if err := json.Unmarshal(goEnv, &vars); err != nil { // HOME is not a home in scripts
		t.Fatal(err)
	}
	if home, err := os.UserHomeDir(); err == nil && os.Getenv("RUSTUP_HOME") == "" {
		vars["RUSTUP_HOME"] = filepath.Join(home, ".rustup") // where rustc is rustup's, it looks there
	}
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		UpdateScripts:       *update,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"need": need, "status": status, "narrow": narrow},
		Setup: func(env *testscript.Env) error {
			env.Values[skipper{}] = env.T()
			for name, value := range vars {
				env.Setenv(name, value)
			}
			bin, err := exec.LookPath("monban")
			if err != nil {
				return err
			}
			// An ordinary user must reach the command and the script's directory.
			for _, dir := range []string{filepath.Dir(bin), filepath.Dir(filepath.Dir(bin)), filepath.Dir(env.WorkDir), env.WorkDir} {
				if err := os.Chmod(dir, 0o755); err != nil {
					return err
				}
			}
			return nil
		},
	})
}

// threads has threads behind different filters, and some behind none, until it is killed.
func threads() {
	ready := make(chan error)
	for _, errno := range []uint16{1, 13} {
		go func() {
			runtime.LockOSThread()
			err := seccomp.NoNewPrivs()
			if err == nil {
				err = seccomp.Install(bpf.Program{
					{Code: bpf.LD | bpf.W | bpf.ABS, K: bpf.OffsetNr},
					{Code: bpf.JMP | bpf.JEQ | bpf.K, K: 0xfff, Jf: 1},
					{Code: bpf.RET | bpf.K, K: uint32(bpf.Errno) | uint32(errno)},
					{Code: bpf.RET | bpf.K, K: uint32(bpf.Allow)},
				}, 0)
			}
			ready <- err
			select {}
		}()
		if err := <-ready; err != nil {
			fmt.Fprintln(os.Stderr, "threads:", err)
			os.Exit(1)
		}
	}
	fmt.Println("ready")
	time.Sleep(time.Minute)
}

// holdStrict is in strict mode until it is killed: a thread that only reads.
func holdStrict() {
	r, _, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	runtime.LockOSThread()
	var b [1]byte
	buf, fd := uintptr(unsafe.Pointer(&b)), r.Fd()
	if err := seccomp.Strict(); err != nil {
		panic(err)
	}
	syscall.RawSyscall(syscall.SYS_READ, fd, buf, 1)
}

// nobody runs its arguments as an ordinary user.
func nobody() {
	const id = 65534
	err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(id), syscall.Setuid(id))
	if err == nil {
		var path string
		if path, err = exec.LookPath(os.Args[1]); err == nil {
			err = syscall.Exec(path, os.Args[1:], os.Environ())
		}
	}
	fmt.Fprintln(os.Stderr, "nobody:", err)
	os.Exit(1)
}

// status N COMMAND… demands that a command ends with the status, 128+n standing for signal n.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N command [args...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	if ended := (*exec.ExitError)(nil); errors.As(err, &ended) {
		got = ended.ExitCode()
		if ws, ok := ended.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			got = 128 + int(ws.Signal())
		}
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("status %d, want %d", got, want)
	}
}

// narrow demands that no line of the last standard output has more than 100 columns.
func narrow(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: narrow")
	}
	for _, line := range tooWide(ts.ReadFile("stdout")) {
		ts.Fatalf("wider than %d columns: %s", plain.Width, line)
	}
}

// skipper is the key of a script's testing.T.
type skipper struct{}

// need WHAT… skips the rest of a script where something is missing, and says what. What has no probe is a command.
func need(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: need what...")
	}
	for _, what := range args {
		present, ok := probes[what]
		if !ok {
			present = func() bool { _, err := exec.LookPath(what); return err == nil }
		}
		if !present() {
			ts.Value(skipper{}).(testscript.T).Skip("needs " + what)
		}
	}
}

var probes = map[string]func() bool{
	"root":         sync.OnceValue(func() bool { return os.Geteuid() == 0 }),
	"gcc-multilib": sync.OnceValue(func() bool { return compiles("#include <stdio.h>\nint main(void) { return 0; }", "-m32") }),
	"libseccomp-dev": sync.OnceValue(func() bool {
		return compiles("#include <seccomp.h>\nint main(void) { return !seccomp_init(SCMP_ACT_KILL); }", "-lseccomp")
	}),
	// The kernel's lines about seccomp come there where no audit daemon takes them.
	"kernel-log": sync.OnceValue(func() bool {
		f, err := os.Open("/dev/kmsg")
		if err != nil {
			return false
		}
		f.Close()
		return exec.Command("pgrep", "-x", "auditd").Run() != nil
	}),
	// What is tested is the terminal that script(1) gives its command; the one of BSD takes other flags.
	"script": sync.OnceValue(func() bool { return exec.Command("script", "-qec", "true", os.DevNull).Run() == nil }),
}

// compiles says whether a C program can be made here.
func compiles(source string, flags ...string) bool {
	dir, err := os.MkdirTemp("", "monban-probe")
	if err != nil {
		return false
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "probe.c")
	if os.WriteFile(file, []byte(source), 0o600) != nil {
		return false
	}
	return exec.Command("gcc", append([]string{"-o", filepath.Join(dir, "probe"), file}, flags...)...).Run() == nil
}
