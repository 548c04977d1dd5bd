package libseccomp_test

import (
	"errors"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/policy/libseccomp"
	"monban/verdict"
)

// Numbers are the native architecture's, those below -100 of calls behind socketcall and ipc; by their names they hold
// elsewhere.
func TestNumbers(t *testing.T) {
	number := func(a abi.Arch, call string) uint32 {
		nr, ok := a.Number(call)
		if !ok {
			t.Fatalf("%s has no %s", a, call)
		}
		return nr
	}
	for _, c := range []struct {
		native abi.Arch
		nr     int32
		exact  bool
		arch   abi.Arch
		call   bpf.Data // that the rule is about
		want   error
	}{
		{abi.X86_64, 1, false, abi.X86_64, bpf.Data{Nr: number(abi.X86_64, "write")}, nil},
		{abi.X86_64, 1, true, abi.X86_64, bpf.Data{Nr: number(abi.X86_64, "write")}, nil},
		{abi.X86, 4, true, abi.X86, bpf.Data{Nr: number(abi.X86, "write")}, nil},
		{abi.X86, -101, true, abi.X86, bpf.Data{Nr: number(abi.X86, "socketcall"), Args: [6]uint64{1}}, nil},
		{abi.X86, -101, true, abi.X86, bpf.Data{Nr: number(abi.X86, "socket")}, nil},
		{abi.X86_64, -101, true, abi.X86_64, bpf.Data{Nr: number(abi.X86_64, "socket")}, nil},
		{abi.X86, -221, true, abi.X86, bpf.Data{Nr: number(abi.X86, "ipc"), Args: [6]uint64{21}}, nil}, // shmat
		{abi.X86_64, -221, false, abi.X86_64, bpf.Data{Nr: number(abi.X86_64, "shmat")}, nil},
		{abi.X86_64, 100000, true, abi.X86_64, bpf.Data{Nr: 100000}, nil},
		{abi.X86_64, -1, true, 0, bpf.Data{}, libseccomp.ErrInvalid},
		{abi.X86_64, -2, false, 0, bpf.Data{}, libseccomp.ErrInvalid},
		{abi.X86_64, -3, false, 0, bpf.Data{}, libseccomp.ErrNoCall},
		{abi.X86_64, -199, false, 0, bpf.Data{}, libseccomp.ErrNoCall},
		{abi.X86_64, -2147483648, true, 0, bpf.Data{}, libseccomp.ErrNoCall},
		{abi.AArch64, -110, true, 0, bpf.Data{}, libseccomp.ErrDomain}, // recv
	} {
		b, err := libseccomp.New(c.native, bpf.Errno|1)
		if err != nil {
			t.Fatal(err)
		}
		add := b.AddNumber
		if c.exact {
			add = b.AddNumberExact
		}
		if err := add(bpf.Log, c.nr); !errors.Is(err, c.want) {
			t.Errorf("%d on %s: %v, want %v", c.nr, c.native, err, c.want)
		}
		if c.want != nil {
			continue
		}
		p, err := b.Policy()
		if err != nil {
			t.Fatal(err)
		}
		c.call.Arch = c.arch.Token()
		if got := meaning(t, verdict.NewSpace(verdict.DefaultBudget), p).At(&c.call); got != bpf.Log {
			t.Errorf("%d on %s: %v gets %s", c.nr, c.native, c.call, got)
		}
	}
}

// Attributes are what they were set to, flags 0 or 1; those of the filter's actions are in the policy.
func TestAttr(t *testing.T) {
	b, err := libseccomp.New(abi.X86_64, bpf.Errno|1)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		attr      libseccomp.Attr
		fresh     uint32
		set, kept uint32
	}{
		{libseccomp.AttrActBadArch, uint32(bpf.KillThread), uint32(bpf.Trap), uint32(bpf.Trap)},
		{libseccomp.AttrCtlNNP, 1, 0, 0},
		{libseccomp.AttrCtlTSync, 0, 7, 1},
		{libseccomp.AttrAPITSkip, 0, 0, 0},
		{libseccomp.AttrCtlLog, 0, 1, 1},
		{libseccomp.AttrCtlSSB, 0, 1 << 31, 1},
		{libseccomp.AttrCtlOptimize, 1, 2, 2},
		{libseccomp.AttrAPISysRawRC, 0, 1, 1},
		{libseccomp.AttrCtlWaitKill, 0, 1, 1},
	} {
		if got, err := b.Attr(c.attr); err != nil || got != c.fresh {
			t.Errorf("attribute %d is %#x at first, %v", c.attr, got, err)
		}
		if err := b.SetAttr(c.attr, c.set); err != nil {
			t.Errorf("attribute %d: %v", c.attr, err)
		}
		if got, err := b.Attr(c.attr); err != nil || got != c.kept {
			t.Errorf("attribute %d is %#x after %#x was set, %v", c.attr, got, c.set, err)
		}
	}
	if got, err := b.Attr(libseccomp.AttrActDefault); err != nil || bpf.Action(got) != bpf.Errno|1 {
		t.Errorf("the default is %#x, %v", got, err)
	}
	if err := b.SetAttr(libseccomp.AttrAPITSkip, 1); !errors.Is(err, libseccomp.ErrUnsupported) {
		t.Errorf("rules for -1: %v", err)
	}
	p, err := b.Policy()
	if err != nil {
		t.Fatal(err)
	}
	if p.BadArch.Kind != bpf.Trap || p.Default.Kind != bpf.Errno || p.Default.Data != 1 {
		t.Errorf("badarch %s, default %s", p.BadArch, p.Default)
	}
	other, err := libseccomp.New(abi.X86, bpf.Errno|1)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Merge(b); !errors.Is(err, libseccomp.ErrInvalid) {
		t.Errorf("merging filters whose attributes differ: %v", err)
	}
	if err := b.Reset(bpf.KillProcess); err != nil {
		t.Fatal(err)
	}
	if got, _ := b.Attr(libseccomp.AttrCtlLog); got != 0 {
		t.Errorf("after Reset the log is %d", got)
	}
}

// What a transaction did is undone as a whole, or stays; one within another is the other's.
func TestTransactions(t *testing.T) {
	b, err := libseccomp.New(abi.X86_64, bpf.Errno|1)
	if err != nil {
		t.Fatal(err)
	}
	rules := func() int {
		t.Helper()
		p, err := b.Policy()
		if err != nil {
			t.Fatal(err)
		}
		return len(p.Rules) + 100*(len(p.Archs)-1)
	}
	steps := []struct {
		do   func() error
		want int // rules, and 100 for each further architecture
	}{
		{func() error { return b.AddRule(bpf.Allow, "read") }, 1},
		{func() error { b.Begin(); return b.AddRule(bpf.Allow, "write") }, 2},
		{func() error { b.Begin(); return b.AddArch(abi.AArch64) }, 102},
		{b.Commit, 102},
		{b.Reject, 1},
		{func() error { b.Begin(); return b.AddRule(bpf.Allow, "close") }, 2},
		{b.Commit, 2},
	}
	for i, s := range steps {
		if err := s.do(); err != nil || rules() != s.want {
			t.Errorf("step %d: %d, %v, want %d", i, rules(), err, s.want)
		}
	}
	if err := b.Reject(); !errors.Is(err, libseccomp.ErrInvalid) {
		t.Errorf("nothing has begun: %v", err)
	}
	if err := b.Prioritize("read", 5); err != nil {
		t.Error(err)
	}
}
