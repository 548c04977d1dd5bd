package compile

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/policy"
	"monban/policy/lang"
	"monban/verdict"
)

var allFaults = flag.Bool("all-faults", false, "inject every fault at every instruction of long programs, too, not a tenth of them")

// A mistake is one that a generator could make in an instruction: spoil changes it in place, and ok is false where it
// has nothing to change.
type mistake struct {
	class string
	spoil func(in *bpf.Instruction, site int) (ok bool)
}

// dropped stands for an instruction that is left out; it is not an instruction.
var dropped = bpf.Instruction{Code: 0xffff}

func isJump(in *bpf.Instruction) bool { return in.Code&7 == bpf.JMP && in.Code != bpf.JMP|bpf.JA }
func isLoad(in *bpf.Instruction) bool { return in.Code&7 == bpf.LD }
func isAnd(in *bpf.Instruction) bool  { return in.Code&7 == bpf.ALU }
func isRet(in *bpf.Instruction) bool  { return in.Code&7 == bpf.RET }

func onJump(change func(in *bpf.Instruction)) func(*bpf.Instruction, int) bool {
	return func(in *bpf.Instruction, _ int) bool {
		if isJump(in) {
			change(in)
		}
		return isJump(in)
	}
}

func onConstant(change func(k uint32, site int) uint32) func(*bpf.Instruction, int) bool {
	return func(in *bpf.Instruction, site int) bool {
		if isJump(in) || isAnd(in) {
			in.K = change(in.K, site)
		}
		return isJump(in) || isAnd(in)
	}
}

func onCode(from, to uint16) func(*bpf.Instruction, int) bool {
	return func(in *bpf.Instruction, _ int) bool {
		is := in.Code == from
		if is {
			in.Code = to
		}
		return is
	}
}

func onLoad(from func(k uint32) bool, change func(k uint32) uint32) func(*bpf.Instruction, int) bool {
	return func(in *bpf.Instruction, _ int) bool {
		is := isLoad(in) && from(in.K)
		if is {
			in.K = change(in.K)
		}
		return is
	}
}

func onRet(change func(a bpf.Action) bpf.Action) func(*bpf.Instruction, int) bool {
	return func(in *bpf.Instruction, _ int) bool {
		if isRet(in) {
			in.K = uint32(change(bpf.Action(in.K)))
		}
		return isRet(in)
	}
}

const (
	jeqK  = bpf.JMP | bpf.JEQ | bpf.K
	jgtK  = bpf.JMP | bpf.JGT | bpf.K
	jgeK  = bpf.JMP | bpf.JGE | bpf.K
	jsetK = bpf.JMP | bpf.JSET | bpf.K
)

var mistakes = []mistake{
	{"jump", onJump(func(in *bpf.Instruction) { in.Jt, in.Jf = in.Jf, in.Jt })},
	{"jump", onJump(func(in *bpf.Instruction) { in.Jt++ })},
	{"jump", onJump(func(in *bpf.Instruction) { in.Jt-- })},
	{"jump", onJump(func(in *bpf.Instruction) { in.Jf++ })},
	{"jump", onJump(func(in *bpf.Instruction) { in.Jf-- })},
	{"jump", func(in *bpf.Instruction, _ int) bool { in.K++; return in.Code == bpf.JMP|bpf.JA }},
	{"jump", func(in *bpf.Instruction, _ int) bool { in.K--; return in.Code == bpf.JMP|bpf.JA }},
	{"constant", onConstant(func(k uint32, _ int) uint32 { return k + 1 })},
	{"constant", onConstant(func(k uint32, _ int) uint32 { return k - 1 })},
	{"constant", onConstant(func(k uint32, site int) uint32 { return k ^ 1<<(site%32) })},
	{"constant", onConstant(func(k uint32, site int) uint32 { return k ^ 1<<(site%8) })},
	{"constant", onConstant(func(k uint32, _ int) uint32 { return bits.RotateLeft32(k, 16) })},
	{"operator", onCode(jeqK, jgeK)},
	{"operator", onCode(jeqK, jsetK)},
	{"operator", onCode(jgeK, jgtK)},
	{"operator", onCode(jgeK, jeqK)},
	{"operator", onCode(jsetK, jeqK)},
	{"operator", onCode(jsetK, jgeK)},
	{"operator", onCode(bpf.ALU|bpf.AND|bpf.K, bpf.ALU|bpf.OR|bpf.K)},
	{"reload", func(in *bpf.Instruction, _ int) bool { is := isLoad(in); *in = dropped; return is }},
	{"reload", onLoad(func(k uint32) bool { return k >= bpf.OffsetIP }, func(k uint32) uint32 { return k ^ 4 })},      // the other half
	{"reload", onLoad(func(k uint32) bool { return k >= bpf.OffsetIP }, func(k uint32) uint32 { return k ^ 8 })},      // another argument
	{"reload", onLoad(func(k uint32) bool { return k >= bpf.OffsetIP }, func(uint32) uint32 { return bpf.OffsetNr })}, // the number
	{"reload", onLoad(func(k uint32) bool { return k < bpf.OffsetIP }, func(k uint32) uint32 { return k ^ 4 })},       // arch for nr
	{"dropped", func(in *bpf.Instruction, _ int) bool { is := !isLoad(in); *in = dropped; return is }},
	{"ret", onRet(func(a bpf.Action) bpf.Action {
		if a == bpf.Allow {
			return bpf.Errno | 1
		}
		return bpf.Allow
	})},
	{"ret", onRet(func(a bpf.Action) bpf.Action {
		if a == bpf.KillProcess {
			return bpf.KillThread
		}
		return bpf.KillProcess
	})},
	{"ret", onRet(func(a bpf.Action) bpf.Action { return a ^ 1 })}, // nothing to an allow, which has no data
}

