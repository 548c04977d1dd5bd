package compile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/policy/lang"
	"monban/verdict"
)

// runStack answers a call as seccomp_run_filters does: from the newest filter to the oldest, and a smaller action wins.
func runStack(parts []bpf.Program, d *bpf.Data, order binary.ByteOrder) bpf.Action {
	answer := bpf.Allow
	for i := len(parts) - 1; i >= 0; i-- {
		if a := parts[i].Run(d, order); int32(a.Kind()) < int32(answer.Kind()) {
			answer = a
		}
	}
	return answer.Canonical()
}

// checkStack holds a split policy to all that Programs promises, by judges that know nothing of verdict's stacks.
func checkStack(t *testing.T, what string, parts []bpf.Program, v verdict.Verdict, order binary.ByteOrder, archs []abi.Arch,
	limit int) {
	t.Helper()
	for i, p := range parts {
		if err := p.Check(); err != nil || len(p) > limit {
			t.Fatalf("%s: filter %d of %d has %d instructions: %v", what, i+1, len(parts), len(p), err)
		}
	}
	for _, a := range archs {
		own := v.Restrict(verdict.Arch, a.Token())
		for nr, call := range a.Calls() {
			leaf := own.Restrict(verdict.Nr, nr)
			do, constant := leaf.Constant()
			cached := true
			for _, p := range parts {
				cached = cached && p.CachesAllow(a.Token(), nr)
			}
			if want := constant && do == bpf.Allow; cached != want {
				t.Fatalf("%s: the kernel's cache answers %s on %s: %v, want %v", what, call, a, cached, want)
			}
			// A call for each answer that v has.
			none := v.Space().Verdict(v.Space().Action(bpf.Trap | 0x7777))
			for _, c := range verdict.Differences(leaf, none) {
				c.Data.Arch, c.Data.Nr = a.Token(), nr
				if got := runStack(parts, &c.Data, order); got != c.A {
					t.Fatalf("%s: the filters answer %v, the policy %v for %s on %s %+v", what, got, c.A, call, a, c.Data)
				}
			}
		}
		// All but the last let others be installed.
		for _, c := range []struct {
			call string
			op   uint64
		}{{"seccomp", 1}, {"prctl", 22}} {
			nr, ok := a.Number(c.call)
			for i := range len(parts) - 1 {
				d := bpf.Data{Arch: a.Token(), Nr: nr, Args: [6]uint64{c.op, rand.Uint64(), rand.Uint64()}}
				if got := parts[i].Run(&d, order); ok && got != bpf.Allow {
					t.Fatalf("%s: filter %d of %d answers %s with %v on %s", what, i+1, len(parts), c.call, got, a)
				}
			}
		}
	}
	for i := range len(parts) - 1 {
		for _, in := range parts[i] {
			if in.Code == bpf.RET|bpf.K && bpf.Action(in.K).Kind() == bpf.Notify {
				t.Fatalf("%s: filter %d of %d has a notify, and is not the last", what, i+1, len(parts))
			}
		}
	}
}

func TestSplitPresets(t *testing.T) {
	for _, name := range lang.Presets() {
		for _, archs := range families[:4] {
			for _, limit := range []int{30, 90} {
				v, order := presetVerdict(t, name, archs)
				whole, err := Program(v, order, Options{})
				if err != nil {
					t.Fatal(err)
				}
				made, err := (Options{}).compile(v, order, limit)
				parts := made.Programs
				what := fmt.Sprintf("%s %v in filters of %d", name, archs, limit)
				if err != nil || len(parts) > 1 != (len(whole) > limit) {
					t.Errorf("%s: %d parts for %d instructions: %v", what, len(parts), len(whole), err)
				}
				checkStack(t, what, parts, v, order, append(archs, abi.RISCV64), limit)
			}
		}
	}
}

