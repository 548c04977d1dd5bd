package compile

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/policy/lang"
	"monban/verdict"
)

func corpusProgram(tb testing.TB, name string) bpf.Program {
	dir := os.Getenv("MONBAN_CORPUS")
	if dir == "" {
		tb.Skip("needs MONBAN_CORPUS, the directory of other projects' policies")
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
				if _, err := (Options{}).generate(v, binary.LittleEndian); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkContainer is the whole way: from the text of @container to a program, with and without its proof.
func BenchmarkContainer(b *testing.B) {
	for _, c := range []struct {
		name  string
		archs []abi.Arch
	}{{"x86_64", []abi.Arch{abi.X86_64}}, {"x86_64+x86+x32", []abi.Arch{abi.X86_64, abi.X86, abi.X32}}} {
		whole := func(b *testing.B, make func(verdict.Verdict, binary.ByteOrder) (bpf.Program, error)) {
			for b.Loop() {
				p, err := lang.LoadPreset("@container", lang.Options{Archs: c.archs, Native: c.archs[0]})
				if err != nil {
					b.Fatal(err)
				}
				v, err := p.Verdict(verdict.NewSpace(verdict.DefaultBudget))
				if err != nil {
					b.Fatal(err)
				}
				if _, err := make(v, binary.LittleEndian); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.Run(c.name+"/proven", func(b *testing.B) {
			whole(b, func(v verdict.Verdict, order binary.ByteOrder) (bpf.Program, error) {
				return Program(v, order, Options{})
			})
		})
		b.Run(c.name+"/unproven", func(b *testing.B) { whole(b, Options{}.generate) })
	}
}
