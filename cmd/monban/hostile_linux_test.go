package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"monban/format"
	"monban/internal/hostile"
)

// A victim runs the command in a directory and looks at all that it prints.
type victim struct {
	*testing.T
	dir  string
	runs int
}

// run demands that nothing hostile gets through; what was printed comes back.
func (v *victim) run(stdin string, args ...string) (stdout, stderr string) {
	v.Helper()
	cmd := exec.Command("monban", args...)
	cmd.Dir, cmd.Stdin = v.dir, strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		v.Fatalf("%q: %v", args, err)
	}
	v.runs++
	printed := map[string]string{"stdout": out.String(), "stderr": errs.String()}
	if binary := slices.Contains([]string{"compile", "asm"}, args[0]) && !slices.Contains(args, "--stats"); binary {
		delete(printed, "stdout") // a program
	}
	for name, text := range printed {
		if err := hostile.Check(text); err != nil {
			v.Errorf("monban %q: %s: %v", args, name, err)
		}
		if strings.Contains(text, "goroutine ") {
			v.Errorf("monban %q: %s: %s", args, name, text)
		}
	}
	return out.String(), errs.String()
}

// file writes a file into the directory.
func (v *victim) file(name, text string) string {
	v.Helper()
	if err := os.WriteFile(filepath.Join(v.dir, name), []byte(text), 0o644); err != nil {
		v.Fatal(err)
	}
	return name
}

const someGate = "arch x86_64\ndefault errno(EPERM)\nallow read write exit_group\nallow socket(family == AF_UNIX)\n"

// names are the hostile names that a file can have.
func fileNames() (out []string) {
	for _, name := range hostile.Names() {
		if !strings.ContainsAny(name, "\x00/") {
			out = append(out, name)
		}
	}
	return out
}

// A profile from elsewhere has hostile names in each of its texts.
func TestHostileProfile(t *testing.T) {
	v := &victim{T: t, dir: t.TempDir()}
	type object = map[string]any
	syscalls := []object{{"names": append([]string{"read"}, hostile.Names()...), "action": "SCMP_ACT_ALLOW", "comment": strings.Join(hostile.Names(), "")}}
	for _, name := range hostile.Names() {
		syscalls = append(syscalls, object{"names": []string{"write", name}, "action": "SCMP_ACT_ALLOW", "comment": name,
			"excludes": object{"caps": []string{name}, "arches": []string{name}}})
	}
	text, err := json.Marshal(object{"defaultAction": "SCMP_ACT_ERRNO", "architectures": []string{"SCMP_ARCH_X86_64"}, "syscalls": syscalls})
	if err != nil {
		t.Fatal(err)
	}
	v.file("evil.json", string(text))
	v.file("evil.expect", "gate \"evil.json\"\ndeny write ptrace\nallow ptrace\n")
	for _, args := range [][]string{
		{"explain", "evil.json"}, {"explain", "--full", "evil.json"}, {"explain", "--json", "evil.json"}, {"explain", "--syscall", "read", "evil.json"},
		{"explain", "--html", "evil.html", "evil.json"}, {"ask", "evil.json", "read", "write"}, {"ask", "--json", "evil.json", "write"},
		{"diff", "evil.json", "@container"}, {"diff", "--json", "evil.json", "@container"}, {"lint", "--min-severity", "advice", "evil.json"},
		{"lint", "--json", "evil.json"}, {"lint", "--sarif", "--min-severity", "advice", "evil.json"}, {"merge", "--union", "evil.json", "@strict"},
		{"merge", "--union", "--json", "evil.json", "@strict"}, {"disasm", "evil.json"}, {"disasm", "--json", "evil.json"}, {"compile", "--stats", "evil.json"},
		{"test", "evil.expect"}, {"test", "--tap", "evil.expect"}, {"test", "--junit", "evil.expect"}, {"test", "--json", "evil.expect"},
		{"explain", "--runtime", "runc", "evil.json"}, {"explain", "stack:evil.json,@strict"},
	} {
		_, stderr := v.run("", args...)
		if n := strings.Count(stderr, "note:"); n > 12 {
			t.Errorf("monban %q says %d notes", args, n)
		}
	}
	for _, f := range format.Formats() {
		if f.Writes() && !f.Binary {
			v.run("", "convert", "--to", f.Name, "evil.json")
		}
	}
	page, err := os.ReadFile(filepath.Join(v.dir, "evil.html"))
	if err == nil {
		err = hostile.Check(string(page))
	}
	if err != nil {
		t.Error("the page: ", err)
	}
}

