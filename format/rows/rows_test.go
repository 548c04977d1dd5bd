package rows_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/format/rows"
	"monban/policy"
	"monban/policy/lang"
	"monban/verdict"
)

var families = [][]abi.Arch{
	{abi.X86_64}, {abi.X86_64, abi.X86, abi.X32}, {abi.AArch64, abi.ARM}, {abi.S390X, abi.S390}, {abi.MIPS64, abi.MIPS, abi.MIPS64N32},
	{abi.PPC64LE}, {abi.X86_64, abi.X86, abi.AArch64, abi.ARM, abi.RISCV64},
}

// check rebuilds a policy's verdict from rows, call by call, and says how many rows it took.
func check(t *testing.T, p *policy.Policy) int {
	t.Helper()
	s := verdict.NewSpace(verdict.DefaultBudget)
	v, err := p.Verdict(s)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, otherwise := range []bpf.Action{rows.None, bpf.Allow, bpf.Errno | 1} {
		entries, err := rows.Entries(v, p.Archs, otherwise)
		if err != nil {
			if strings.Contains(err.Error(), "instruction pointer") {
				return -1
			}
			t.Fatalf("%s\n%v", lang.Print(p), err)
		}
		said := map[string][]rows.Row{}
		for _, e := range entries {
			n += len(e.Rows)
			for _, a := range e.Archs {
				said[fmt.Sprint(e.Name, a)] = e.Rows
			}
			for _, r := range e.Rows {
				for i := range r.Tests {
					if i > 0 && r.Tests[i].Arg <= r.Tests[i-1].Arg {
						t.Fatalf("%s tests an argument twice: %s", e.Name, r)
					}
				}
			}
		}
		for _, a := range p.Archs {
			calls, err := rows.Calls(v, a)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range calls {
				list := said[fmt.Sprint(c.Name, a)]
				// In whatever order they are tried.
				for range 2 {
					if got, err := rows.Meaning(s, a, list, otherwise); err != nil || got != c.Left {
						t.Fatalf("%s\n%s: %v (otherwise %s) does not mean the same: %v", lang.Print(p), c, list, otherwise, verdict.Differences(c.Left, got))
					}
					slices.Reverse(list)
				}
				if most, err := rows.Most(c.Left); err != nil || !slices.Contains(slices.Collect(c.Left.Actions()), most) {
					t.Fatalf("%s: most of it gets %s, which it never does", c, most)
				}
			}
		}
	}
	return n
}

func TestPresets(t *testing.T) {
	for _, name := range lang.Presets() {
		for _, archs := range families {
			p, err := lang.LoadPreset(name, lang.Options{Archs: archs, Native: archs[0]})
			if err != nil {
				t.Fatalf("%s on %v: %v", name, archs, err)
			}
			t.Logf("%s on %v: %d rows", name, archs, check(t, p))
		}
	}
}

// Conditions, and the fewest rows that say them.
func TestFew(t *testing.T) {
	for _, c := range []struct{ cond, want string }{
		{"arg0 == 5", "[allow(arg0 == 0x5)]"},
		{"arg0 != 5", "[allow(arg0 != 0x5)]"},
		{"arg0 <= 5", "[allow(arg0 <= 0x5)]"},
		{"arg0 > 5", "[allow(arg0 >= 0x6)]"},
		{"arg0 in {3, 9}", "[allow(arg0 == 0x3) allow(arg0 == 0x9)]"},
		{"arg0 in 8..15", "[allow(arg0 & 0xfffffffffffffff8 == 0x8)]"},
		{"!(arg0 in 8..9)", "[allow(arg0 <= 0x7) allow(arg0 >= 0xa)]"},
		{"arg0 & 0x30 == 0x10", "[allow(arg0 & 0x30 == 0x10)]"},
		{"arg0 & 3 != 0", "[allow(arg0 & 0x1 == 0x1) allow(arg0 & 0x2 == 0x2)]"},
		{"arg0 & 0xffffffff == 5", "[allow(arg0 & 0xffffffff == 0x5)]"},
		{"arg0 == 1 || arg1 == 2", "[allow(arg1 == 0x2) allow(arg0 == 0x1)]"},
		{"arg0 == 1 && arg1 != 2 && arg5 >= 3", "[allow(arg0 == 0x1 && arg1 != 0x2 && arg5 >= 0x3)]"},
		{"(arg0 == 1 || arg0 == 7) && arg1 == 2 || arg3 == 4", "[allow(arg3 == 0x4) allow(arg0 == 0x1 && arg1 == 0x2) allow(arg0 == 0x7 && arg1 == 0x2)]"},
	} {
		p, err := lang.Load("few", []byte("compare 64\ndefault errno(EPERM)\nallow openat2("+c.cond+")\n"), lang.Options{Archs: []abi.Arch{abi.X86_64}})
		if err != nil {
			t.Fatal(err)
		}
		v, err := p.Verdict(verdict.NewSpace(100_000))
		if err != nil {
			t.Fatal(err)
		}
		entries, err := rows.Entries(v, p.Archs, bpf.Errno|1)
		if err != nil || len(entries) != 1 {
			t.Errorf("%s: %v %v", c.cond, entries, err)
			continue
		}
		if got := fmt.Sprint(entries[0].Rows); got != c.want {
			t.Errorf("%s: %s, want %s", c.cond, got, c.want)
		}
	}
}

