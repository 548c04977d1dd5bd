package libseccomp_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/policy"
	"monban/policy/lang"
	"monban/policy/libseccomp"
	"monban/verdict"
)

func meaning(t *testing.T, s *verdict.Space, p *policy.Policy) verdict.Verdict {
	t.Helper()
	v, err := p.Verdict(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func ExampleBuilder() {
	b, err := libseccomp.New(abi.X86_64, bpf.KillProcess)
	if err != nil {
		fmt.Println(err)
		return
	}
	err = errors.Join(
		b.AddArch(abi.X86),
		b.AddRule(bpf.Allow, "read"),
		b.AddRule(bpf.Allow, "write", libseccomp.Test{Arg: 0, Op: libseccomp.TestLE, A: 2}),
		b.AddRule(bpf.Errno|1, "clone", libseccomp.Test{Arg: 0, Op: libseccomp.TestMaskedEQ, A: 0x10000000, B: 0x10000000}),
		b.AddRule(bpf.Allow, "raed"),
	)
	fmt.Println(err)
	p, err := b.Policy()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.Archs, len(p.Rules))
	// Output:
	// no architecture has a system call raed (did you mean read?): EINVAL
	// [x86_64 x86] 6
}

func TestBuilderErrors(t *testing.T) {
	fresh := func() *libseccomp.Builder {
		b, err := libseccomp.New(abi.X86_64, bpf.KillProcess)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	_, badDefault := libseccomp.New(abi.X86_64, 0x12345678)
	two := fresh()
	if err := two.AddArch(abi.X86); err != nil {
		t.Fatal(err)
	}
	empty := fresh()
	if err := empty.RemoveArch(abi.X86_64); err != nil {
		t.Fatal(err)
	}
	_, emptyPolicy := empty.Policy()
	arm := fresh()
	if err := errors.Join(arm.RemoveArch(abi.X86_64), arm.AddArch(abi.AArch64)); err != nil {
		t.Fatal(err)
	}
	big := fresh()
	if err := errors.Join(big.RemoveArch(abi.X86_64), big.AddArch(abi.S390X)); err != nil {
		t.Fatal(err)
	}
	_, noAttr := fresh().Attr(99)
	for _, c := range []struct {
		name      string
		got, want error
	}{
		{"default", badDefault, libseccomp.ErrInvalid},
		{"errno over 4095", fresh().AddRule(bpf.Errno|4096, "read"), libseccomp.ErrInvalid},
		{"allow with data", fresh().AddRule(bpf.Allow|1, "read"), libseccomp.ErrInvalid},
		{"arch twice", fresh().AddArch(abi.X86_64), libseccomp.ErrExists},
		{"arch not there", fresh().RemoveArch(abi.X86), libseccomp.ErrExists},
		{"byte orders", fresh().AddArch(abi.S390X), libseccomp.ErrDomain},
		{"action is the default", fresh().AddRule(bpf.KillProcess, "read"), libseccomp.ErrAccess},
		{"unknown call", fresh().AddRule(bpf.Allow, "raed"), libseccomp.ErrInvalid},
		{"-1", fresh().AddNumber(bpf.Allow, -1), libseccomp.ErrInvalid},
		{"argument 6", fresh().AddRule(bpf.Allow, "read", libseccomp.Test{Arg: 6, Op: libseccomp.TestEQ}), libseccomp.ErrInvalid},
		{"argument -1", fresh().AddRule(bpf.Allow, "read", libseccomp.Test{Arg: -1, Op: libseccomp.TestEQ}), libseccomp.ErrInvalid},
		{"argument twice", fresh().AddRule(bpf.Allow, "read", libseccomp.Test{Op: libseccomp.TestEQ}, libseccomp.Test{Op: libseccomp.TestNE}), libseccomp.ErrInvalid},
		{"no comparison", fresh().AddRule(bpf.Allow, "read", libseccomp.Test{}), libseccomp.ErrInvalid},
		{"exact on two", two.AddRuleExact(bpf.Allow, "read"), libseccomp.ErrUnsupported},
		{"exact, not on this arch", fresh().AddRuleExact(bpf.Allow, "socketcall"), libseccomp.ErrDomain},
		{"not on this arch", fresh().AddRule(bpf.Allow, "socketcall"), nil},
		{"no name", two.AddNumber(bpf.Allow, 100000), libseccomp.ErrNoCall},
		{"no name, native", fresh().AddNumber(bpf.Allow, 100000), nil},
		{"priority", fresh().Prioritize("raed", 1), libseccomp.ErrInvalid},
		{"read-only", fresh().SetAttr(libseccomp.AttrActDefault, uint32(bpf.Allow)), libseccomp.ErrAccess},
		{"bad arch's action", fresh().SetAttr(libseccomp.AttrActBadArch, 0x12345678), libseccomp.ErrInvalid},
		{"optimize", fresh().SetAttr(libseccomp.AttrCtlOptimize, 3), libseccomp.ErrUnsupported},
		{"attribute", fresh().SetAttr(99, 0), libseccomp.ErrInvalid},
		{"attribute, read", noAttr, libseccomp.ErrInvalid},
		{"commit", fresh().Commit(), libseccomp.ErrInvalid},
		{"reject", fresh().Reject(), libseccomp.ErrInvalid},
		{"nothing left", emptyPolicy, libseccomp.ErrInvalid},
		{"merge with the same", fresh().Merge(two), libseccomp.ErrExists},
		{"merge byte orders", fresh().Merge(big), libseccomp.ErrDomain},
		{"merge", fresh().Merge(arm), nil},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
		}
	}
}

var (
	fuzzArchs   = []abi.Arch{abi.X86_64, abi.X86, abi.X32, abi.AArch64, abi.S390X, abi.S390}
	fuzzCalls   = []string{"read", "socket", "accept4", "socketcall", "shmat", "ipc", "recv", "openat2"}
	fuzzActions = []bpf.Action{bpf.Allow, bpf.Errno | 1, bpf.Errno | 2, bpf.Log, bpf.KillThread, bpf.KillProcess, bpf.Trace | 7}
	fuzzWords   = []uint64{0, 1, 2, 5, 18, 21, 0xffffffff, 1 << 32, 1<<32 | 1, 1 << 63, 1<<64 - 1}
)

// A said is one rule as the plain evaluation keeps it.
type said struct {
	do    bpf.Action
	call  string
	tests []libseccomp.Test
}

// narrow is written out here so that it isn't the Builder's own table that is believed.
func narrow(a abi.Arch) bool { return a == abi.X86 || a == abi.X32 || a == abi.S390 }

func (r said) passes(a abi.Arch, d *bpf.Data, behind bool) bool {
	return !slices.ContainsFunc(r.tests, func(t libseccomp.Test) bool {
		x, y, z := d.Args[t.Arg], t.A, t.B
		if narrow(a) {
			x, y, z = x&0xffffffff, y&0xffffffff, z&0xffffffff
		}
		if behind && t.Arg == 0 {
			return false
		}
		return !map[libseccomp.TestOp]bool{libseccomp.TestNE: x != y, libseccomp.TestLT: x < y, libseccomp.TestLE: x <= y, libseccomp.TestEQ: x == y,
			libseccomp.TestGE: x >= y, libseccomp.TestGT: x > y, libseccomp.TestMaskedEQ: x&y == z&y}[t.Op]
	})
}

// answer tries every rule on one call, without a policy or a diagram.
func answer(rules []said, def bpf.Action, a abi.Arch, d *bpf.Data) bpf.Action {
	best, found := def, false
	for _, r := range rules {
		if nr, ok := a.Number(r.call); ok && nr == d.Nr && len(r.tests) == 0 {
			return r.do
		}
	}
	for i, r := range rules {
		plain := slices.IndexFunc(rules, func(o said) bool { return o.call == r.call && len(o.tests) == 0 })
		if plain >= 0 && plain != i {
			continue
		}
		nr, direct := a.Number(r.call)
		hit := direct && nr == d.Nr && r.passes(a, d, false)
		if m, ok := a.Mux(r.call); ok && !hit {
			to, _ := a.Number(m.Call)
			first := d.Args[0]
			if narrow(a) {
				first &= 0xffffffff
			}
			hit = to == d.Nr && first == uint64(m.Sub) && r.passes(a, d, true)
		}
		if hit && (!found || int32(r.do&^0xffff) < int32(best&^0xffff)) {
			best, found = r.do, true
		}
	}
	return best
}

// Any sequence of calls builds without a panic, and the policy answers what trying the rules one by one does.
func FuzzBuilder(f *testing.F) {
	f.Add([]byte{4, 6, 5, 2, 3, 1, 0, 5, 5, 9, 4, 1, 1, 0})
	f.Add([]byte{0, 0, 1, 0, 2, 1, 0, 0, 2, 2, 1, 1, 0, 3, 3, 5, 7})
	f.Add([]byte("\x01\x00\x01\x02\x01\x01\x00\x04\x02\x01\x02\x01\x03\x00\x02\x01\x01\x01\x04\x05\x03\x03\x00\x02\x05\x01\x01\x01\x04\x01"))
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 300 {
			return
		}
		next := func(n int) int {
			if len(in) == 0 {
				return 0
			}
			b := in[0]
			in = in[1:]
			return int(b) % n
		}
		native := fuzzArchs[next(len(fuzzArchs))]
		def := fuzzActions[next(len(fuzzActions))]
		b, err := libseccomp.New(native, def)
		if err != nil {
			t.Fatal(err)
		}
		archs, rules := []abi.Arch{native}, map[abi.Arch][]said{}
		var saved []func()
		for len(in) > 0 {
			switch next(8) {
			case 0:
				a := fuzzArchs[next(len(fuzzArchs))]
				if b.AddArch(a) == nil {
					archs = append(slices.Clone(archs), a)
				}
			case 1:
				a := fuzzArchs[next(len(fuzzArchs))]
				if b.RemoveArch(a) == nil {
					archs = slices.DeleteFunc(slices.Clone(archs), func(x abi.Arch) bool { return x == a })
					delete(rules, a)
				}
			case 2:
				b.Begin()
				oldArchs, oldRules := archs, map[abi.Arch][]said{}
				for a, r := range rules {
					oldRules[a] = slices.Clone(r)
				}
				saved = append(saved, func() { archs, rules = oldArchs, oldRules })
			case 3:
				end, keep := b.Reject, next(2) == 1
				if keep {
					end = b.Commit
				}
				if end() != nil {
					continue
				}
				if !keep {
					saved[len(saved)-1]()
				}
				saved = saved[:len(saved)-1]
			default:
				r := said{do: fuzzActions[next(len(fuzzActions))], call: fuzzCalls[next(len(fuzzCalls))]}
				for range next(4) {
					r.tests = append(r.tests, libseccomp.Test{Arg: next(3), Op: libseccomp.TestOp(next(7) + 1),
						A: fuzzWords[next(len(fuzzWords))], B: fuzzWords[next(len(fuzzWords))]})
				}
				if b.AddRule(r.do, r.call, r.tests...) == nil {
					for _, a := range archs {
						rules[a] = append(rules[a], r)
					}
				}
			}
		}
		p, err := b.Policy()
		if len(archs) == 0 {
			if !errors.Is(err, libseccomp.ErrInvalid) {
				t.Fatalf("no architectures: %v", err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		v := meaning(t, verdict.NewSpace(verdict.DefaultBudget), p)
		for _, a := range archs {
			for _, call := range fuzzCalls {
				nr, ok := a.Number(call)
				if !ok {
					continue
				}
				for i := range 3 * len(fuzzWords) {
					d := bpf.Data{Arch: a.Token(), Nr: nr}
					for k := range 3 {
						d.Args[k] = fuzzWords[(i+k*(1+i/len(fuzzWords)))%len(fuzzWords)]
					}
					if got, want := v.At(&d), answer(rules[a], def, a, &d); got != want.Canonical() {
						t.Fatalf("%s %s %x gets %s, the rules say %s\n%s", a, call, d.Args[:3], got, want, lang.Print(p))
					}
				}
			}
		}
	})
}
