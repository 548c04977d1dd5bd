package compile

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/policy/lang"
	"monban/verdict"
)

var families = [][]abi.Arch{
	{abi.X86_64}, {abi.X86_64, abi.X86, abi.X32}, {abi.AArch64, abi.ARM}, {abi.S390X, abi.S390}, {abi.MIPS64, abi.MIPS, abi.MIPS64N32},
	{abi.RISCV64}, {abi.PPC64LE}, {abi.LoongArch64}, {abi.X86}, {abi.X32},
}

func presetVerdict(tb testing.TB, name string, archs []abi.Arch) (verdict.Verdict, binary.ByteOrder) {
	tb.Helper()
	p, err := lang.LoadPreset(name, lang.Options{Archs: archs, Native: archs[0]})
	if err != nil {
		tb.Fatal(err)
	}
	v, err := p.Verdict(verdict.NewSpace(verdict.DefaultBudget))
	if err != nil {
		tb.Fatal(err)
	}
	return v, archs[0].ByteOrder()
}

// cacheable checks that each call which is plainly allowed is answered by the kernel's cache, and no other.
func cacheable(t *testing.T, what string, p bpf.Program, v verdict.Verdict, archs []abi.Arch) {
	t.Helper()
	for _, a := range archs {
		for nr, call := range a.Calls() {
			do, constant := v.Restrict(verdict.Arch, a.Token()).Restrict(verdict.Nr, nr).Constant()
			if want := constant && do == bpf.Allow; p.CachesAllow(a.Token(), nr) != want {
				t.Errorf("%s: the kernel's cache answers %s on %s: %v, want %v", what, call, a, !want, want)
				return
			}
		}
	}
}

func TestPresets(t *testing.T) {
	for _, name := range lang.Presets() {
		for _, archs := range families {
			v, order := presetVerdict(t, name, archs)
			p, err := Program(v, order, Options{})
			if err != nil {
				t.Errorf("%s %v: %v", name, archs, err)
				continue
			}
			if err := p.Check(); err != nil {
				t.Errorf("%s %v: %v", name, archs, err)
			}
			cacheable(t, name, p, v, archs)
		}
	}
}

// The sizes that the notes on other compilers measure against.
func TestCorpusPrograms(t *testing.T) {
	dir := os.Getenv("MONBAN_CORPUS")
	if dir == "" {
		t.Skip("needs MONBAN_CORPUS, the directory of other projects' policies")
	}
	var files []string
	for _, pattern := range []string{"bpf/*.bpf", "libseccomp/bpf/*.bpf", "minijail/x86_64/compiled/*"} {
		more, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, more...)
	}
	done := 0
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		order, err := bpf.GuessOrder(b)
		if err != nil {
			continue
		}
		p, err := bpf.Decode(b, order)
		if err != nil {
			t.Fatal(f, err)
		}
		v, err := verdict.Of(p, order)
		if errors.Is(err, verdict.ErrTooComplex) {
			continue
		}
		if err != nil {
			t.Fatal(f, err)
		}
		q, err := Program(v, order, Options{})
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(f), err)
			continue
		}
		if len(q) > len(p) {
			t.Errorf("%s: %d instructions became %d", filepath.Base(f), len(p), len(q))
		}
		cacheable(t, filepath.Base(f), q, v, []abi.Arch{abi.X86_64, abi.X86, abi.AArch64})
		done++
	}
	if done < 50 {
		t.Errorf("only %d programs compiled", done)
	}
}