// A subject is a policy whose program is to be spoiled.
type subject struct {
	name  string
	p     *policy.Policy
	order binary.ByteOrder
	share int // of the faults one in so many is injected
}

func subjects(t *testing.T) []subject {
	var all []subject
	for _, c := range []struct {
		preset string
		archs  []abi.Arch
		share  int
	}{
		{"@container", []abi.Arch{abi.X86_64}, 1},
		{"@container", []abi.Arch{abi.X86_64, abi.X86, abi.X32}, 10},
		{"@container", []abi.Arch{abi.S390X, abi.S390}, 10},
		{"@libc", []abi.Arch{abi.AArch64, abi.ARM}, 10},
		{"@compute", []abi.Arch{abi.RISCV64}, 1},
	} {
		p, err := lang.LoadPreset(c.preset, lang.Options{Archs: c.archs, Native: c.archs[0]})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, subject{c.preset + " on " + names(c.archs), p, c.archs[0].ByteOrder(), c.share})
	}
	for seed := uint64(0); len(all) < 15; seed++ {
		g := randomGate(rand.New(rand.NewPCG(seed, 3)), anything)
		p, err := lang.Load("random.gate", []byte(g.String()), lang.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if order, err := p.ByteOrder(); err == nil {
			all = append(all, subject{fmt.Sprintf("random %d on %s", seed, names(g.archs)), p, order, 3})
		}
	}
	return all
}

