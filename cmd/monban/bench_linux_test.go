package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// BenchmarkRun is what monban run costs over a plain exec: the start of the process, the compilation of @container with its proof,
// and the gate.
func BenchmarkRun(b *testing.B) {
	bin := filepath.Join(b.TempDir(), "monban")
	build := exec.Command("go", "build", "-o", bin, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
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
