package verdict_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"monban/bpf"
	"monban/verdict"
)

var orders = []binary.ByteOrder{binary.LittleEndian, binary.BigEndian}

// interesting numbers find the edges of comparisons.
var interesting = []uint32{0, 1, 2, 3, 5, 31, 32, 59, 0xff, 0x100, 0xffff, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff, 0x40000000, 0xc000003e, 0x40000003}

func number(r *rand.Rand) uint32 {
	if r.IntN(4) > 0 {
		return interesting[r.IntN(len(interesting))]
	}
	return r.Uint32()
}

func randomData(r *rand.Rand) bpf.Data {
	wide := func() uint64 { return uint64(number(r))<<32 | uint64(number(r)) }
	d := bpf.Data{Nr: number(r), Arch: number(r), IP: wide()}
	for i := range d.Args {
		d.Args[i] = wide()
		if r.IntN(2) == 0 {
			d.Args[i] &= 0xffffffff
		}
	}
	return d
}

// randomProgram is a program that the kernel admits, with every kind of instruction.
func randomProgram(r *rand.Rand) bpf.Program {
	for {
		n := 3 + r.IntN(20)
		p := make(bpf.Program, n)
		for i := range p {
			p[i] = randomInstruction(r, n-1-i)
		}
		if p.Check() == nil {
			return p
		}
	}
}

func randomInstruction(r *rand.Rand, left int) bpf.Instruction {
	in := func(code uint16, k uint32) bpf.Instruction { return bpf.Instruction{Code: code, K: k} }
	if left == 0 {
		if r.IntN(3) == 0 {
			return in(bpf.RET|bpf.A, 0)
		}
		return in(bpf.RET|bpf.K, randomAction(r))
	}
	source := uint16(r.IntN(4)/3) * bpf.X
	switch r.IntN(14) {
	case 0, 1, 2:
		return in(bpf.LD|bpf.ABS, uint32(r.IntN(16))*4)
	case 3:
		return in(bpf.LDX|bpf.IMM, number(r))
	case 4:
		return in([]uint16{bpf.ST, bpf.STX, bpf.LD | bpf.MEM, bpf.LDX | bpf.MEM}[r.IntN(4)], uint32(r.IntN(3)))
	case 5:
		return in(bpf.MISC|[]uint16{bpf.TAX, bpf.TXA}[r.IntN(2)], 0)
	case 6:
		op := []uint16{bpf.ADD, bpf.SUB, bpf.AND, bpf.OR, bpf.XOR, bpf.AND, bpf.NEG}[r.IntN(7)]
		if op == bpf.NEG {
			source = 0
		}
		return in(bpf.ALU|op|source, number(r))
	case 7:
		op := []uint16{bpf.LSH, bpf.RSH, bpf.DIV, bpf.MUL}[r.IntN(4)]
		k := uint32(r.IntN(32))
		if op == bpf.DIV || op == bpf.MUL {
			k = []uint32{1, 2, 3, 8, 10, 0x80000000}[r.IntN(6)]
		}
		return in(bpf.ALU|op|source, k)
	case 8:
		return in(bpf.JMP|bpf.JA, uint32(r.IntN(min(left, 4))))
	case 9:
		return in(bpf.RET|bpf.K, randomAction(r))
	default:
		op := []uint16{bpf.JEQ, bpf.JGT, bpf.JGE, bpf.JSET}[r.IntN(4)]
		return bpf.Instruction{Code: bpf.JMP | op | source, K: number(r), Jt: uint8(r.IntN(min(left, 8))), Jf: uint8(r.IntN(min(left, 8)))}
	}
}

func randomAction(r *rand.Rand) uint32 {
	kinds := []uint32{0x7fff0000, 0x7ffc0000, 0x7fc00000, 0x7ff00000, 0x00050000, 0x00030000, 0, 0x80000000, 0x12340000}
	return kinds[r.IntN(len(kinds))] | uint32(r.IntN(3))
}

// agree compares a verdict with the interpreter.
func agree(t *testing.T, r *rand.Rand, p bpf.Program, order binary.ByteOrder, v verdict.Verdict, times int) {
	t.Helper()
	for range times {
		d := randomData(r)
		want := p.Run(&d, order).Canonical()
		if got := v.At(&d); got != want {
			t.Fatalf("%v\n%+v: the interpreter says %v, the verdict %v", p, d, want, got)
		}
	}
}

func TestOfMatchesInterpreter(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	complex := 0
	const programs = 500
	for range programs {
		p := randomProgram(r)
		order := orders[r.IntN(2)]
		v, err := verdict.NewSpace(3_000).Of(p, order)
		if errors.Is(err, verdict.ErrTooComplex) {
			complex++
			continue
		}
		if err != nil {
			t.Fatalf("%v: %v", p, err)
		}
		agree(t, r, p, order, v, 40)
	}
	if complex > programs/5 {
		t.Errorf("%d of %d programs were too complex: the test proves little", complex, programs)
	}
}

