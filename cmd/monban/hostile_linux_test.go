package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

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
	for name, text := range map[string]string{"stdout": out.String(), "stderr": errs.String()} {
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
	for _, f := range format.Formats {
		if f.Write != nil && !f.Binary {
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
