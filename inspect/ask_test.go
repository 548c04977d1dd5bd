package inspect_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/gate"
	"monban/inspect"
	"monban/policy"
	"monban/policy/lang"
	"monban/verdict"
)

// answered is what an answer says, and what decided.
func answered(a *inspect.Answer) string {
	text := cases(a.Call.Arch, a.Cases)
	if d := a.Decision; d != nil {
		text += " by " + d.Text
		if d.Rule != nil {
			text += fmt.Sprint(" in line ", d.Pos().Line)
		}
	}
	if u := a.UpperHalf; u != nil {
		text += fmt.Sprintf(", but %v of %v", u.Actions, u.Args)
	}
	return text
}

func TestAsk(t *testing.T) {
	g := load(t, "web.gate", web)
	wide := load(t, "wide.gate", "arch x86_64\nallow ioctl(u64(request) == 5)\nallow read\n")
	complex := load(t, "complex.gate", "arch x86_64\nallow mmap("+equal(8)+")\nlog read\n").In(verdict.NewSpace(500))
	for _, tt := range []struct {
		g        *gate.Gate
		question string
		want     string
	}{
		{g, "read", "allow by allow read in line 3"},
		{g, "read(0, ?, 5)", "allow by allow read in line 3"},
		{g, "ptrace", "errno(EPERM) by default"},
		{g, "5000", "errno(ENOSYS) by unknown"},
		{g, "0x40000000", "kill_process by badarch"},
		{g, "socket(AF_UNIX)", "allow by allow socket(family == AF_UNIX || family == AF_INET && type & 0xf == SOCK_STREAM) in line 4"},
		{g, "socket(AF_INET, ?)", "allow type & 0xf == SOCK_STREAM; errno(EAFNOSUPPORT) type & 0xf != SOCK_STREAM"},
		{g, "socket({AF_UNIX, AF_INET6})", "allow family == AF_UNIX; errno(EAFNOSUPPORT) family == AF_INET6"},
		{filters(t, g), "read", "allow"},
		{wide, "ioctl(1, 5)", "allow by allow ioctl(u64(request) == 5) in line 2, but [kill_process] of [request]"},
		{wide, "read(1)", "allow by allow read in line 3"},
		{complex, "read", "log by log read in line 3"}, // from what it says of this call
	} {
		c, err := lang.ParseCall(abi.X86_64, tt.question)
		if err != nil {
			t.Fatal(err)
		}
		a, err := inspect.Ask(tt.g, &c)
		if err != nil {
			t.Errorf("%s: %v", tt.question, err)
			continue
		}
		if got := answered(a); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.question, got, tt.want)
		}
		if err := a.Follow(tt.g); err != nil && tt.g != complex {
			t.Fatal(err)
		}
		for _, trace := range a.Trace {
			if trace.Returns.Canonical() != a.Cases[0].Action || len(trace.Executed) == 0 || len(a.Trace) == 1 && trace.Filter[trace.Executed[len(trace.Executed)-1]].Code&7 != bpf.RET {
				t.Errorf("%s: the filter returns %s after %v", tt.question, trace.Returns, trace.Executed)
			}
		}
	}
	if _, err := complex.Verdict(); !isComplex(err, "complex.gate") {
		t.Errorf("%v", err)
	}
}

func isComplex(err error, name string) bool {
	e, ok := errors.AsType[*gate.ComplexError](err)
	return ok && e.Gate == name
}

// A stack is followed from the newest filter to the oldest.
func TestFollow(t *testing.T) {
	stack, err := gate.Stack("stack", assemble(t, "old.bpf", "ret errno(1)\n"), assemble(t, "new.bpf", "ld [nr]\nret allow\n"))
	if err != nil {
		t.Fatal(err)
	}
	traces, err := inspect.Follow(stack, &bpf.Data{Arch: abi.X86_64.Token()})
	if err != nil {
		t.Fatal(err)
	}
	if len(traces) != 2 || !slices.Equal(traces[0].Executed, []int{0, 1}) || traces[0].Returns != bpf.Allow || traces[1].Returns != bpf.Errno|1 {
		t.Errorf("%+v", traces)
	}
	// Of a gate for both byte orders, the part for the call's is followed; a token that nobody has is one of the
	// machine's.
	both := load(t, "both.gate", "arch x86_64 s390x\nallow read\non s390x: log write\n")
	for token, want := range map[uint32]bpf.Action{abi.X86_64.Token(): bpf.KillProcess, abi.S390X.Token(): bpf.Log, abi.NoToken: bpf.KillProcess} {
		nr, _ := abi.S390X.Number("write")
		if traces, err := inspect.Follow(both, &bpf.Data{Arch: token, Nr: nr}); err != nil || len(traces) != 1 || traces[0].Returns != want {
			t.Errorf("%#x: %+v, %v", token, traces, err)
		}
	}
}