func FuzzLift(f *testing.F) {
	f.Add(uint64(1))
	f.Add(uint64(99))
	f.Fuzz(func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 7))
		p := randomProgram(r)
		order := orders[r.IntN(2)]
		v, err := verdict.NewSpace(3_000).Of(p, order)
		if errors.Is(err, verdict.ErrTooComplex) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		agree(t, r, p, order, v, 100)
	})
}

func corpus(tb testing.TB) string {
	dir := os.Getenv("MONBAN_CORPUS")
	if dir == "" {
		tb.Skip("needs MONBAN_CORPUS, the directory of other projects' policies")
	}
	return dir
}

func TestCorpus(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(corpus(t), "bpf", "*.bpf"))
	if err != nil || len(files) == 0 {
		t.Fatal("no programs", err)
	}
	r := rand.New(rand.NewPCG(3, 4))
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		p, err := bpf.Decode(b, binary.LittleEndian)
		if err != nil {
			t.Fatal(f, err)
		}
		s := verdict.NewSpace(verdict.DefaultBudget)
		v, err := s.Of(p, binary.LittleEndian)
		var refused *bpf.CheckError
		switch name := filepath.Base(f); {
		case name == "misc_alu.bpf":
			// It adds the halves of the instruction pointer: too complex, and said so within the budget.
			if !errors.Is(err, verdict.ErrTooComplex) || s.Len() > verdict.DefaultBudget {
				t.Errorf("%s: %v with %d nodes", name, err, s.Len())
			}
		case name == "all_inst.bpf":
			if !errors.As(err, &refused) {
				t.Errorf("%s: %v, want the kernel's refusal", name, err)
			}
		case err != nil:
			t.Errorf("%s: %v", name, err)
		default:
			agree(t, r, p, binary.LittleEndian, v, 2000)
		}
	}
}

func TestTooComplexIsBounded(t *testing.T) {
	// Each argument is compared with the next: any order of bits needs exponentially many nodes for some of these.
	var p bpf.Program
	for i := range uint32(5) {
		p = append(p,
			bpf.Instruction{Code: bpf.LD | bpf.ABS, K: 16 + 8*i},
			bpf.Instruction{Code: bpf.MISC | bpf.TAX},
			bpf.Instruction{Code: bpf.LD | bpf.ABS, K: 24 + 8*i},
			bpf.Instruction{Code: bpf.JMP | bpf.JGT | bpf.X, Jt: 0, Jf: 1},
			bpf.Instruction{Code: bpf.RET | bpf.K, K: uint32(bpf.Errno) + i})
	}
	p = append(p, bpf.Instruction{Code: bpf.RET | bpf.K, K: uint32(bpf.Allow)})
	for _, budget := range []int{10, 1000, 100_000} {
		s := verdict.NewSpace(budget)
		if _, err := s.Of(p, binary.LittleEndian); !errors.Is(err, verdict.ErrTooComplex) || s.Len() > budget {
			t.Errorf("budget %d: %v with %d nodes", budget, err, s.Len())
		}
	}
}

func TestOfStack(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		var programs []bpf.Program
		for range r.IntN(4) {
			programs = append(programs, randomProgram(r))
		}
		s := verdict.NewSpace(3_000)
		v, err := s.OfStack(programs, binary.LittleEndian)
		if errors.Is(err, verdict.ErrTooComplex) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for range 50 {
			d := randomData(r)
			if got, want := v.At(&d), kernelStack(programs, &d); got != want {
				t.Fatalf("%d filters: %v, want %v", len(programs), got, want)
			}
		}
	}
}

// kernelStack is seccomp_run_filters as the kernel writes it: from the newest, the first of the smallest actions stays.
func kernelStack(programs []bpf.Program, d *bpf.Data) bpf.Action {
	ret := bpf.Allow
	for i := len(programs) - 1; i >= 0; i-- {
		cur := programs[i].Run(d, binary.LittleEndian)
		if int32(cur&0xffff0000) < int32(ret&0xffff0000) {
			ret = cur
		}
	}
	return ret.Canonical()
}

func ExampleVerdict_At() {
	program := bpf.Program{
		{Code: bpf.LD | bpf.ABS, K: bpf.OffsetNr},
		{Code: bpf.JMP | bpf.JEQ, K: 41, Jt: 0, Jf: 1},
		{Code: bpf.RET, K: uint32(bpf.Errno) | 1},
		{Code: bpf.RET, K: uint32(bpf.Allow)},
	}
	v, err := verdict.Of(program, binary.LittleEndian)
	if err != nil {
		panic(err)
	}
	fmt.Println(v.At(&bpf.Data{Nr: 41}), v.At(&bpf.Data{Nr: 42}))
	// Output: errno(1) allow
}