// checkRandomSplit splits a random policy and says into how many filters, 0 where that is impossible.
func checkRandomSplit(t *testing.T, seed uint64) int {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 17))
	v := randomVerdict(r, verdict.NewSpace(verdict.DefaultBudget))
	order := []binary.ByteOrder{binary.LittleEndian, binary.BigEndian}[r.IntN(2)]
	limit := []int{40, 60, 100}[r.IntN(3)]
	if r.IntN(4) > 0 { // a notify here and there is more than fits so small a filter
		v = v.Graft(verdict.IPLo, func(end verdict.Verdict) verdict.Verdict {
			if do, _ := end.Constant(); do == bpf.Notify {
				return v.Space().Verdict(v.Space().Action(bpf.Errno | 5))
			}
			return end
		})
	}
	made, err := (Options{}).compile(v, order, limit)
	parts := made.Programs
	if errors.Is(err, ErrTooLong) || errors.Is(err, verdict.ErrTooComplex) {
		return 0 // a notify, or a single condition, in so small a filter; TestSplitRandom counts them
	}
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	archs := []abi.Arch{abi.X86_64, abi.X86, abi.AArch64, abi.RISCV64}
	checkStack(t, fmt.Sprintf("seed %d in filters of %d", seed, limit), parts, v, order, archs, limit)
	return len(parts)
}

func TestSplitRandom(t *testing.T) {
	split, refused := 0, 0
	for seed := range uint64(40) {
		switch n := checkRandomSplit(t, seed); {
		case n > 1:
			split++
		case n == 0:
			refused++
		}
	}
	t.Logf("%d were split, %d refused", split, refused)
	if split < 20 || refused > 8 {
		t.Errorf("%d were split and %d refused: too few or too many", split, refused)
	}
}

func FuzzSplit(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) { checkRandomSplit(t, seed) })
}

func gateVerdict(t *testing.T, gate string, archs ...abi.Arch) verdict.Verdict {
	t.Helper()
	p, err := lang.Load("long", []byte(gate), lang.Options{Archs: archs, Native: archs[0]})
	if err != nil {
		t.Fatal(err)
	}
	v, err := p.Verdict(verdict.NewSpace(verdict.DefaultBudget))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// requests has one call answer n values, each in its own way.
func requests(n int, answer string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%s ioctl(request == %d)\n", strings.ReplaceAll(answer, "N", fmt.Sprint(1+i%4000)), 100+i*7919)
	}
	return b.String()
}

// values tests an argument of many calls for many values.
func values(calls, each int) string {
	var b strings.Builder
	for nr, call := range abi.X86_64.Calls() {
		if nr >= uint32(calls) {
			break
		}
		for i := range uint32(each) {
			fmt.Fprintf(&b, "errno(%d) %s(u64(arg0) == %d)\n", 1+(7*i+13*nr)%4000, call, 100+7919*i+nr)
		}
	}
	return b.String()
}

// conditions tests two arguments of many calls in many ways.
func conditions() string {
	r := rand.New(rand.NewPCG(1, 1))
	var b strings.Builder
	for _, call := range strings.Fields(`ioctl fcntl lseek socket openat futex mmap read write kill setns getsockopt setsockopt keyctl bpf
		madvise mprotect clone unshare dup3 pipe2 accept4 connect bind listen`) {
		for range 80 {
			answer := []string{"allow", "errno(7)", "trap(3)"}[r.IntN(3)]
			fmt.Fprintf(&b, "%s %s(arg0 == %d && arg1 in {%d..%d, %d})\n", answer, call,
				r.IntN(1000), r.IntN(1000), 1000+r.IntN(1000), 5000+r.IntN(1000))
		}
	}
	return b.String()
}

// What really doesn't fit: one call alone, and many calls with conditions. The numbers of filters are those found, and
// no more.
func TestSplitLong(t *testing.T) {
	family := []abi.Arch{abi.X86_64, abi.X86, abi.X32}
	for _, c := range []struct {
		what, gate string
		archs      []abi.Arch
		most       int
	}{
		{"one call", "default allow\n" + requests(3500, "errno(N)"), []abi.Arch{abi.X86_64}, 3},
		{"one call on an allowlist", "default errno(EPERM)\n" + requests(2500, "errno(N)") + "include @container\n", family, 2},
		{"many conditions", "default errno(EPERM)\n" + conditions() + "allow @system-service\n", family, 3},
	} {
		v := gateVerdict(t, c.gate, c.archs...)
		parts, err := Programs(v, binary.LittleEndian, Options{})
		if err != nil || len(parts) < 2 || len(parts) > c.most {
			t.Errorf("%s: %d filters, want 2 to %d: %v", c.what, len(parts), c.most, err)
			continue
		}
		checkStack(t, c.what, parts, v, binary.LittleEndian, append(c.archs, abi.ARM), bpf.MaxInstructions)
		if _, err := Program(v, binary.LittleEndian, Options{}); !errors.Is(err, ErrTooLong) {
			t.Errorf("%s: as one filter: %v", c.what, err)
		}
	}
}

