package main

import (
	"bufio"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"text/template"

	"golang.org/x/sys/unix"
)

//go:embed performance.md.tmpl
var performance string

// callNotes say in a table's heading what becomes of a call.
var callNotes = map[string]string{"getppid": "cached", "kexec_load": "denied"}

const deniedCall = "kexec_load"

// A document is all that is told.
type document struct {
	sections  []*section
	leftOut   []string
	recording *recording
}

// print writes the tables alone.
func (d *document) print(w io.Writer) error {
	var b strings.Builder
	for _, s := range d.sections {
		fmt.Fprintf(&b, "\n%s\n\n%s\n%s\n", s.title, s.programs(), s.Parts())
		if t := s.lives(); t != nil {
			fmt.Fprintf(&b, "\n%s", t)
		}
	}
	fmt.Fprintf(&b, "\nRecording %s\n\n%s", d.recording.Command(), d.recording.Table())
	_, err := io.WriteString(w, b.String())
	return err
}

// write makes the Markdown file, and the charts beside it.
func (d *document) write(out string) error {
	text, err := d.fill("performance.md.tmpl")
	if err != nil {
		return err
	}
	if err := os.WriteFile(out, []byte(text), 0o644); err != nil {
		return err
	}
	return errors.Join(os.WriteFile(chartFile(out), []byte(chart(d.sections[0])), 0o644),
		os.WriteFile(recordingChart(out), []byte(d.recording.chart()), 0o644))
}

// writeRecording replaces what the Markdown file says of recording, and its chart.
func (d *document) writeRecording(out string) error {
	old, err := os.ReadFile(out)
	if err != nil {
		return err
	}
	section, err := d.fill("recording")
	if err != nil {
		return err
	}
	text, err := replaceSection(string(old), section)
	if err != nil {
		return fmt.Errorf("%s: %w", out, err)
	}
	return errors.Join(os.WriteFile(out, []byte(text), 0o644), os.WriteFile(recordingChart(out), []byte(d.recording.chart()), 0o644))
}

// fill fills in a template: the file's or one that is defined in it.
func (d *document) fill(name string) (string, error) {
	t, err := template.New("performance.md.tmpl").Parse(performance)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = t.ExecuteTemplate(&b, name, d)
	return b.String(), err
}

// replaceSection puts a section in the place of the one that has the same heading.
func replaceSection(text, section string) (string, error) {
	heading, _, _ := strings.Cut(section, "\n")
	before, rest, found := strings.Cut(text, "\n"+heading+"\n")
	if !found {
		return "", fmt.Errorf("no line %q begins what is to be replaced", heading)
	}
	after := ""
	if next := strings.Index(rest, "\n## "); next >= 0 {
		after = rest[next:]
	}
	return before + "\n" + section + after, nil
}

// What the template asks for.

func (d *document) Sections() []*section  { return d.sections }
func (d *document) Recording() *recording { return d.recording }
func (d *document) LeftOut() []string     { return d.leftOut }
func (d *document) Go() string            { return runtime.Version() }
func (d *document) Versions() table {
	return table{
		{"compiler", "version"},
		{"libseccomp", libseccompVersion() + ", by libseccomp-golang " + moduleVersion("github.com/seccomp/libseccomp-golang")},
		{"runc", moduleVersion("github.com/opencontainers/runc") + ", with the same libseccomp"},
		{"gVisor", moduleVersion("gvisor.dev/gvisor")},
		{"elastic/go-seccomp-bpf", moduleVersion("github.com/elastic/go-seccomp-bpf")},
		{"Docker's profile", "github.com/moby/profiles/seccomp " + moduleVersion("github.com/moby/profiles/seccomp")},
	}
}

// Kernel is the running kernel and how it runs filters.
func (d *document) Kernel() (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", err
	}
	jit := "no BPF JIT compiler to be seen"
	if b, err := os.ReadFile("/proc/sys/net/core/bpf_jit_enable"); err == nil {
		jit = "BPF JIT compiler off"
		if strings.TrimSpace(string(b)) != "0" {
			jit = "BPF JIT compiler on"
		}
	}
	return fmt.Sprintf("Linux %s, %s", unix.ByteSliceToString(u.Release[:]), jit), nil
}

// CPU is the processor's name and the number of processors.
func (d *document) CPU() (string, error) {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "", err
	}
	defer f.Close()
	name := "unknown"
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == "model name" {
			name = strings.TrimSpace(value)
			break
		}
	}
	return fmt.Sprintf("%s, %d processors", name, runtime.NumCPU()), lines.Err()
}

func (s *section) Title() string { return s.title }

// Programs and Live are the two tables; Live is nil where nothing was measured.
func (s *section) Programs() table { return s.programs() }
func (s *section) Live() table     { return s.lives() }

// Parts tells where Monban's time goes.
func (s *section) Parts() string {
	return fmt.Sprintf("Monban's time: %s from the policy to its verdict, %s to generate the program, %s to prove it.",
		short(s.parts[0]), short(s.parts[1]), short(s.parts[2]))
}
