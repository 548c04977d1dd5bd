//go:build linux && (amd64 || arm64)

package sandbox

import (
	"context"
	"os/exec"
	"testing"

	"monban/bpf"
)

// BenchmarkRun compares starting /bin/true with and without a gate, side by side. Thirty instructions are a common
// size.
func BenchmarkRun(b *testing.B) {
	path, err := exec.LookPath("true")
	if err != nil {
		b.Skip("needs true")
	}
	short := bpf.Program{}
	for range 29 {
		short = append(short, bpf.Instruction{Code: bpf.LD | bpf.W | bpf.ABS, K: bpf.OffsetNr})
	}
	long := bpf.Program{}
	for range bpf.MaxInstructions - 1 {
		long = append(long, bpf.Instruction{Code: bpf.LD | bpf.W | bpf.ABS, K: bpf.OffsetNr})
	}
	allow := bpf.Instruction{Code: bpf.RET | bpf.K, K: uint32(bpf.Allow)}
	short, long = append(short, allow), append(long, allow)
	b.Run("os exec", func(b *testing.B) {
		for b.Loop() {
			if err := exec.Command(path).Run(); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, bm := range []struct {
		name string
		c    Command
	}{
		{"gate", Command{Gates: []bpf.Program{short}}},
		{"gate watched", Command{Gates: []bpf.Program{short}, Watch: true}},
		{"gate of 4096 instructions", Command{Gates: []bpf.Program{long}}},
		{"gate before exec", Command{Gates: []bpf.Program{short}, AllowExec: true}},
	} {
		b.Run(bm.name, func(b *testing.B) {
			bm.c.Path, bm.c.KeepSignals = path, true
			for b.Loop() {
				res, err := bm.c.Run(context.Background())
				if err != nil || res.ExitStatus() != 0 {
					b.Fatal(res, err)
				}
			}
		})
	}
}