func (s *subject) verdict(t *testing.T) verdict.Verdict {
	v, err := s.p.Verdict(verdict.NewSpace(4 * verdict.DefaultBudget))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// spoiled is Program with a fault: what it puts at a site is changed.
func spoiled(v verdict.Verdict, order binary.ByteOrder, site int, m mistake) (bpf.Program, error) {
	n := 0
	fault = func(l *layout, r ref) {
		if n++; n-1 != site {
			return
		}
		last := len(l.out) - 1
		if m.spoil(&l.out[last], site); l.out[last] == dropped {
			l.out, l.at[r] = l.out[:last], last-1 // jumps to it go to what comes next
		}
	}
	defer func() { fault = nil }()
	p, err := Options{}.generate(v, order)
	if err != nil {
		return nil, err
	}
	return p, Prove(p, v, order)
}

// A mistake of the generator never gets out: Program refuses, with a witness that is true, or the program means the
// same, as the interpreter confirms.
func TestFaults(t *testing.T) {
	type count struct{ injected, unproven, inadmissible, harmless int }
	counts := map[string]*count{}
	for _, m := range mistakes {
		counts[m.class] = &count{}
	}
	for _, s := range subjects(t) {
		var put []bpf.Instruction
		fault = func(l *layout, _ ref) { put = append(put, l.out[len(l.out)-1]) }
		good, err := Program(s.verdict(t), s.order, Options{})
		fault = nil
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		for site, in := range put {
			var v verdict.Verdict
			for i, m := range mistakes {
				bad := in
				if !m.spoil(&bad, site) || bad == in || !*allFaults && (site+i)%s.share != 0 {
					continue
				}
				if v.Space() == nil {
					v = s.verdict(t)
				}
				c := counts[m.class]
				c.injected++
				p, err := spoiled(v, s.order, site, m)
				_, refused := errors.AsType[*bpf.CheckError](err)
				switch {
				case refused:
					c.inadmissible++
					err = nil
				case errors.Is(err, ErrNotProven):
					c.unproven++
					err = s.witness(good, p, err)
				case err == nil:
					c.harmless++
					err = s.same(good, p)
				}
				if err != nil {
					t.Fatalf("%s: %s fault, %v became %v at %d: %v", s.name, m.class, in, bad, site, err)
				}
			}
		}
	}
	var sum count
	for _, class := range []string{"jump", "constant", "operator", "reload", "dropped", "ret"} {
		c := counts[class]
		if c.unproven < 20 {
			t.Errorf("%s: only %d faults were caught by the proof", class, c.unproven)
		}
		t.Logf("%-9s %6d injected: %6d not proven, %5d inadmissible, %5d harmless", class, c.injected, c.unproven, c.inadmissible, c.harmless)
		sum.injected += c.injected
		sum.harmless += c.harmless
	}
	if sum.harmless*10 > sum.injected {
		t.Errorf("%d of %d faults changed nothing: the programs have much that is not needed", sum.harmless, sum.injected)
	}
}

// witness checks that the call that a proof's error names is answered as it says.
func (s *subject) witness(good, bad bpf.Program, err error) error {
	_, text, _ := strings.Cut(err.Error(), ErrNotProven.Error())
	var got, want string
	var d bpf.Data
	a := &d.Args
	n, scan := fmt.Sscanf(strings.NewReplacer("[", "", "]", "", ",", "").Replace(text),
		": it answers %s where the policy answers %s for arch %v nr %v args %v %v %v %v %v %v ip %v",
		&got, &want, &d.Arch, &d.Nr, &a[0], &a[1], &a[2], &a[3], &a[4], &a[5], &d.IP)
	if scan != nil {
		return fmt.Errorf("%w: read %d parts of it: %w", err, n, scan)
	}
	dec, decideErr := s.p.Decide(&d)
	if decideErr != nil {
		return decideErr
	}
	said, says := bad.Run(&d, s.order).String(), good.Run(&d, s.order).String()
	if said != got || says != want || dec.Action.String() != want || got == want {
		return fmt.Errorf("a false witness: %w: the program says %s, the good one %s, the rules %v", err, said, says, dec.Action)
	}
	return nil
}

// same asks the interpreter, which knows nothing of the proof, whether two programs differ in any call around their
// constants.
func (s *subject) same(good, bad bpf.Program) error {
	r := rand.New(rand.NewPCG(7, 7))
	var edges []uint64
	for _, in := range slices.Concat(good, bad) {
		if isJump(&in) || isAnd(&in) {
			k := uint64(in.K)
			edges = append(edges, k-1, k, k+1, uint64(^in.K), k<<32, (k-1)<<32, k<<32|uint64(r.IntN(4)))
		}
	}
	check := func(d *bpf.Data, times int) (err error) {
		for range times {
			for i := range d.Args {
				d.Args[i] = near(r, edges, 2)
			}
			d.IP = near(r, edges, 2)
			if a, b := good.Run(d, s.order).Canonical(), bad.Run(d, s.order).Canonical(); a != b {
				return fmt.Errorf("proven equal, but %v became %v for %+v", a, b, *d)
			}
		}
		return nil
	}
	for _, a := range s.p.Archs {
		numbers := []uint32{r.Uint32()}
		for _, k := range edges {
			numbers = append(numbers, uint32(k))
		}
		for nr := range a.Calls() {
			numbers = append(numbers, nr-1, nr, nr+1, nr^abi.X32Bit)
		}
		slices.Sort(numbers)
		for _, nr := range slices.Compact(numbers) {
			d := bpf.Data{Arch: a.Token(), Nr: nr}
			looks := false
			good.Trace(&d, s.order, func(pc int) { looks = looks || isLoad(&good[pc]) && good[pc].K >= bpf.OffsetIP })
			times := 2
			if looks {
				times = 200
			}
			if err := check(&d, times); err != nil {
				return err
			}
		}
	}
	return check(&bpf.Data{Arch: uint32(pick(r, edges...)), Nr: r.Uint32()}, 10)
}
