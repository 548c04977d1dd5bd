package main

import (
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"monban/bpf"
)

var hard = flag.Uint64("hard", 1, "how many random filters TestWorkEnds tries")

// hang is processor time that no command may take. All end within some two seconds; a limit so far above is reached
// only by work that is not charged to the budget, or too little.
const hang = 6 * time.Second

// workers are the commands that work on what a gate means.
var workers = []string{
	"explain FILE", "explain FILE --full", "explain FILE --json", "explain FILE --html OUT",
	"compile FILE -o OUT --goal latency --stats", "lint FILE --min-severity advice", "diff FILE @container",
	"ask FILE ioctl(?,?)", "merge --union FILE @libc", "convert FILE --to oci", "convert FILE --to minijail",
	"convert FILE --to c", "explain FILE --syscall ioctl",
}

// TestWorkEnds gives all commands filters that make the diagrams hard: comparisons of bits, sums and products of words,
// words compared with words, thousands of states. Each must end in an answer or in an error.
func TestWorkEnds(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a minute of work")
	}
	programs := map[string]bpf.Program{
		"a bit of arch":  words(t, "ld [arch]; jset #1, 2, 3; ret #0x7fff0000; ret #0x50001"),
		"bits of arch":   words(t, "ld [arch]; jset #0x55555555, 2, 3; ret #0x7fff0000; ret #0x50001"),
		"nr and arch":    words(t, "ld [arch]; jset #1, 2, 5; ld [nr]; jset #1, 4, 5; ret #0x7fff0000; ret #0x50001"),
		"nr plus arch":   words(t, "ld [nr]; tax; ld [arch]; add x; jset #0x10, 5, 6; ret #0x7fff0000; ret #0x50001"),
		"product":        words(t, "ld [24]; tax; ld [16]; mul x; jset #0x8000, 5, 6; ret #0x7fff0000; ret #0x50001"),
		"answer":         words(t, "ld [16]; and #0xffff; or #0x50000; ret a"),
		"quotient":       words(t, "ld [24]; tax; ld [16]; div x; jeq #3, 5, 6; ret #0x7fff0000; ret #0x50001"),
		"equal words":    words(t, "ld [24]; tax; ld [16]; jeq x, 4, 5; ret #0x7fff0000; ret #0x50001"),
		"arch equals nr": words(t, "ld [nr]; tax; ld [arch]; jgt x, 4, 5; ret #0x7fff0000; ret #0x50001"),
		"many bits":      manyBits(1360),
		"parity":         parity(400),
	}
	for seed := range *hard {
		programs[fmt.Sprint("random ", seed)] = hardProgram(rand.New(rand.NewPCG(seed, 99)))
	}
	files := map[string][]byte{
		"masks":  []byte(hardGate(rand.New(rand.NewPCG(1, 1)), 400, 0)),
		"mix":    []byte(hardGate(rand.New(rand.NewPCG(1, 1)), 1000, 3)),
		"ranges": []byte(hardGate(rand.New(rand.NewPCG(1, 1)), 1000, 2)),
	}
	for seed := range *hard {
		r := rand.New(rand.NewPCG(seed, 98))
		files[fmt.Sprint("random gate ", seed)] = []byte(hardGate(r, []int{20, 100, 400, 2000}[r.IntN(4)], r.IntN(4)))
	}
	for name, p := range programs {
		files[name] = p.Encode(binary.LittleEndian)
	}
	dir := t.TempDir()
	silence(t)
	var worst time.Duration
	var what string
	for name, text := range files {
		file := filepath.Join(dir, "hard")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, line := range workers {
			args := strings.Fields(strings.NewReplacer("FILE", file, "OUT", filepath.Join(dir, "out")).Replace(line))
			begin := cpuTime(t)
			root := newRoot()
			root.SetOut(io.Discard)
			root.SetArgs(args)
			err := root.Execute()
			took := cpuTime(t) - begin
			if took > worst {
				worst, what = took, name+": "+line
			}
			if took > hang {
				t.Errorf("%s: %s: %v of processor time (%v)\n%.2000q", name, line, took, err, text)
			}
		}
	}
	t.Logf("%d gates, %d commands; the longest: %s, %v", len(files), len(workers), what, worst)
}

func silence(t *testing.T) {
	t.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	old := os.Stderr
	os.Stderr = null
	t.Cleanup(func() {
		os.Stderr = old
		null.Close()
	})
}

