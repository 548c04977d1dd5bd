package verdict_test

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"monban/bpf"
	"monban/verdict"
)

// sweepProgram is a run of comparisons of a few words with a few constants, with joins, masks, loads of the same and of
// earlier words in between, and every kind of comparison.
func sweepProgram(r *rand.Rand, constants []uint32) bpf.Program {
	n := 8 + r.IntN(40)
	offsets := []uint32{bpf.OffsetNr, bpf.OffsetNr, bpf.OffsetArch, bpf.OffsetArgs}
	p := bpf.Program{{Code: bpf.LD | bpf.W | bpf.ABS, K: offsets[r.IntN(len(offsets))]}}
	for len(p) < n {
		left := n + 1 - len(p) // instructions after this one, the rets at the end counted
		k := constants[r.IntN(len(constants))]
		jump := bpf.Instruction{Jt: uint8(r.IntN(min(left-1, 12))), Jf: uint8(r.IntN(min(left-1, 12))), K: k}
		switch r.IntN(20) {
		case 0:
			p = append(p, bpf.Instruction{Code: bpf.LD | bpf.W | bpf.ABS, K: offsets[r.IntN(len(offsets))]})
		case 1:
			masks := []uint32{0xbfffffff, 0xff, 0xfff0, 0xffff00ff}
			p = append(p, bpf.Instruction{Code: bpf.ALU | bpf.AND | bpf.K, K: masks[r.IntN(len(masks))]})
		case 2:
			p = append(p, bpf.Instruction{Code: bpf.RET | bpf.K, K: uint32(bpf.Errno) | k&7})
		case 3:
			p = append(p, bpf.Instruction{Code: bpf.JMP | bpf.JA, K: uint32(r.IntN(min(left, 5)))})
		case 4:
			jump.Code = bpf.JMP | bpf.JSET | bpf.K
			p = append(p, jump)
		default:
			ops := []uint16{bpf.JEQ, bpf.JGE, bpf.JGT}
			jump.Code = bpf.JMP | ops[r.IntN(3)] | bpf.K
			p = append(p, jump)
		}
	}
	return append(p, bpf.Instruction{Code: bpf.RET | bpf.K, K: uint32(bpf.Allow)}, bpf.Instruction{Code: bpf.RET | bpf.K})
}

func TestSweep(t *testing.T) {
	for seed := range uint64(3000) {
		sweepAgrees(t, seed)
	}
}

func FuzzSweep(f *testing.F) {
	f.Add(uint64(1 << 32))
	f.Fuzz(func(t *testing.T, seed uint64) { sweepAgrees(t, seed) })
}

func sweepAgrees(t *testing.T, seed uint64) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 11))
	constants := []uint32{0, 1, 5, 0x7fffffff, 0x40000000, 0xffffffff, r.Uint32N(10), r.Uint32N(400), r.Uint32N(400), r.Uint32()}
	p := sweepProgram(r, constants)
	v, err := verdict.NewSpace(200_000).Of(p, binary.LittleEndian)
	if err != nil {
		t.Fatalf("seed %d: %v\n%v", seed, err, p)
	}
	near := func() uint32 { return constants[r.IntN(len(constants))] + r.Uint32N(3) - 1 }
	for range 60 {
		d := bpf.Data{Arch: near(), Nr: near()}
		d.Args[0] = uint64(near())
		want := p.Run(&d, binary.LittleEndian).Canonical()
		if got := v.At(&d); got != want {
			t.Fatalf("seed %d: %v\n%+v: the interpreter says %v, the verdict %v", seed, p, d, want, got)
		}
	}
}
