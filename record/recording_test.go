package record

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/policy/lang"
	"monban/verdict"
)

const x86 = abi.X86_64

// called is a call as people write it.
func called(t *testing.T, a abi.Arch, text string) bpf.Data {
	t.Helper()
	c, err := lang.ParseCall(a, text)
	if err != nil {
		t.Fatal(err)
	}
	return c.Data
}

// meaning is the verdict of a policy for x86_64.
func meaning(t *testing.T, text string) verdict.Verdict {
	t.Helper()
	p, err := lang.Load("x.gate", []byte("arch x86_64\n"+text), lang.Options{Native: x86})
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	v, err := p.Verdict(verdict.NewSpace(verdict.DefaultBudget))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// names are the calls of a recording on x86_64, with clone3 where it is counted by itself.
func names(r *Recording) string {
	var out []string
	for _, k := range r.Keys(x86) {
		name, _ := k.Arch.Name(k.Nr)
		out = append(out, name)
	}
	if r.Clone3[x86] > 0 {
		out = append(out, "clone3")
	}
	return strings.Join(out, " ")
}

// A recording says of each call how often it was made, by whom, and whether anything of it is new.
func TestAdd(t *testing.T) {
	r := New([]string{"x"}, "hand")
	for _, c := range []struct {
		call, program string
		isNew         bool
	}{
		{"read(0)", "a", true}, {"read(1, 2, 3)", "a", false}, {"read(0)", "b", false},
		{"socket(AF_UNIX, SOCK_STREAM)", "a", true}, {"socket(AF_UNIX, SOCK_STREAM, 1)", "a", false},
		{"socket(AF_UNIX, SOCK_DGRAM)", "a", true}, {"socket(AF_INET, SOCK_DGRAM)", "b", true}, {"socket(AF_INET, SOCK_STREAM)", "b", false},
	} {
		d := called(t, x86, c.call)
		if got := r.Add(x86, &d, c.program); got != c.isNew {
			t.Errorf("%s by %s: new is %v", c.call, c.program, got)
		}
	}
	read := r.Calls[Key{x86, 0}]
	if r.Made != 8 || read.Count != 3 || read.Programs["a"] != 2 || read.Programs["b"] != 1 || names(r) != "read socket" || r.Kinds() != 2 {
		t.Errorf("%d calls, read %+v, %s", r.Made, read, names(r))
	}
	if n := r.different(); n != 2+4 { // two calls, two families, two types
		t.Errorf("%d different", n)
	}
	d := called(t, abi.X86, "read")
	r.Add(abi.X86, &d, "c")
	if got := r.Archs(x86); !slices.Equal(got, []abi.Arch{x86, abi.X86}) {
		t.Errorf("%v", got)
	}
	for i := range uint64(maxValues) + 5 { // more values than are kept
		d := bpf.Data{Arch: x86.Token(), Nr: 16, Args: [6]uint64{0, i}}
		if r.Add(x86, &d, "a") != (i <= maxValues) {
			t.Errorf("value %d", i)
		}
	}
	if v := r.Calls[Key{x86, 16}].Values[0]; !v.Many || v.Seen != nil {
		t.Errorf("%+v", v)
	}
}

// What a run is held against as it goes is exact; afterwards, whatever could have been refused is lacking.
func TestLacking(t *testing.T) {
	calls := []string{"read(0)", "socket(AF_UNIX, SOCK_STREAM)", "socket(AF_INET, SOCK_DGRAM)", "ioctl(0, TIOCGWINSZ)", "write(1, 2, 3)"}
	for _, c := range []struct{ gate, exact, later string }{
		{"default allow\n", "", ""},
		{"default log\n", "", ""},
		{"default errno(EPERM)\n", "read write ioctl socket", "read write ioctl socket"},
		{"default errno(EPERM)\nallow read write socket ioctl\n", "", ""},
		{"default errno(EPERM)\nallow read write ioctl\nallow socket(family == AF_UNIX)\n", "socket", "socket"},
		// Each value may have come with each.
		{"default errno(EPERM)\nallow read write ioctl\nallow socket(family == AF_UNIX && type == SOCK_STREAM)\nallow socket(family == AF_INET && type == SOCK_DGRAM)\n", "", "socket"},
		// Only the run itself shows an argument that is not recorded.
		{"default errno(EPERM)\nallow read socket ioctl\nallow write(fd == 1)\n", "", "write"},
		{"default errno(EPERM)\nallow read socket ioctl\nallow write(fd == 2)\n", "write", "write"},
	} {
		for _, held := range []bool{true, false} {
			gate := meaning(t, c.gate)
			r := New([]string{"x"}, "hand")
			if held {
				r.hold(&gate)
			}
			for _, call := range calls {
				d := called(t, x86, call)
				r.Add(x86, &d, "a")
			}
			want := c.later
			if held {
				want = c.exact
			}
			if l, err := r.Lacking(gate); err != nil || names(l) != want {
				t.Errorf("held %v: %q and %v are lacking, want %q, in\n%s", held, names(l), err, want, c.gate)
			}
		}
	}
}

// clone3 is lacking where libc does not make clone instead, and the values that are lacking are those that were seen.
func TestLackingClone3(t *testing.T) {
	for gate, want := range map[string]string{
		"default errno(EPERM)\nallow clone clone3\n":                             "",
		"default errno(EPERM)\nallow clone\nerrno(ENOSYS) clone3\n":              "",
		"default errno(EPERM)\nallow clone\n":                                    "clone3",
		"default errno(ENOSYS)\n":                                                "clone",
		"default kill_process\nallow clone(flags & CLONE_NEWUSER == 0) clone3\n": "",
	} {
		r := New([]string{"x"}, "hand")
		d := r.asClone(x86, bpf.Data{Arch: x86.Token(), Nr: 435, Args: [6]uint64{8, 88}}, func(addr uint64, buf []byte) error {
			if addr != 8 || len(buf) != 40 {
				t.Errorf("%d bytes at %d", len(buf), addr)
			}
			x86.ByteOrder().PutUint64(buf, 0x100|1<<33) // CLONE_VM, and CLONE_CLEAR_SIGHAND, which clone has not
			x86.ByteOrder().PutUint64(buf[32:], 17)
			return nil
		})
		if want := (bpf.Data{Arch: x86.Token(), Nr: 56, Args: [6]uint64{0x111}}); d != want {
			t.Errorf("%+v, not %+v", d, want)
		}
		r.Add(x86, &d, "a")
		if r.Kinds() != 2 || r.Lost != 0 {
			t.Errorf("%d kinds, %d lost", r.Kinds(), r.Lost)
		}
		if l, err := r.Lacking(meaning(t, gate)); err != nil || names(l) != want {
			t.Errorf("%q and %v are lacking, want %q, in\n%s", names(l), err, want, gate)
		}
	}
}

// What cannot be read is lost, unless the kernel would not look at it; s390 has clone's flags elsewhere.
func TestAsClone(t *testing.T) {
	fails := func(uint64, []byte) error { return errors.New("not there") }
	for _, c := range []struct {
		size uint64
		lost uint64
	}{{0, 0}, {63, 0}, {64, 1}, {88, 1}} {
		r := New(nil, "")
		if d := r.asClone(x86, bpf.Data{Arch: x86.Token(), Args: [6]uint64{8, c.size}, IP: 5}, fails); d.Args != [6]uint64{} || d.IP != 5 || r.Lost != c.lost {
			t.Errorf("size %d: %+v, %d lost", c.size, d, r.Lost)
		}
	}
	r := New(nil, "")
	d := r.asClone(abi.S390X, bpf.Data{Arch: abi.S390X.Token()}, func(_ uint64, buf []byte) error {
		buf[6], buf[39] = 1, 17 // big-endian
		return nil
	})
	if d.Args != [6]uint64{0, 0x111} || r.Clone3[abi.S390X] != 1 {
		t.Errorf("%+v", d)
	}
}

func TestLooksElsewhere(t *testing.T) {
	for gate, want := range map[string]bool{
		"default allow\n": false,
		"default errno(EPERM)\nallow read socket(family == AF_UNIX)\n": false,
		"default errno(EPERM)\nallow clone(flags == 0)\n":              false,
		"default errno(EPERM)\nallow write(fd == 1)\n":                 true,
		"default errno(EPERM)\nallow socket(protocol == 0)\n":          true,
		"default errno(EPERM)\nallow write(u64(fd) > 0xffffffff)\n":    true,
	} {
		if got, err := LooksElsewhere(meaning(t, gate), []abi.Arch{x86}); err != nil || got != want {
			t.Errorf("%v, %v, want %v of\n%s", got, err, want, gate)
		}
	}
}

// Values of two registers and of narrow arguments are taken out and put in as the kernel looks at them.
func TestArguments(t *testing.T) {
	for name := range mattering {
		for _, a := range []abi.Arch{abi.X86_64, abi.X86, abi.ARM, abi.S390X, abi.RISCV64} {
			for _, m := range Arguments(a, name) {
				full := ^uint64(0)
				if m.High < 0 {
					full >>= 64 - m.Bits
				}
				for _, v := range []uint64{0, 1, 0x12345678, 0xfedcba9876543210} {
					var d bpf.Data
					m.set(&d, v&full)
					if got := m.value(&d); got != v&full {
						t.Errorf("%s: %s of %s: %#x, put in %#x", a, m.Name, name, got, v&full)
					}
					for i, arg := range d.Args {
						if arg != 0 && i != m.Index && i != m.High {
							t.Errorf("%s: %s of %s is put into register %d", a, m.Name, name, i)
						}
					}
				}
				words := m.words()
				if want := 2; m.High < 0 && len(words) != want || m.High >= 0 && len(words) != 2*want {
					t.Errorf("%s: %s of %s in %d words", a, m.Name, name, len(words))
				}
			}
		}
	}
}

func TestUnavailable(t *testing.T) {
	why := errors.New("no such thing")
	err := error(&UnavailableError{why})
	if !errors.Is(err, why) || err.Error() != why.Error() {
		t.Error(err)
	}
}