// Files have hostile names.
func TestHostileFiles(t *testing.T) {
	v := &victim{T: t, dir: t.TempDir()}
	var gates, tests []string
	for i, name := range fileNames() {
		gate := v.file(name+".gate", someGate+fmt.Sprintf("# %d\n\n\n\n", i))
		gates = append(gates, gate)
		tests = append(tests, v.file(name+".expect", "allow read mount\nallow read # SKIP\ndeny ptrace\n"))
		v.file(name, "allow")
	}
	for _, args := range [][]string{
		{"lint", "--min-severity", "advice"}, {"lint", "--sarif", "--min-severity", "advice"}, {"lint", "--json"}, {"fmt", "--check"},
		{"merge", "--union"}, {"merge", "--stack"}, {"merge", "--union", "--json"},
	} {
		v.run("", append(slices.Clone(args), gates...)...)
	}
	for _, args := range [][]string{{"test"}, {"test", "--tap"}, {"test", "--junit"}, {"test", "--json"}} {
		stdout, _ := v.run("", append(slices.Clone(args), tests...)...)
		switch args[len(args)-1] {
		case "--junit":
			d := xml.NewDecoder(strings.NewReader(stdout))
			for {
				if _, err := d.Token(); err == io.EOF {
					break
				} else if err != nil {
					t.Fatalf("the XML: %v", err)
				}
			}
		case "--tap":
			for line := range strings.Lines(stdout) {
				if before, directive, ok := strings.Cut(line, "#"); ok && !strings.HasSuffix(before, `\`) && strings.Contains(line, " - ") {
					t.Errorf("a directive %q in %q", directive, line)
				}
			}
		}
	}
	// One of these a name: all is tried with several of a kind.
	each := [][]string{
		{"explain", "NAME"}, {"explain", "--full", "NAME"}, {"diff", "NAME", "@strict"}, {"diff", "--subset", "NAME", "NAME"}, {"disasm", "NAME"},
		{"convert", "--to", "c", "NAME"}, {"convert", "--to", "go", "NAME"}, {"convert", "--to", "kubernetes", "NAME"}, {"convert", "--to", "systemd", "NAME"},
		{"convert", "--to", "oci", "NAME"}, {"convert", "--to", "minijail", "NAME"}, {"ask", "NAME", "read", "ptrace"}, {"ask", "NAME"}, {"fmt", "--kernel", "6.1", "NAME"},
		{"compile", "NAME", "-o", "NAME.out"}, {"compile", "NAME", "-o", "no/NAME"}, {"run", "--gate", "NAME", "--", "true"}, {"scan", "NAME"},
		{"record", "--known", "NAME", "--backend", "ptrace", "--", "true"}, {"asm", "NAME"}, {"explain", "NAME.no"}, {"explain", "oci:NAME"}, {"test", "NAME"},
		{"compile", "--weights", "NAME", "@strict"}, {"run", "--", "NAME"}, {"record", "--", "NAME"}, {"learn", "--", "NAME"}, {"record", "--from-denials", "NAME"},
	}
	for i, name := range gates {
		for k := range 4 {
			args := slices.Clone(each[(4*i+k)%len(each)])
			for j := range args {
				args[j] = strings.ReplaceAll(args[j], "NAME", name)
			}
			v.run("read\nptrace(PTRACE_ATTACH)\n"+name+"\n", args...)
		}
	}
	stdout, _ := v.run("", "__complete", "explain", "")
	if !strings.Contains(stdout, "@strict") || strings.Contains(stdout, `\x1b`) {
		t.Errorf("completion offers %q", stdout)
	}
}

// What is wrong with a text is said with words of it.
func TestHostileTexts(t *testing.T) {
	v := &victim{T: t, dir: t.TempDir()}
	texts := map[string][]string{
		"gate":        {"%s", "allow %s", "allow read(%s)", "allow read(fd == %s)", "include \"%s\"", "default %s", "arch %s", "on %s: allow read", "allow read # %s", "kernel %s"},
		"oci":         {"%s", `{"%s": 1}`, `{"defaultAction": "%s"}`, `{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["%s"]}`, `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"%s"}]}`},
		"kubernetes":  {"%s", "apiVersion: security-profiles-operator.x-k8s.io/v1\nkind: SeccompProfile\nspec:\n  defaultAction: \"%s\"\n", "a: *%s", "kind: \"%s\""},
		"minijail":    {"%s", "read: %s", "%s: 1", "read: arg0 == %s", "@include %s", "@frequency %s"},
		"firecracker": {`{"%s": {}}`, `{"main": {"default_action": "%s", "filter_action": "allow", "filter": []}}`, `{"main": {"%s": 1}}`},
		"kafel":       {"%s", "USE %s DEFAULT KILL", "POLICY %s {}", "ALLOW { %s } DEFAULT KILL", "#define %s 1"},
		"systemd":     {"[Service]\nSystemCallFilter=%s\n", "[Service]\nSystemCallArchitectures=%s\n", "[%s]", "[Service]\nSystemCallFilters=%s", "SystemCallFilter=read:%s"},
		"strace":      {"%s", "%s(1) = 0", "read(%s) = 0", "read(0, \"%s\", 1) = 0"},
		"c":           {"%s", "struct sock_filter x[] = { %s };", "BPF_STMT(%s, 0)"},
		"asm":         {"%s", "ret %s", "jeq %s, a, b", "%s: ret allow"},
		"expect":      {"%s", "allow %s", "allow read(%s)", "on %s: allow read", "gate \"%s\"", "allow read # %s"},
	}
	all := hostile.Names()
	n := 0
	for _, kind := range []string{"gate", "oci", "kubernetes", "minijail", "firecracker", "kafel", "systemd", "strace", "c", "asm", "expect"} {
		for _, text := range texts[kind] {
			for range 5 {
				name := all[n*7%len(all)]
				n++
				args := []string{"explain", kind + ":-"}
				switch kind {
				case "asm":
					args = []string{"asm", "-o", "out.bpf", "-"}
				case "expect":
					args = []string{"test", "-"}
				}
				v.run(strings.ReplaceAll(text, "%s", name), args...)
			}
		}
	}
	for _, name := range all {
		v.run("read\n"+name+"\nread("+name+")\nopen(\""+name+"\", O_RDONLY) = 3\n", []string{"ask", "@container"}...)
	}
	v.run(strings.Join(all, "\n"), "fmt")
	v.run("# "+strings.Join(all, "\n# ")+"\nallow read\n", "fmt")
}

// Each flag and each argument of each command is hostile once.
func TestHostileArguments(t *testing.T) {
	v := &victim{T: t, dir: t.TempDir()}
	v.file("some.gate", someGate)
	all := slices.DeleteFunc(hostile.Names(), func(s string) bool { return strings.Contains(s, "\x00") })
	n := 0
	next := func() string { n++; return all[n*11%len(all)] }
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		path := strings.Fields(c.CommandPath())[1:]
		try := func(more ...string) { v.run("", append(slices.Clone(path), more...)...) }
		for range 3 {
			try(next())
			try("--" + next())
			try("-" + next())
			try("some.gate", next())
			try(next(), next(), next())
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			try("--"+f.Name+"="+next(), "some.gate")
			try("--"+f.Name+"="+next(), next())
		})
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(newRoot())
	for range 5 {
		for _, args := range [][]string{{"help", next()}, {"__complete", next(), ""}, {"__complete", "explain", next()}, {"explain", "pid:" + next()}, {"explain", "stack:" + next() + ",@strict"},
			{"ask", "some.gate", "read(" + next() + ")"}, {"ask", "some.gate", "read(0, \"" + next() + "\")"}, {next(), next()}, {"explain", "some.gate#" + next()}, {"explain", next() + ":some.gate"}} {
			v.run("", args...)
		}
	}
	t.Logf("%d runs", v.runs)
}

// renamed NAME N gives itself a name and makes a call; where N is 0, it says that it is ready and waits first.
func renamed() {
	runtime.LockOSThread()
	for _, file := range []string{"/proc/self/comm", "/proc/thread-self/comm"} {
		if err := os.WriteFile(file, []byte(os.Args[1]), 0); err != nil {
			fmt.Fprintln(os.Stderr, "renamed:", err)
			os.Exit(1)
		}
	}
	if os.Args[2] == "0" {
		fmt.Println("ready")
		time.Sleep(time.Minute)
	}
	syscall.RawSyscall(syscall.SYS_GETPGID, 0, 0, 0)
}

// comms are hostile names of at most 15 bytes, which is what a thread can have.
func comms() []string {
	return []string{"\x1b]0;PWN\a\x1b[8m", "x\nPWN", "x\r\nPWN", "x\u202ePWN", "x\u200bPWN", "\x9b31mPWN", "::error::PWN", "##vso[x]PWN", "x\u2028PWN", "\u0301PWN", "x\xc3",
		"x*/PWN", "x\nallow ptrace"}
}

// Programs choose their names and those of their threads.
func TestHostileProcesses(t *testing.T) {
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		t.Skip("needs amd64 or arm64")
	}
	v := &victim{T: t, dir: t.TempDir()}
	v.file("kills.gate", "default allow\nkill_process getpgid\n")
	v.file("allows.gate", "default allow\nerrno(EPERM) ptrace\n")
	for _, name := range comms() {
		_, stderr := v.run("", "run", "--gate", "kills.gate", "--", "renamed", name, "1")
		if !strings.Contains(stderr, "killed: getpgid(") {
			t.Errorf("%q: who was killed is not said: %q", name, stderr)
		}
		stdout, _ := v.run("", "record", "--backend", "ptrace", "--", "renamed", name, "1")
		if !strings.Contains(stdout, "getpgid") {
			t.Errorf("%q: recorded is %q", name, stdout)
		}
		v.file("recorded.gate", stdout)
		if answer, _ := v.run("", "ask", "recorded.gate", "ptrace"); !strings.HasPrefix(answer, "errno(EPERM)\n") {
			t.Errorf("%q made a rule: %s", name, answer)
		}
		v.run("", "record", "--backend", "ptrace", "--check", "kills.gate", "--json", "--", "renamed", name, "1")
	}
	program, err := os.ReadFile("/bin/true")
	if err != nil {
		t.Skip("needs /bin/true")
	}
	for i, name := range fileNames() {
		if i%12 > 0 { // it takes a while
			continue
		}
		if err := os.WriteFile(filepath.Join(v.dir, name), program, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"scan"}, {"scan", "--json"}, {"scan", "--why", "exit_group"}, {"learn", "--backend", "ptrace", "--"}, {"record", "--backend", "ptrace", "--"}} {
			v.run("", append(args, "./"+name)...)
		}
	}
}

// Looking at processes shows their names.
func TestHostileLooks(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	v := &victim{T: t, dir: t.TempDir()}
	v.file("allows.gate", "default allow\nerrno(EPERM) ptrace\n")
	for _, name := range comms() {
		held := exec.Command("monban", "run", "--gate", "allows.gate", "--", "renamed", name, "0")
		held.Dir = v.dir
		ready, err := held.StdoutPipe()
		if err == nil {
			err = held.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = held.Process.Signal(syscall.SIGTERM) // run passes it on
			_ = held.Wait()
		})
		if line, err := bufio.NewReader(ready).ReadString('\n'); err != nil || line != "ready\n" {
			t.Fatal(line, err)
		}
	}
	stdout, _ := v.run("", "dump", "--all")
	v.run("", "dump", "--all", "--json")
	if !strings.Contains(stdout, `x\nallow ptrace`) || !strings.Contains(stdout, `\x1b]0;PWN`) {
		t.Errorf("their names are not shown: %s", stdout)
	}
	looked := 0
	for line := range strings.Lines(stdout) {
		words := strings.Fields(line)
		if !strings.Contains(line, `\`) || looked == 3 { // each looks at all processes
			continue
		}
		looked++
		for _, more := range [][]string{{}, {"--policy"}, {"--json"}} {
			v.run("", append([]string{"dump", words[0]}, more...)...)
		}
		v.run("", "explain", "pid:"+words[0])
	}
}

// On a terminal there are styles, and nothing else.
func TestHostileTerminal(t *testing.T) {
	if !probes["script"]() {
		t.Skip("needs script")
	}
	v := &victim{T: t, dir: t.TempDir()}
	names, err := json.Marshal(append([]string{"read"}, hostile.Names()...))
	if err != nil {
		t.Fatal(err)
	}
	v.file("evil.json", `{"defaultAction":"SCMP_ACT_LOG","architectures":["SCMP_ARCH_X86_64"],"syscalls":[{"names":`+string(names)+`,"action":"SCMP_ACT_ALLOW"}]}`)
	styles := regexp.MustCompile(`\x1b\[(0|1|2|31|32|33)m`)
	for _, args := range []string{"explain evil.json", "lint --min-severity advice evil.json", "diff evil.json @container", "ask evil.json read", "explain $'\x1b[31mPWN'"} {
		cmd := exec.Command("script", "-qec", "bash -c '"+strings.ReplaceAll("monban "+args, "'", `'\''`)+"'", os.DevNull)
		cmd.Dir, cmd.Env = v.dir, append(os.Environ(), "TERM=xterm", "NO_COLOR=")
		out, err := cmd.CombinedOutput()
		if err != nil && !errors.As(err, new(*exec.ExitError)) {
			t.Fatal(err)
		}
		if !styles.Match(out) {
			t.Errorf("%s: no styles: %q", args, out)
		}
		if err := hostile.Check(strings.ReplaceAll(styles.ReplaceAllString(string(out), ""), "\r\n", "\n")); err != nil {
			t.Errorf("%s: %v", args, err)
		}
	}
}