func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		t.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// words assembles instructions with semicolons between them.
func words(t *testing.T, text string) bpf.Program {
	t.Helper()
	p, err := bpf.Assemble("test", strings.NewReader(strings.ReplaceAll(text, "; ", "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// manyBits asks n times for single bits of words.
func manyBits(n int) bpf.Program {
	r := rand.New(rand.NewPCG(7, 7))
	var p bpf.Program
	for i := range n {
		left := 3*(n-i-1) + 1
		p = append(p, bpf.Instruction{Code: bpf.LD | bpf.W | bpf.ABS, K: uint32(r.IntN(16)) * 4},
			bpf.Instruction{Code: bpf.JMP | bpf.JSET | bpf.K, K: 1 << r.IntN(32), Jt: uint8(min(r.IntN(3), left)), Jf: uint8(min(r.IntN(6), left))},
			bpf.Instruction{Code: bpf.JMP | bpf.JA, K: uint32(min(r.IntN(4), left-1))})
	}
	return append(p, bpf.Instruction{Code: bpf.RET | bpf.K, K: 0x7fff0000}, bpf.Instruction{Code: bpf.RET | bpf.K, K: 0x50001})
}

// parity counts bits in scratch memory.
func parity(n int) bpf.Program {
	r := rand.New(rand.NewPCG(8, 8))
	var p bpf.Program
	for range n {
		p = append(p, bpf.Instruction{Code: bpf.LD | bpf.W | bpf.ABS, K: uint32(r.IntN(16)) * 4},
			bpf.Instruction{Code: bpf.JMP | bpf.JSET | bpf.K, K: 1 << r.IntN(32), Jf: 3},
			bpf.Instruction{Code: bpf.LD | bpf.MEM, K: uint32(r.IntN(4))},
			bpf.Instruction{Code: bpf.ALU | bpf.XOR | bpf.K, K: 1 << r.IntN(8)},
			bpf.Instruction{Code: bpf.ST, K: uint32(r.IntN(4))})
	}
	return append(p, bpf.Instruction{Code: bpf.LD | bpf.MEM}, bpf.Instruction{Code: bpf.JMP | bpf.JSET | bpf.K, K: 1, Jf: 1},
		bpf.Instruction{Code: bpf.RET | bpf.K, K: 0x7fff0000}, bpf.Instruction{Code: bpf.RET | bpf.K, K: 0x50001})
}

// hardGate is a gate for twelve architectures with conditions on the arguments of some calls: masks, values, ranges, or
// all of them.
func hardGate(r *rand.Rand, rules, kind int) string {
	var b strings.Builder
	b.WriteString("arch x86_64 x86 x32 aarch64 arm riscv64 ppc64le mipsel mipsel64 mipsel64n32 loongarch64 sh\ndefault errno(EPERM)\n")
	calls := strings.Fields("read write close ioctl fcntl prctl openat mmap mprotect futex lseek dup3 socket kill getpriority shmget")
	for range rules {
		answer := []string{"allow", fmt.Sprintf("errno(%d)", 1+r.IntN(99)), "log", "kill_process", "trap"}[r.IntN(5)]
		arg, value := r.IntN(2), r.Uint32()>>1
		mask := value & (r.Uint32() >> 1)
		lo := r.Uint32N(value + 1)
		conditions := []string{
			fmt.Sprintf("arg%d & %#x == %#x", arg, mask|1, mask&r.Uint32()), fmt.Sprintf("arg%d == %#x", arg, value), fmt.Sprintf("arg%d in {%#x..%#x}", arg, lo, value),
		}
		of := kind
		if kind == len(conditions) {
			of = r.IntN(len(conditions))
		}
		fmt.Fprintf(&b, "%s %s(%s)\n", answer, calls[r.IntN(len(calls))], conditions[of])
	}
	return b.String()
}

// hardProgram is a random program, of few instructions or of thousands, with every kind of them.
func hardProgram(r *rand.Rand) bpf.Program {
	for {
		n := []int{5, 8, 14, 40, 400, 4000}[r.IntN(6)]
		p := make(bpf.Program, n)
		for i := range p {
			p[i] = hardInstruction(r, n-1-i)
		}
		if p.Check() == nil {
			return p
		}
	}
}

func hardInstruction(r *rand.Rand, left int) bpf.Instruction {
	actions := []uint32{0x7fff0000, 0x00050001, 0x00050002, 0x80000000, 0x7ffc0000}
	if left == 0 {
		return bpf.Instruction{Code: bpf.RET | bpf.K, K: actions[r.IntN(len(actions))]}
	}
	mask := []uint32{1, 3, 0x80, 0x10001, 0x55555555, 0x80000000, 0xfffffffe, r.Uint32()}[r.IntN(8)]
	source := uint16(r.IntN(2)) * bpf.X
	switch r.IntN(12) {
	case 0, 1, 2, 3:
		return bpf.Instruction{Code: bpf.LD | bpf.W | bpf.ABS, K: uint32(r.IntN(16)) * 4}
	case 4:
		return bpf.Instruction{Code: []uint16{bpf.MISC | bpf.TAX, bpf.MISC | bpf.TXA, bpf.ST, bpf.STX, bpf.LD | bpf.MEM, bpf.LDX | bpf.MEM}[r.IntN(6)]}
	case 5:
		op := []uint16{bpf.ADD, bpf.SUB, bpf.AND, bpf.OR, bpf.XOR, bpf.MUL, bpf.DIV}[r.IntN(7)]
		return bpf.Instruction{Code: bpf.ALU | op | source, K: mask}
	case 6:
		return bpf.Instruction{Code: bpf.ALU | []uint16{bpf.LSH, bpf.RSH}[r.IntN(2)] | bpf.K, K: uint32(r.IntN(32))}
	case 7:
		if r.IntN(6) == 0 {
			return bpf.Instruction{Code: bpf.RET | bpf.K, K: actions[r.IntN(len(actions))]}
		}
		return bpf.Instruction{Code: bpf.JMP | bpf.JA, K: uint32(r.IntN(min(left, 3)))}
	default:
		op := []uint16{bpf.JEQ, bpf.JGT, bpf.JGE, bpf.JSET, bpf.JSET, bpf.JSET}[r.IntN(6)]
		return bpf.Instruction{Code: bpf.JMP | op | source, K: mask, Jt: uint8(r.IntN(min(left, 5))), Jf: uint8(r.IntN(min(left, 5)))}
	}
}
