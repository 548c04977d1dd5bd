package decompile_test

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/policy"
	"monban/policy/decompile"
	"monban/policy/internal/random"
	"monban/policy/lang"
	"monban/verdict"
)

func load(src string, archs ...abi.Arch) (*policy.Policy, error) {
	if archs == nil {
		archs = []abi.Arch{abi.X86_64}
	}
	return lang.Load("t.gate", []byte(src), lang.Options{Archs: archs, Native: archs[0]})
}

func meaning(t *testing.T, s *verdict.Space, p *policy.Policy) verdict.Verdict {
	t.Helper()
	v, err := p.Verdict(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Decompiling proves itself; here is that it works on whatever a policy can say, and that its text loads to the same
// meaning.
func TestDecompileRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	done := 0
	for range 150 {
		p, err := load(random.Source(r), abi.X86_64, abi.X86, abi.X32, abi.AArch64)
		if err != nil {
			continue
		}
		s := verdict.NewSpace(verdict.DefaultBudget)
		v := meaning(t, s, p)
		q, notes, err := decompile.Policy("random", v, abi.X86_64, nil)
		if err != nil || len(notes) > 0 {
			t.Fatalf("%s\n%v %v", lang.Print(p), notes, err)
		}
		again, err := load(lang.Print(q), q.Archs...)
		if err != nil {
			t.Fatalf("%s\n%v", lang.Print(q), err)
		}
		if meaning(t, s, again) != v {
			t.Fatalf("the text means something else:\n%s", lang.Print(q))
		}
		done++
	}
	if done < 30 {
		t.Errorf("only %d policies decompiled", done)
	}
}

// prctl's second argument is called arg2 in its manual page, and io_submit's nr: neither may be read back as something
// else.
func TestDecompileOddNames(t *testing.T) {
	p, err := load("allow prctl(arg1 == 5) io_submit(arg1 == 5)\nallow any(nr == 5000)")
	if err != nil {
		t.Fatal(err)
	}
	s := verdict.NewSpace(100_000)
	v := meaning(t, s, p)
	q, notes, err := decompile.Policy("odd", v, abi.X86_64, nil)
	if err != nil || len(notes) > 0 {
		t.Fatal(notes, err)
	}
	again, err := load(lang.Print(q))
	if err != nil || meaning(t, s, again) != v {
		t.Errorf("the text means something else (%v):\n%s", err, lang.Print(q))
	}
	prctl, _ := abi.X86_64.Number("prctl")
	left := v.Restrict(verdict.Arch, abi.X86_64.Token()).Restrict(verdict.Nr, prctl)
	outcomes, err := decompile.Outcomes(abi.X86_64, "prctl", left)
	if err != nil || len(outcomes) != 2 || outcomes[0].Cond.String() != "arg1 == 5" {
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
		q, notes, err := decompile.Policy(filepath.Base(f), v, abi.X86_64, nil)
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(f), err)
			continue
		}
		again, err := load(lang.Print(q), q.Archs...)
		if err != nil {
			t.Errorf("%s: %v\n%s", filepath.Base(f), err, lang.Print(q))
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