// randomVerdict is a policy over a few numbers and architectures with nested conditions of every kind.
func randomVerdict(r *rand.Rand, s *verdict.Space) verdict.Verdict {
	// What a policy can say, and more: tests of single bits of numbers.
	actions := []bpf.Action{bpf.Allow, bpf.Log, bpf.Errno | 1, bpf.Errno | 38, bpf.Trap | 3, bpf.Trace | 9, bpf.Notify, bpf.KillThread, bpf.KillProcess}
	constants := []uint64{0, 1, 2, 3, 5, 0xff, 1 << 31, 1<<32 - 1, 1 << 32, 1<<32 + 5, 1<<63 - 1, 1 << 63, ^uint64(0)}
	var leaf func(depth int) verdict.Node
	leaf = func(depth int) verdict.Node {
		if depth == 0 || r.IntN(4) == 0 {
			return s.Action(actions[r.IntN(len(actions))])
		}
		f := verdict.Register(r.IntN(6))
		if r.IntN(2) == 0 {
			f.Bits, f.Mask = 32, 0xffffffff
		}
		if r.IntN(3) == 0 {
			f.Mask &= []uint64{0xff, 0x7e020000, 0x80000001, 0xff00000000, 4}[r.IntN(5)]
		}
		cond := s.Compare(f, verdict.Op(r.IntN(6)), r.IntN(3) == 0, constants[r.IntN(len(constants))]&(^uint64(0)>>(64-f.Bits)))
		if r.IntN(3) == 0 {
			cond = s.Or(cond, s.Compare(verdict.Register(r.IntN(6)), verdict.EQ, false, constants[r.IntN(len(constants))]))
		}
		return s.If(cond, leaf(depth-1), leaf(depth-1))
	}
	numbers := func() verdict.Node {
		var cases []verdict.Case
		nr := uint32(0)
		for range 1 + r.IntN(40) {
			lo := nr + uint32(r.IntN(5))
			hi := lo + uint32(r.IntN(4)*r.IntN(4))
			if r.IntN(30) == 0 {
				lo, hi = 0x40000000+lo, 0x40000000+hi
			}
			if lo < nr {
				break
			}
			cases = append(cases, verdict.Case{Lo: lo, Hi: hi, Then: leaf(r.IntN(3))})
			nr = hi + 1
		}
		n := s.Patch(verdict.Nr, cases, leaf(0))
		if r.IntN(8) == 0 {
			bit := verdict.Single(verdict.Nr)
			bit.Mask = 1 << r.IntN(32)
			n = s.If(s.Compare(bit, verdict.EQ, false, 0), n, leaf(1))
		}
		return n
	}
	var cases []verdict.Case
	for _, token := range []uint32{0x40000003, 0xc000003e, 0xc00000b7} {
		if r.IntN(2) == 0 {
			cases = append(cases, verdict.Case{Lo: token, Hi: token, Then: numbers()})
		}
	}
	return s.Verdict(s.Patch(verdict.Arch, cases, leaf(0)))
}

func checkRandom(t *testing.T, seed uint64) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 17))
	s := verdict.NewSpace(verdict.DefaultBudget)
	v := randomVerdict(r, s)
	order := []binary.ByteOrder{binary.LittleEndian, binary.BigEndian}[r.IntN(2)]
	p, err := Program(v, order, Options{})
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	edges := []uint64{0, 1, 2, 4, 5, 6, 0xff, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1<<32 + 5, 1 << 63, ^uint64(0)}
	for range 100 {
		d := bpf.Data{Arch: []uint32{0x40000003, 0xc000003e, 0xc00000b7, 5}[r.IntN(4)], Nr: uint32(r.IntN(150))}
		if r.IntN(10) == 0 {
			d.Nr = r.Uint32()
		}
		for i := range d.Args {
			d.Args[i] = edges[r.IntN(len(edges))]
		}
		if got, want := p.Run(&d, order).Canonical(), v.At(&d); got != want {
			t.Fatalf("seed %d %+v: the program says %v, the policy %v", seed, d, got, want)
		}
	}
}

func TestRandomPolicies(t *testing.T) {
	for seed := range uint64(400) {
		checkRandom(t, seed)
	}
}

func FuzzCompile(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) { checkRandom(t, seed) })
}

// Long programs need jumps beyond the reach of a conditional one.
func TestLongPrograms(t *testing.T) {
	for _, n := range []int{100, 500, 1200} {
		s := verdict.NewSpace(verdict.DefaultBudget)
		var cases []verdict.Case
		for i := range uint32(n) {
			f := verdict.Register(int(i % 6))
			cases = append(cases, verdict.Case{Lo: 2 * i, Hi: 2 * i, Then: s.If(s.Compare(f, verdict.EQ, false, uint64(i)<<32|7), s.Action(bpf.Allow), s.Action(bpf.Errno|bpf.Action(i%4000)))})
		}
		v := s.Verdict(s.Patch(verdict.Nr, cases, s.Action(bpf.KillProcess)))
		for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
			p, err := Program(v, order, Options{})
			switch {
			case n == 1200:
				if !errors.Is(err, ErrTooLong) {
					t.Errorf("%d conditions, %v: %v with %d instructions, want ErrTooLong", n, order, err, len(p))
				}
			case err != nil:
				t.Errorf("%d conditions, %v: %v", n, order, err)
			case p.Check() != nil:
				t.Errorf("%d conditions, %v: %v", n, order, p.Check())
			}
		}
	}
}
