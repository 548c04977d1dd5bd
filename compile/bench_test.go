package compile

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"monban/bpf"
	"monban/verdict"
)

func corpusProgram(tb testing.TB, name string) bpf.Program {
	dir := os.Getenv("MONBAN_CORPUS")
	if dir == "" {
		tb.Skip("needs MONBAN_CORPUS")
	}
	b, err := os.ReadFile(filepath.Join(dir, "bpf", name))
	if err != nil {
		tb.Fatal(err)
	}
	p, err := bpf.Decode(b, binary.LittleEndian)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// BenchmarkLift is the time from a program to its meaning.
func BenchmarkLift(b *testing.B) {
	for _, name := range []string{"moby-libseccomp-3arch-runc.bpf", "moby-libseccomp-x64-opt1.bpf", "moby-kafel.bpf"} {
		b.Run(name, func(b *testing.B) {
			p := corpusProgram(b, name)
			for b.Loop() {
				if _, err := verdict.Of(p, binary.LittleEndian); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkGenerate is the time from a meaning to a program, without its proof.
func BenchmarkGenerate(b *testing.B) {
	for _, name := range []string{"moby-libseccomp-3arch-runc.bpf", "moby-kafel.bpf"} {
		b.Run(name, func(b *testing.B) {
			v, err := verdict.Of(corpusProgram(b, name), binary.LittleEndian)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := generate(v, binary.LittleEndian); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
