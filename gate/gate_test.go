package gate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/policy/lang"
	"monban/verdict"
)

func load(t testing.TB, text string) *Gate {
	t.Helper()
	p, err := lang.Load("t.gate", []byte(text), lang.Options{Native: abi.X86_64})
	if err != nil {
		t.Fatal(err)
	}
	return OfPolicy("t.gate", p)
}

func call(a abi.Arch, name string) *bpf.Data {
	nr, ok := a.Number(name)
	if !ok {
		panic(name)
	}
	return &bpf.Data{Arch: a.Token(), Nr: nr}
}

// A policy, the programs that it compiles to, and a stack of one are the same gate.
func TestSameMeaning(t *testing.T) {
	p := load(t, "arch x86_64 x86\ndefault errno(EPERM)\nallow read write\nkill_process mount\n")
	filters, err := p.Filters()
	if err != nil {
		t.Fatal(err)
	}
	b := OfPrograms("t.bpf", binary.LittleEndian, filters...)
	s, err := Stack("stack", p)
	if err != nil {
		t.Fatal(err)
	}
	all, err := Share(p, b, s)
	if err != nil {
		t.Fatal(err)
	}
	want, err := all[0].Verdict()
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range all {
		if v, err := g.Verdict(); err != nil || v != want {
			t.Errorf("%s: %v, another verdict", g.Name, err)
		}
		archs, err := g.Archs()
		if err != nil || !slices.Equal(archs, []abi.Arch{abi.X86_64, abi.X86}) {
			t.Errorf("%s: %v, %v", g.Name, archs, err)
		}
		again, err := g.Filters()
		if err != nil || !slices.EqualFunc(again, filters, func(x, y bpf.Program) bool { return slices.Equal(x, y) }) {
			t.Errorf("%s: %v, other filters", g.Name, err)
		}
		if order, err := g.ByteOrder(); err != nil || order != binary.ByteOrder(binary.LittleEndian) {
			t.Errorf("%s: %v, %v", g.Name, order, err)
		}
	}
}

// The kernel takes the strictest answer, and of equals the newest gate's; each member keeps its own, and its filters.
func TestStack(t *testing.T) {
	older := load(t, "arch x86_64\ndefault allow\nunknown allow\nerrno(EPERM) mount\nerrno(EACCES) bpf\n")
	newer := load(t, "arch x86_64\ndefault allow\nunknown allow\nkill_process mount\nerrno(ENOSYS) bpf\nlog read\n")
	older.Notes, newer.Notes = []string{"one"}, []string{"two"}
	s, err := Stack("both", older, newer)
	if err != nil {
		t.Fatal(err)
	}
	v, err := s.Verdict()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bpf.Action{"mount": bpf.KillProcess, "bpf": bpf.Errno | 38, "read": bpf.Log, "write": bpf.Allow} {
		if got := v.At(call(abi.X86_64, name)); got != want {
			t.Errorf("%s gets %v, want %v", name, got, want)
		}
	}
	if d, err := s.Members[0].Decide(call(abi.X86_64, "mount")); err != nil || d.Action != bpf.Errno|1 || d.Pos().Line != 4 || d.Text == "" {
		t.Errorf("the older one: %+v, %v", d, err)
	}
	filters, err := s.Filters()
	if err != nil || len(filters) != 2 {
		t.Errorf("%d filters, %v", len(filters), err)
	}
	if !slices.Equal(s.Notes, []string{"one", "two"}) {
		t.Errorf("notes: %q", s.Notes)
	}
	if p, err := OfPrograms("x", binary.LittleEndian, filters...).In(v.Space()).Verdict(); err != nil || p != v {
		t.Errorf("the filters mean something else: %v", err)
	}
	if _, err := Stack("x", older, OfPrograms("big", binary.BigEndian, bpf.Program{{Code: bpf.RET | bpf.K, K: uint32(bpf.Allow)}})); err == nil {
		t.Error("a stack of both byte orders")
	} else if e, ok := errors.AsType[*OrderError](err); !ok || e.Gate != "big" {
		t.Error(err)
	}
	if _, err := Stack("x"); err == nil {
		t.Error("a stack of nothing")
	}
}

// A gate of both byte orders has a program for each, and is understood without either.
func TestParts(t *testing.T) {
	g := load(t, "arch x86_64 s390x aarch64\ndefault errno(EPERM)\nallow read\n")
	if _, err := g.Filters(); err == nil || !strings.Contains(err.Error(), "byte order") {
		t.Errorf("one program for both: %v", err)
	}
	parts := g.Parts()
	if len(parts) != 2 {
		t.Fatalf("%d parts", len(parts))
	}
	for _, part := range parts {
		filters, err := part.Filters()
		if err != nil {
			t.Fatal(err)
		}
		order, _ := part.ByteOrder()
		for _, a := range part.Policy.Archs {
			if do := filters[0].Run(call(a, "read"), order); do != bpf.Allow {
				t.Errorf("%s: read gets %v", a, do)
			}
		}
	}
	if one := parts[0].Parts(); len(one) != 1 || one[0] != parts[0] {
		t.Error("a part has parts")
	}
	native, err := g.For(abi.AArch64)
	if err != nil || !slices.Equal(native.Policy.Archs, []abi.Arch{abi.AArch64}) {
		t.Errorf("for aarch64: %v", err)
	}
	if _, err := g.For(abi.RISCV64); err == nil {
		t.Error("for a machine that it does not speak for")
	}
}

// What does not fit the budget is an error that names the gate, from whatever asks first.
func TestTooComplex(t *testing.T) {
	var keys strings.Builder
	for i := range 200 {
		fmt.Fprintf(&keys, "errno(%d) keyctl(arg1 == %d)\n", 1+i%100, 100+i*7919)
	}
	g := load(t, "arch x86_64\ndefault errno(EPERM)\nallow read\n"+keys.String())
	filters, err := g.Filters()
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range []*Gate{g, OfPrograms("t.bpf", binary.LittleEndian, filters...)} {
		small := g.In(verdict.NewSpace(64))
		_, err := small.Verdict()
		e, ok := errors.AsType[*ComplexError](err)
		if !ok || !errors.Is(err, verdict.ErrTooComplex) || e.Gate != g.Name || e.Programs != (g.Policy == nil) {
			t.Errorf("%s: %v", g.Name, err)
		}
		if _, err := Exact(small, func(verdict.Verdict) (int, error) { return 1, nil }); !errors.Is(err, verdict.ErrTooComplex) {
			t.Errorf("%s: %v", g.Name, err)
		}
		if _, err := small.Archs(); g.Policy == nil && !errors.Is(err, verdict.ErrTooComplex) {
			t.Errorf("%s: %v", g.Name, err)
		}
		s, err := Stack("stack", g, g)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.In(verdict.NewSpace(64)).Verdict(); !errors.Is(err, verdict.ErrTooComplex) {
			t.Errorf("a stack of %s: %v", g.Name, err)
		}
	}
}

// Programs have no text: nothing of it decides.
func TestNoText(t *testing.T) {
	g := OfPrograms("t.bpf", binary.LittleEndian, bpf.Program{{Code: bpf.RET | bpf.K, K: uint32(bpf.Errno | 1)}})
	if d, err := g.Decide(call(abi.X86_64, "read")); d != nil || err != nil {
		t.Errorf("%+v, %v", d, err)
	}
	archs, err := g.Archs()
	if err != nil || len(archs) != 1 {
		t.Errorf("a filter that tells nothing apart speaks for %v, %v", archs, err)
	}
}
