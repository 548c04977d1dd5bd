package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// BenchmarkRun is what monban run costs over a plain exec: the start of the process, the compilation of @container with
// its proof, and the gate.
func BenchmarkRun(b *testing.B) {
	bin := buildCommand(b)
	for _, c := range []struct {
		name string
		args []string
	}{{"exec", []string{"/bin/true"}}, {"monban", []string{bin, "run", "--", "/bin/true"}}} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if out, err := exec.Command(c.args[0], c.args[1:]...).CombinedOutput(); err != nil {
					b.Fatalf("%v: %s", err, out)
				}
			}
		})
	}
}

// BenchmarkSee is the whole process of the commands that look at a gate, on the filter of a container on three
// architectures.
func BenchmarkSee(b *testing.B) {
	bin, dir := buildCommand(b), b.TempDir()
	docker := filepath.Join(dir, "docker.bpf")
	if out, err := exec.Command(bin, "compile", "@container", "--arch", "x86_64,x86,x32", "-o", docker).CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	for _, args := range [][]string{
		{"explain", docker}, {"explain", docker, "--full"}, {"explain", docker, "--html", filepath.Join(dir, "page.html")},
		{"ask", docker, "socket(?, SOCK_RAW)"}, {"lint", docker, "--min-severity", "high"}, {"diff", docker, "@container"},
		{"diff", docker, "@libc"}, {"explain", "@container"}, {"lint", "@container", "--min-severity", "high"},
	} {
		b.Run(strings.Join(args[:1], " ")+" "+filepath.Base(args[1])+" "+strings.Join(args[2:min(3, len(args))], " "), func(b *testing.B) {
			for b.Loop() {
				cmd := exec.Command(bin, args...)
				if err := cmd.Run(); err != nil && (cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != exitFindings) {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRecord is what watching costs a program that does little but calls: find through /usr/share, whole process,
// alone and under each recorder. strace is there to compare with, where it is installed.
func BenchmarkRecord(b *testing.B) {
	bin, gate := buildCommand(b), filepath.Join(b.TempDir(), "find.gate")
	find := []string{"find", "/usr/share"}
	for _, c := range []struct {
		name string
		args []string
	}{
		{"bare", nil},
		{"ebpf", []string{bin, "record", "--backend", "ebpf", "-o", gate, "--"}},
		{"ptrace", []string{bin, "record", "--backend", "ptrace", "-o", gate, "--"}},
		{"strace", []string{"strace", "-f", "-c", "-o", os.DevNull}},
	} {
		b.Run(c.name, func(b *testing.B) {
			args := append(slices.Clone(c.args), find...)
			if _, err := exec.LookPath(args[0]); err != nil {
				b.Skip("needs " + args[0])
			}
			if c.name == "ebpf" && os.Geteuid() != 0 {
				b.Skip("needs root")
			}
			for b.Loop() {
				if out, err := exec.Command(args[0], args[1:]...).Output(); err != nil {
					b.Fatalf("%v: %.200s", err, out)
				}
			}
		})
	}
}

func buildCommand(b *testing.B) string {
	b.Helper()
	bin := filepath.Join(b.TempDir(), "monban")
	build := exec.Command("go", "build", "-o", bin, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	return bin
}