// A desk reads the gate once for each family of architectures, and asks about a number once.
func TestDesk(t *testing.T) {
	var read []abi.Arch
	desk := func(archs ...abi.Arch) *inspect.Desk {
		read = nil
		return &inspect.Desk{Archs: archs, Native: abi.X86_64, Read: func(native abi.Arch) (*gate.Gate, error) {
			read = append(read, native)
			p, err := lang.Load("t.gate", []byte("allow read optional mmap2\n"), lang.Options{Native: native})
			if err != nil {
				return nil, err
			}
			return gate.OfPolicy("t.gate", p), nil
		}}
	}
	for _, tt := range []struct {
		archs    []abi.Arch
		question string
		want     []string // the architectures and actions
		read     []abi.Arch
	}{
		{[]abi.Arch{abi.X86_64}, "read", []string{"x86_64 allow"}, []abi.Arch{abi.X86_64}},
		{[]abi.Arch{abi.X86_64, abi.X86, abi.AArch64}, "read", []string{"x86_64 allow", "x86 kill_process", "aarch64 allow"}, []abi.Arch{abi.X86_64, abi.AArch64}},
		{[]abi.Arch{abi.X86_64, abi.X86}, "mmap2", []string{"x86 kill_process"}, []abi.Arch{abi.X86_64}},
		{[]abi.Arch{abi.X86_64, abi.X32}, "0x40000000", []string{"x32 kill_process"}, []abi.Arch{abi.X86_64}},
	} {
		d := desk(tt.archs...)
		answers, err := d.Ask(tt.question, true)
		if err != nil {
			t.Errorf("%s: %v", tt.question, err)
			continue
		}
		var got []string
		for _, a := range answers {
			got = append(got, fmt.Sprintf("%s %s", a.Call.Arch, cases(a.Call.Arch, a.Cases)))
			if len(a.Trace) == 0 {
				t.Errorf("%s: no trace", tt.question)
			}
		}
		if !slices.Equal(got, tt.want) || !slices.Equal(read, tt.read) {
			t.Errorf("%s: %q, read for %v, want %+v", tt.question, got, read, tt)
		}
	}
	var none *inspect.NoCallError
	if _, err := desk(abi.X86_64, abi.AArch64).Ask("mmap2", false); !errors.As(err, &none) || err.Error() != "none of x86_64, aarch64 has this call" {
		t.Errorf("%v", err)
	}
	var lacks *policy.NoCallError
	if _, err := desk(abi.X86_64).Ask("mmap2", false); !errors.As(err, &lacks) {
		t.Errorf("%v", err)
	}
	if _, err := desk(abi.X86_64, abi.X86).Ask("raed", false); err == nil || !strings.Contains(err.Error(), "unknown system call raed") {
		t.Errorf("%v", err)
	}
	program := &inspect.Desk{Archs: []abi.Arch{abi.S390X}, Native: abi.X86_64, Read: func(abi.Arch) (*gate.Gate, error) { return assemble(t, "t.bpf", "ret allow\n"), nil }}
	var order *inspect.OrderError
	if _, err := program.Ask("read", false); !errors.As(err, &order) || err.Error() != "t.bpf: the program is not of s390x's byte order" {
		t.Errorf("%v", err)
	}
	refused := errors.New("it cannot be read")
	if _, err := (&inspect.Desk{Archs: []abi.Arch{abi.X86_64}, Read: func(abi.Arch) (*gate.Gate, error) { return nil, refused }}).Ask("read", false); err != refused {
		t.Errorf("%v", err)
	}
}

func TestFixed(t *testing.T) {
	g := load(t, "web.gate", web)
	for call, want := range map[string]bool{"read": true, "ptrace": true, "socket": false, "openat": false, "socketcall": false} {
		if fixed, err := inspect.Fixed(g, abi.X86_64, call); err != nil || fixed != want {
			t.Errorf("%s: %v, %v", call, fixed, err)
		}
	}
	if fixed, err := inspect.Fixed(filters(t, g), abi.X86_64, "socket"); err != nil || fixed {
		t.Errorf("of a program: %v, %v", fixed, err)
	}
}

func TestCulprits(t *testing.T) {
	kills := load(t, "kills.gate", "arch x86_64\ndefault allow\nbadarch kill_process\nkill_process mount\ntrap ptrace\n")
	allows := load(t, "allows.gate", "arch x86_64 x86\ndefault allow\nbadarch allow\n")
	stack, err := gate.Stack("stack", kills, allows, filters(t, kills))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		g         *gate.Gate
		arch      abi.Arch
		call      string
		want      []string
		needsArch bool
	}{
		{kills, abi.X86_64, "read", nil, false},
		{kills, abi.X86_64, "mount", []string{"kills.gate kill_process mount"}, false},
		{kills, abi.X86_64, "ptrace", []string{"kills.gate trap(0) ptrace"}, false},
		{kills, abi.X86, "read", []string{"kills.gate badarch"}, true},
		{stack, abi.X86_64, "mount", []string{"kills.gate kill_process mount", "kills.gate.bpf"}, false},
	} {
		d := bpf.Data{Arch: tt.arch.Token()}
		d.Nr, _ = tt.arch.Number(tt.call)
		found, err := inspect.Culprits(tt.g, &d)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range found {
			text := c.Gate.Name
			if c.Decision != nil {
				text += " " + c.Decision.Text
			}
			got = append(got, text)
			if c.Arch != tt.arch || c.Call != d || c.NeedsArch() != tt.needsArch {
				t.Errorf("%s: %+v", tt.call, c)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s of %s: %q, want %q", tt.call, tt.arch, got, tt.want)
		}
	}
	for _, tt := range []struct {
		g    *gate.Gate
		arch abi.Arch
		want bool
	}{{kills, abi.X86_64, true}, {kills, abi.X86, false}, {allows, abi.X86_64, false}} {
		if got, err := inspect.Kills(tt.g, tt.arch); err != nil || got != tt.want && tt.arch == abi.X86_64 {
			t.Errorf("%s on %s: %v, %v", tt.g.Name, tt.arch, got, err)
		}
	}
}
