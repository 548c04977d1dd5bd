package bpf

import (
	"encoding/binary"
	"io"
	"os"
	"strings"
	"testing"
)

// dockerProgram is what runc makes of Docker's policy for three architectures: 1,347 instructions.
func dockerProgram(b *testing.B) Program {
	b.Helper()
	raw, err := os.ReadFile(corpus(b, "bpf/moby-libseccomp-3arch-runc.bpf")[0])
	if err != nil {
		b.Fatal(err)
	}
	p, err := Decode(raw, binary.LittleEndian)
	if err != nil {
		b.Fatal(err)
	}
	return p
}

func BenchmarkRun(b *testing.B) {
	p := dockerProgram(b)
	d := Data{Nr: 41, Arch: 0xc000003e, Args: [6]uint64{2, 1}}
	for b.Loop() {
		if p.Run(&d, binary.LittleEndian) != Allow {
			b.Fatal("socket is not allowed")
		}
	}
	b.ReportMetric(float64(p.Executed(&d, binary.LittleEndian)), "instructions/op")
}

func BenchmarkCachesAllow(b *testing.B) {
	p := dockerProgram(b)
	for b.Loop() {
		if !p.CachesAllow(0xc000003e, 0) {
			b.Fatal("read is not cached")
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	p := dockerProgram(b)
	for b.Loop() {
		if err := p.Check(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDisassemble(b *testing.B) {
	p := dockerProgram(b)
	for b.Loop() {
		if err := Disassemble(io.Discard, p, binary.LittleEndian, someNames{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAssemble(b *testing.B) {
	text := listingOf(b, dockerProgram(b), binary.LittleEndian, someNames{})
	for b.Loop() {
		if _, err := Assemble("docker", strings.NewReader(text)); err != nil {
			b.Fatal(err)
		}
	}
}