// What cannot be said in rows is an error that names the call, and comes soon.
func TestErrors(t *testing.T) {
	for cond, want := range map[string]string{
		"ip == 5": "write on x86_64 cannot be said in tests of single arguments: it depends on the instruction pointer",
		"arg1 & 0xfff != 5 && arg2 & 0xffff != 5 && u64(arg0) & 0xff00ff00ff != 7 && arg3 & 0xffff != 3": "write on x86_64 cannot be said in tests of single arguments: it takes more than 4096 rows",
	} {
		p, err := lang.Load("few", []byte("default errno(EPERM)\nallow write("+cond+")\n"), lang.Options{Archs: []abi.Arch{abi.X86_64}})
		if err != nil {
			t.Fatal(err)
		}
		v, err := p.Verdict(verdict.NewSpace(verdict.DefaultBudget))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := rows.Entries(v, p.Archs, bpf.Errno|1); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", cond, err, want)
		}
	}
}

func TestUnnamed(t *testing.T) {
	archs := []abi.Arch{abi.X86_64, abi.X86, abi.X32}
	p, err := lang.Load("unnamed", []byte("default errno(EPERM)\nallow read\nlog any(nr in 5000..5005)\n"), lang.Options{Archs: archs})
	if err != nil {
		t.Fatal(err)
	}
	v, err := p.Verdict(verdict.NewSpace(100_000))
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range archs {
		n := uint64(0)
		var next uint64
		err := rows.Unnamed(v, a, func(s verdict.Span) error {
			if uint64(s.Lo) < next {
				t.Fatalf("%s: %d..%d out of order", a, s.Lo, s.Hi)
			}
			next = uint64(s.Hi) + 1
			n += next - uint64(s.Lo)
			if _, ok := a.Name(s.Lo); ok {
				t.Errorf("%s: %d has a name", a, s.Lo)
			}
			do, _ := s.Then.Constant()
			if want := s.Lo == 5000 && a != abi.X32; want != (do == bpf.Log) {
				t.Errorf("%s: %d..%d get %s", a, s.Lo, s.Hi, do)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		calls, err := rows.Calls(v, a)
		if err != nil {
			t.Fatal(err)
		}
		n += uint64(len(calls))
		want := map[abi.Arch]uint64{abi.X86_64: abi.X32Bit, abi.X86: 1 << 32, abi.X32: 1<<32 - abi.X32Bit}[a]
		if n != want {
			t.Errorf("%s: %d numbers named and unnamed, want %d", a, n, want)
		}
	}
}

// source is a random policy, without a test of the instruction pointer.
func source(r *rand.Rand) string {
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	number := func() string {
		return pick("0", "1", "2", "3", "7", "0x7fffffff", "0x80000000", "0xffffffff", "0xf0f0")
	}
	var cond func(depth int) string
	cond = func(depth int) string {
		x := pick("arg0", "arg1", "arg2", "u64(arg1)", "u64(arg2) & 0xffffffff00000000", "arg1 & 0xff", "arg2 & 0xf0f")
		switch r.IntN(4 + 2*depth) {
		case 0:
			return x + " in {" + pick("1", "0") + ", 4..9, " + pick("11", "13..15", "16..100") + "}"
		case 1, 2, 3:
			return x + " " + pick("==", "==", "==", "!=", "<", "<=", ">", ">=") + " " + number()
		}
		return pick("", "", "!") + "(" + cond(depth-1) + pick(" && ", " || ") + cond(depth-1) + ")"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "default %s\nunknown errno(ENOSYS)\n", pick("errno(EPERM)", "allow", "kill_process"))
	for range 1 + r.IntN(8) {
		if r.IntN(6) == 0 {
			b.WriteString("on x86_64 aarch64: ")
		}
		fmt.Fprintf(&b, "%s %s(%s)\n", pick("allow", "log", "errno(EACCES)", "trap(3)", "kill_thread"), pick("read", "write", "lseek"), cond(2))
	}
	return b.String()
}

func random(t *testing.T, seed1, seed2 uint64) bool {
	r := rand.New(rand.NewPCG(seed1, seed2))
	archs := [][]abi.Arch{{abi.X86_64, abi.X86, abi.X32}, {abi.AArch64, abi.ARM}, {abi.X86_64}}[r.IntN(3)]
	p, err := lang.Load("random", []byte(source(r)), lang.Options{Archs: archs})
	if err != nil {
		return false // a constant that does not fit its argument
	}
	s := verdict.NewSpace(verdict.DefaultBudget)
	v, err := p.Verdict(s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rows.Entries(v, archs, rows.None); err != nil {
		if !strings.Contains(err.Error(), "more than 4096 rows") {
			t.Fatalf("%s\n%v", lang.Print(p), err)
		}
		return false
	}
	check(t, p)
	return true
}

func TestRandom(t *testing.T) {
	done := 0
	for i := range uint64(150) {
		if random(t, 7, i) {
			done++
		}
	}
	if done < 75 {
		t.Errorf("only %d of 150 policies came to rows", done)
	}
}

func FuzzRows(f *testing.F) {
	f.Add(uint64(1), uint64(2))
	f.Fuzz(func(t *testing.T, a, b uint64) { random(t, a, b) })
}
