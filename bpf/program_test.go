package bpf

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var orders = []binary.ByteOrder{binary.LittleEndian, binary.BigEndian}

// mustAssemble makes a program of text, be it one that the kernel refuses.
func mustAssemble(t testing.TB, text string) Program {
	t.Helper()
	p, err := Assemble(t.Name(), strings.NewReader(text))
	if _, refused := errors.AsType[*CheckError](err); err != nil && !refused {
		t.Fatal(err)
	}
	return p
}

// corpus returns the files of a pattern below the directory of other projects' data.
func corpus(t testing.TB, pattern string) []string {
	t.Helper()
	dir := os.Getenv("MONBAN_CORPUS")
	if dir == "" {
		t.Skip("needs MONBAN_CORPUS")
	}
	files, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files %s in the corpus (%v)", pattern, err)
	}
	return files
}

func corpusPrograms(t testing.TB) map[string]Program {
	t.Helper()
	programs := map[string]Program{}
	for _, pattern := range []string{"bpf/*.bpf", "libseccomp/bpf/*.bpf", "minijail/*/compiled/*.bpf"} {
		for _, file := range corpus(t, pattern) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			p, err := Decode(b, binary.LittleEndian)
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			programs[filepath.Base(file)] = p
		}
	}
	return programs
}

func admittedCodes() []uint16 {
	var codes []uint16
	for code, op := range opcodes {
		if op.form != 0 {
			codes = append(codes, uint16(code))
		}
	}
	return codes
}

var allCodes = admittedCodes()

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

var interesting = []uint32{0, 1, 2, 3, 4, 12, 15, 16, 31, 32, 33, 41, 60, 63, 64, 255, 0xfff, 0x40000000, 0x7fffffff,
	0x80000000, 0xc000003e, 0xbfffffff, 0xfffff000, 0xffffffff}

func randomK(r *rand.Rand) uint32 {
	if r.IntN(3) == 0 {
		return r.Uint32() >> r.IntN(32)
	}
	return pick(r, interesting)
}

// randomInstruction is one with a code of the given that can stand where room instructions follow it.
func randomInstruction(r *rand.Rand, codes []uint16, room int) Instruction {
	ins := Instruction{Code: pick(r, codes), K: randomK(r)}
	switch ins.op().form {
	case formWord:
		ins.K = 4 * r.Uint32N(DataSize/4)
	case formMem:
		ins.K = r.Uint32N(MemWords)
	case formGoto:
		ins.K = r.Uint32N(uint32(min(room, 4)))
	case formCondK, formCondX:
		ins.Jt, ins.Jf = uint8(r.IntN(min(room, 256))), uint8(r.IntN(min(room, 256)))
	case formRetK, formRetA:
		if r.IntN(4) > 0 {
			return randomInstruction(r, codes, room)
		}
	}
	switch ins.Code {
	case ALU | LSH | K, ALU | RSH | K:
		ins.K &= 31
	case ALU | DIV | K:
		ins.K = max(ins.K, 1)
	}
	return ins
}

// randomProgram is one that the kernel admits, with 1 to n instructions of the given codes between writes of scratch
// words and a RET.
func randomProgram(r *rand.Rand, codes []uint16, n int) Program {
	for {
		var p Program
		for range r.IntN(3) * r.IntN(12) {
			p = append(p, Instruction{Code: pick(r, []uint16{ST, STX}), K: r.Uint32N(MemWords)})
		}
		for body := 1 + r.IntN(n); body > 0; body-- {
			p = append(p, randomInstruction(r, codes, body))
		}
		p = append(p, Instruction{Code: pick(r, []uint16{RET | K, RET | A}), K: randomK(r)})
		if p.Check() == nil {
			return p
		}
	}
}

// mutate changes a few fields.
func mutate(r *rand.Rand, p Program) Program {
	p = slices.Clone(p)
	for range 1 + r.IntN(2) {
		ins := &p[r.IntN(len(p))]
		switch r.IntN(6) {
		case 0:
			ins.Code ^= 1 << r.IntN(10)
		case 1:
			ins.Code = pick(r, allCodes)
		case 2:
			ins.K = randomK(r)
		case 3:
			ins.Jt = uint8(r.IntN(2 * len(p)))
		case 4:
			ins.Jf = uint8(r.IntN(2 * len(p)))
		case 5:
			*ins = p[r.IntN(len(p))]
		}
	}
	return p
}

func randomData(r *rand.Rand) Data {
	d := Data{Nr: randomK(r), Arch: pick(r, []uint32{0xc000003e, 0x40000003, randomK(r)}), IP: r.Uint64()}
	for i := range d.Args {
		d.Args[i] = uint64(randomK(r))<<32 | uint64(randomK(r))
	}
	return d
}
