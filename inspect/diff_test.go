package inspect_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"monban/abi"
	"monban/gate"
	"monban/inspect"
	"monban/verdict"
)

// written is a class in a line.
func written(c *inspect.Class) string {
	on := abi.Join(c.Archs, ",")
	if c.Others {
		on = "others"
	}
	text := fmt.Sprintf("%s on %s: %s -> %s: %s", c.Change, on, c.A, c.B, subsets(c.Calls))
	numbers := 0
	for _, n := range c.Numbers {
		numbers += int(n.To-n.From) + 1
	}
	if numbers > 0 {
		text += fmt.Sprintf(" and %d numbers", numbers)
	}
	if c.Partial {
		text += ", at least"
	}
	return text
}

// from is a gate with one text replaced by another.
func from(t *testing.T, old, new string) *gate.Gate {
	t.Helper()
	if !strings.Contains(web, old) {
		t.Fatalf("%q is not in the gate", old)
	}
	return load(t, "b.gate", strings.Replace(web, old, new, 1))
}

func TestDiff(t *testing.T) {
	a := load(t, "a.gate", web)
	odd := "ld [nr]\njset #1, 2, 3\nret errno(1)\nret allow\n"
	even := "ld [nr]\njset #1, 3, 2\nret errno(1)\nret allow\n"
	for _, tt := range []struct {
		what string
		a, b *gate.Gate
		want []string
	}{
		{"itself", a, load(t, "b.gate", web), nil},
		{"what it compiles to", a, filters(t, a), nil},
		{"a call less, of two architectures at once", a, from(t, "allow read write", "allow read"),
			[]string{"newly denied on x86_64,x86: allow -> errno(EPERM): write"}},
		{"worst first", from(t, "allow read", "errno(EIO) getpid\nallow"), from(t, "exit_group", "getppid"), []string{
			"newly allowed on x86_64,x86: errno(EPERM) -> allow: read; getppid",
			"answered otherwise on x86_64,x86: errno(EIO) -> errno(EPERM): getpid",
			"newly denied on x86_64,x86: allow -> errno(EPERM): exit_group"}},
		{"for some arguments", a, from(t, "family == AF_UNIX || ", ""), []string{
			"newly denied on x86_64,x86: allow -> errno(EAFNOSUPPORT): socket family == AF_UNIX"}},
		{"supervised", a, from(t, "notify connect", "notify connect ptrace"), []string{
			"newly supervised on x86_64,x86: errno(EPERM) -> notify: ptrace"}},
		{"numbers that no call has", a, load(t, "b.gate", web+"allow any(nr == 5000)\n"), []string{
			"newly allowed on x86_64,x86: errno(ENOSYS) -> allow:  and 2 numbers"}},
		{"x32 is an architecture of its own", load(t, "a.gate", "arch x86_64 x32\nallow read\n"), load(t, "b.gate", "arch x86_64 x32\non x86_64: allow read\n"),
			[]string{"newly denied on x32: allow -> kill_process: read"}},
		{"all other architectures", a, load(t, "b.gate", web+"badarch errno(ENOSYS)\n"), []string{
			"x32 is one, and those that nobody has"}},
		{"more ranges than anybody could list", assemble(t, "odd.bpf", odd), assemble(t, "even.bpf", even), nil},
	} {
		d, err := inspect.Diff(tt.a, tt.b)
		if err != nil {
			t.Errorf("%s: %v", tt.what, err)
			continue
		}
		var got []string
		for i := range d.Classes {
			got = append(got, written(&d.Classes[i]))
		}
		switch {
		case tt.what == "all other architectures":
			if len(got) != 2 || !strings.HasPrefix(got[0], "answered otherwise on x32: kill_process -> errno(ENOSYS)") || !strings.HasPrefix(got[1], "answered otherwise on others: kill_process -> errno(ENOSYS)") {
				t.Errorf("%s: %q", tt.what, got)
			}
		case strings.HasPrefix(tt.what, "more ranges"):
			if len(got) < 2 || !slices.ContainsFunc(d.Classes, func(c inspect.Class) bool { return c.Partial }) {
				t.Errorf("%s: %q", tt.what, got)
			}
		case !slices.Equal(got, tt.want):
			t.Errorf("%s:\n%s\nwant\n%s", tt.what, strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
		}
		witnesses(t, tt.what, tt.a, tt.b, d)
	}
}

// witnesses holds that a difference has classes if and only if the gates differ, and that each class's witness gets
// what it says.
func witnesses(t *testing.T, what string, a, b *gate.Gate, d *inspect.Difference) {
	t.Helper()
	shared, err := gate.Share(a, b)
	if err != nil {
		t.Fatal(err)
	}
	v, err := shared[0].Verdict()
	if err != nil {
		t.Fatal(err)
	}
	w, err := shared[1].Verdict()
	if err != nil {
		t.Fatal(err)
	}
	if d.Holds() != (v == w) {
		t.Errorf("%s: %d classes, equal: %v", what, len(d.Classes), v == w)
	}
	for i := range d.Classes {
		c := &d.Classes[i]
		x, y := v.At(&c.Witness).Canonical(), w.At(&c.Witness).Canonical()
		if own, ok := abi.Of(c.Witness.Arch, c.Witness.Nr); c.Others == ok || ok && !slices.Contains(c.Archs, own) {
			t.Errorf("%s: %s: the witness %+v is of another architecture", what, written(c), c.Witness)
		}
		if x == y || x.Kind() != c.A.Kind || y.Kind() != c.B.Kind {
			t.Errorf("%s: %s: the witness %+v gets %s and %s", what, written(c), c.Witness, x, y)
		}
	}
}

func TestExcess(t *testing.T) {
	a := load(t, "a.gate", web)
	for _, tt := range []struct {
		a, b *gate.Gate
		want []string
	}{
		{a, a, nil},
		{from(t, "allow read write", "allow read"), a, nil},
		{a, from(t, "allow read write", "allow read"), []string{"newly allowed on x86_64,x86: allow -> errno(EPERM): write"}},
		{a, from(t, "notify connect", "errno(EIO) connect"), []string{
			"newly supervised on x86_64: notify -> errno(EIO): connect", "newly supervised on x86: notify -> errno(EIO): socketcall call == SYS_CONNECT; connect"}},
		{a, from(t, "errno(EPERM)", "kill_process"), nil},
	} {
		d, err := inspect.Excess(tt.a, tt.b)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for i := range d.Classes {
			got = append(got, written(&d.Classes[i]))
		}
		if !slices.Equal(got, tt.want) || d.Holds() != (tt.want == nil) || !d.Subset {
			t.Errorf("%q, holds: %v, want %q", got, d.Holds(), tt.want)
		}
	}
}

// Where the work on two gates finds no room, the error names both.
func TestTogether(t *testing.T) {
	a, b := load(t, "a.gate", web), from(t, "allow read", "allow mmap("+equal(6)+")\nallow")
	for what, f := range map[string]func(a, b *gate.Gate) error{
		"diff":    func(a, b *gate.Gate) error { _, err := inspect.Diff(a, b); return err },
		"excess":  func(a, b *gate.Gate) error { _, err := inspect.Excess(a, b); return err },
		"compare": func(a, b *gate.Gate) error { _, err := inspect.Compare(a, b, abi.X86_64); return err },
		"merge":   func(a, b *gate.Gate) error { _, err := inspect.Merge(inspect.Union, a, b); return err },
		"origins": func(a, b *gate.Gate) error { _, err := inspect.Origins([]abi.Arch{abi.X86_64}, a, b); return err },
	} {
		refused, answered := 0, 0
		for budget := 2000; answered == 0; budget += budget / 4 {
			s := verdict.NewSpace(budget)
			x, y := a.In(s), b.In(s)
			if _, err := x.Verdict(); err != nil {
				continue
			}
			if _, err := y.Verdict(); err != nil {
				continue
			}
			switch err := f(x, y); {
			case err == nil:
				answered++
			case isTogether(err):
				refused++
			default:
				t.Fatalf("%s: %v", what, err)
			}
		}
		if refused == 0 {
			t.Errorf("%s: no budget was too small", what)
		}
	}
}

func isTogether(err error) bool {
	e, ok := errors.AsType[*gate.TogetherError](err)
	return ok && e.Gates == "a.gate and b.gate"
}
