package policy_test

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/policy"
	"monban/verdict"
)

// Decompiling proves itself; here is that it works on whatever a policy can say, and that its text loads to the same meaning.
func TestDecompileRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	done := 0
	for range 150 {
		p, err := load(randomSource(r), allArchs...)
		if err != nil {
			continue
		}
		s := verdict.NewSpace(verdict.DefaultBudget)
		v := meaning(t, s, p)
		q, notes, err := policy.FromVerdict("random", v, abi.X86_64, nil)
		if err != nil || len(notes) > 0 {
			t.Fatalf("%s\n%v %v", p, notes, err)
		}
		again, err := load(q.String(), q.Archs...)
		if err != nil {
			t.Fatalf("%s\n%v", q, err)
		}
		if meaning(t, s, again) != v {
			t.Fatalf("the text means something else:\n%s", q)
		}
		done++
	}
	if done < 30 {
		t.Errorf("only %d policies decompiled", done)
	}
}

// prctl's second argument is called arg2 in its manual page, and io_submit's nr: neither may be read back as something else.
func TestDecompileOddNames(t *testing.T) {
	p, err := load("allow prctl(arg1 == 5) io_submit(arg1 == 5)\nallow any(nr == 5000)")
	if err != nil {
		t.Fatal(err)
	}
	s := verdict.NewSpace(100_000)
	v := meaning(t, s, p)
	q, notes, err := policy.FromVerdict("odd", v, abi.X86_64, nil)
	if err != nil || len(notes) > 0 {
		t.Fatal(notes, err)
	}
	again, err := load(q.String())
	if err != nil || meaning(t, s, again) != v {
		t.Errorf("the text means something else (%v):\n%s", err, q)
	}
	left := v.Restrict(verdict.Arch, abi.X86_64.Token()).Restrict(verdict.Nr, number(t, abi.X86_64, "prctl"))
	outcomes, err := policy.Outcomes(abi.X86_64, "prctl", left)
	if err != nil || len(outcomes) != 2 || policy.PrintExpr(outcomes[0].Cond) != "arg1 == 5" {
		t.Errorf("prctl is allowed if %v (%v), want arg1 == 5", outcomes, err)
	}
}

func TestDecompileCorpus(t *testing.T) {
	dir := os.Getenv("MONBAN_CORPUS")
	if dir == "" {
		t.Skip("needs MONBAN_CORPUS, the directory of other projects' policies")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.bpf"))
	if err != nil {
		t.Fatal(err)
	}
	compiled, err := filepath.Glob(filepath.Join(dir, "minijail", "x86_64", "compiled", "*"))
	if err != nil {
		t.Fatal(err)
	}
	done := 0
	for _, f := range append(files, compiled...) {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		p, err := bpf.Decode(b, binary.LittleEndian)
		if err != nil || p.Check() != nil {
			continue
		}
		s := verdict.NewSpace(verdict.DefaultBudget)
		v, err := s.Of(p, binary.LittleEndian)
		if err != nil {
			continue // misc_alu.bpf
		}
		q, notes, err := policy.FromVerdict(filepath.Base(f), v, abi.X86_64, nil)
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(f), err)
			continue
		}
		again, err := load(q.String(), q.Archs...)
		if err != nil {
			t.Errorf("%s: %v\n%s", filepath.Base(f), err, q)
			continue
		}
		if w := meaning(t, s, again); len(notes) == 0 && w != v {
			t.Errorf("%s: the text means something else", filepath.Base(f))
		}
		done++
	}
	if done < 20 {
		t.Errorf("only %d programs decompiled", done)
	}
}