func TestSplitRefused(t *testing.T) {
	for _, c := range []struct{ what, gate, why string }{
		{"in all", "default allow\n" + values(300, 50), "more than the 32768 instructions"},
		{"notify", "default allow\n" + requests(5000, "notify"), "one listener"},
	} {
		v := gateVerdict(t, c.gate, abi.X86_64)
		parts, err := Programs(v, binary.LittleEndian, Options{})
		if !errors.Is(err, ErrTooLong) || !strings.Contains(err.Error(), c.why) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %d filters: %v", c.what, len(parts), err)
		}
	}
	// Work that takes seconds ends with the budget, also where it makes no nodes.
	v := gateVerdict(t, "default allow\n"+requests(14000, "errno(N)"), abi.X86_64)
	if parts, err := Programs(v, binary.LittleEndian, Options{}); !errors.Is(err, verdict.ErrTooComplex) {
		t.Errorf("seconds of work: %d filters: %v", len(parts), err)
	}
	// A space with hardly more room than the policy itself takes.
	p, err := lang.Load("long", []byte("default allow\n"+requests(3500, "errno(N)")), lang.Options{Archs: []abi.Arch{abi.X86_64}})
	if err != nil {
		t.Fatal(err)
	}
	budget := verdict.DefaultBudget
	for range 2 {
		v, err := p.Verdict(verdict.NewSpace(budget))
		if err != nil {
			t.Fatal(err)
		}
		if budget == verdict.DefaultBudget {
			budget = v.Space().Len() + 1000
		} else if parts, err := Programs(v, binary.LittleEndian, Options{}); !errors.Is(err, verdict.ErrTooComplex) {
			t.Errorf("%d filters without a budget: %v", len(parts), err)
		}
	}
}

// A notify that fits goes with the last filter, whatever else must be cut.
func TestSplitNotify(t *testing.T) {
	v := gateVerdict(t, "default kill_process\n"+requests(1500, "notify")+"notify connect seccomp\n"+
		strings.ReplaceAll(requests(1500, "errno(N)"), "ioctl(request", "prctl(option"), abi.X86_64)
	parts, err := Programs(v, binary.LittleEndian, Options{})
	if err != nil || len(parts) < 2 {
		t.Fatalf("%d filters: %v", len(parts), err)
	}
	checkStack(t, "notify", parts, v, binary.LittleEndian, []abi.Arch{abi.X86_64, abi.X86}, bpf.MaxInstructions)
}

// A filter that is changed, lost or put at another's place doesn't pass for the policy.
func TestSplitProof(t *testing.T) {
	v, order := presetVerdict(t, "@container", []abi.Arch{abi.X86_64, abi.X86, abi.X32})
	made, err := (Options{}).compile(v, order, 60)
	parts := made.Programs
	if err != nil || len(parts) < 2 {
		t.Fatalf("%d filters: %v", len(parts), err)
	}
	if err := proveStack(parts[1:], v, order); !errors.Is(err, ErrNotProven) {
		t.Errorf("without the first filter: %v", err)
	}
	faults := 0
	for i, p := range parts {
		for j, in := range p {
			if in.Code != bpf.RET|bpf.K || in.K == uint32(bpf.Allow) {
				continue
			}
			p[j].K ^= 1
			if err := proveStack(parts, v, order); in.K>>31 == 0 && !errors.Is(err, ErrNotProven) {
				t.Errorf("instruction %d of filter %d changed from %v: %v", j, i+1, in, err)
			}
			p[j] = in
			faults++
		}
	}
	if faults < len(parts) {
		t.Errorf("only %d faults tried", faults)
	}
}
