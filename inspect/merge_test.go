package inspect_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"monban/abi"
	"monban/compile"
	"monban/gate"
	"monban/inspect"
	"monban/policy/decompile"
	"monban/verdict"
)

// What gates make together gives each call what the operation says of their answers.
func TestMerge(t *testing.T) {
	a := load(t, "a.gate", "arch x86_64\ndefault errno(EPERM)\nallow read\nlog write\nerrno(EIO) openat\nkill_process mount\nallow socket(family == AF_UNIX)\n")
	b := load(t, "b.gate", "arch x86_64\ndefault errno(ENOSYS)\nlog read\nallow write openat mount\nallow socket(family == AF_INET)\n")
	for op, want := range map[inspect.Operation]struct {
		name string
		does map[string]string
	}{
		inspect.Union:     {"union of a.gate, b.gate", map[string]string{"read": "allow", "write": "allow", "openat": "allow", "mount": "allow", "ptrace": "errno(EPERM)"}},
		inspect.Intersect: {"intersection of a.gate, b.gate", map[string]string{"read": "log", "write": "log", "openat": "errno(EIO)", "mount": "kill_process", "ptrace": "errno(EPERM)"}},
		inspect.Stack:     {"stack of a.gate, b.gate", map[string]string{"read": "log", "write": "log", "openat": "errno(EIO)", "mount": "kill_process", "ptrace": "errno(ENOSYS)"}},
	} {
		g, err := inspect.Merge(op, a, b)
		if err != nil {
			t.Fatal(err)
		}
		if g.Name != want.name || g.Policy == nil {
			t.Errorf("%s: %q", op, g.Name)
		}
		s, err := inspect.Summarise(g, abi.X86_64)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range s.Calls {
			if do, ok := want.does[c.Name]; ok && cases(abi.X86_64, c.Cases) != do {
				t.Errorf("%s: %s gets %s, want %s", op, c.Name, cases(abi.X86_64, c.Cases), do)
			}
		}
	}
	one, err := inspect.Merge(inspect.Union, a)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := inspect.Diff(one, a); err != nil || !d.Holds() {
		t.Errorf("a gate alone is not itself: %+v, %v", d, err)
	}
}

func TestMergeErrors(t *testing.T) {
	a := load(t, "a.gate", web)
	unchecked := assemble(t, "u.bpf", "ld [nr]\njeq #1, 2, 3\nret errno(1)\nret allow\n")
	for _, tt := range []struct {
		op    inspect.Operation
		gates []*gate.Gate
		want  string
	}{
		{"xor", []*gate.Gate{a, a}, `gates can be merged by union, intersect or stack, not by "xor"`},
		{inspect.Union, nil, "there is nothing to merge"},
		{inspect.Union, []*gate.Gate{unchecked, unchecked}, "union of u.bpf, u.bpf: architectures other than those named below are not refused"},
	} {
		_, err := inspect.Merge(tt.op, tt.gates...)
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.op, err, tt.want)
		}
		if _, ok := errors.AsType[*inspect.NoPolicyError](err); ok != strings.Contains(tt.want, "architectures") || ok && !errors.Is(err, decompile.ErrNotPolicy) {
			t.Errorf("%s: %T", tt.op, err)
		}
	}
}

func TestOrigins(t *testing.T) {
	a := load(t, "a.gate", "arch x86_64 x86\nallow read write socket(family == AF_UNIX)\non x86: allow getpid\n")
	b := load(t, "b.gate", "arch x86_64 x86\nallow read close socket(family == AF_INET)\n")
	c := load(t, "c.gate", "arch x86_64 x86\nallow read close fstat\n")
	for _, tt := range []struct {
		gates []*gate.Gate
		want  []string
	}{
		{nil, nil},
		{[]*gate.Gate{a, a}, nil},
		{[]*gate.Gate{a, b}, []string{
			"x86_64 [a.gate]: [write]", "x86_64 [b.gate]: [close]", "x86_64 []: [socket]",
			"x86 [a.gate]: [getpid write]", "x86 [b.gate]: [close]", "x86 []: [socket]"}},
		{[]*gate.Gate{a, b, c}, []string{
			"x86_64 [a.gate]: [write]", "x86_64 [a.gate b.gate]: [socket]", "x86_64 [b.gate c.gate]: [close]", "x86_64 [c.gate]: [fstat]",
			"x86 [a.gate]: [getpid write]", "x86 [a.gate b.gate]: [socket]", "x86 [b.gate c.gate]: [close]", "x86 [c.gate]: [fstat]"}},
	} {
		origins, err := inspect.Origins([]abi.Arch{abi.X86_64, abi.X86}, tt.gates...)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, o := range origins {
			got = append(got, fmt.Sprintf("%s %v: %v", o.Arch, o.Gates, o.Calls))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%q\nwant %q", got, tt.want)
		}
	}
}

// What was made of somebody's filters is kept only where it is better.
func TestCompile(t *testing.T) {
	g := load(t, "web.gate", web)
	c, err := inspect.Compile(g, compile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Filters) != 1 || c.Order != abi.X86_64.ByteOrder() {
		t.Errorf("%d filters", len(c.Filters))
	}
	s, err := c.Measure()
	if err != nil || s.Length != len(c.Filters[0]) || s.Length != inspect.Instructions(c.Filters) || s.Allowed == 0 {
		t.Errorf("%+v, %v", s, err)
	}
	wasteful := assemble(t, "w.bpf", "ld [nr]\njeq #1, 2, 2\nret allow\n")
	if c, err = inspect.Compile(wasteful, compile.Options{}); err != nil || len(c.Filters[0]) != 1 {
		t.Errorf("%v, %v", c.Filters, err)
	}
	// What is too complex is said of the gate.
	complex := load(t, "c.gate", "arch x86_64\nallow mmap("+equal(8)+")\n").In(verdict.NewSpace(500))
	if _, err := inspect.Compile(complex, compile.Options{}); !isComplex(err, "c.gate") {
		t.Errorf("%v", err)
	}
	if _, err := inspect.Compile(load(t, "x.gate", "arch x86_64 s390x\nallow read\n"), compile.Options{}); err == nil {
		t.Error("a program is for one byte order")
	}
}
