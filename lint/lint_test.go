package lint

import (
	"slices"
	"testing"

	"monban/abi"
	"monban/policy"
	"monban/verdict"
)

func TestCheck(t *testing.T) {
	const fine = "default errno(EPERM)\nallow exit_group rt_sigreturn read\n"
	for _, c := range []struct {
		name, gate string
		archs      []abi.Arch
		want       []string
	}{
		{"nothing to say", fine, nil, nil},
		{"a killed thread", fine + "kill_thread mount", nil, []string{"kill-thread"}},
		{"the classic first filter", "default kill_thread\nallow exit write", nil, []string{"kill-thread", "exit-group", "sigreturn"}},
		{"x32 open", fine + "on x32: allow mount", []abi.Arch{abi.X86_64, abi.X32}, []string{"x32"}},
		{"x32 refused whole", fine + "on x32: errno(EPERM) any", []abi.Arch{abi.X86_64, abi.X32}, nil},
		{"other architectures", fine + "badarch allow", nil, []string{"x32", "arch-unchecked"}},
		{"a condition walked around", fine + "allow socketcall socket(family == AF_UNIX)", []abi.Arch{abi.X86}, []string{"mux"}},
		{"a denied call walked around", fine + "allow socketcall(call == 1)", []abi.Arch{abi.X86}, []string{"mux"}},
		{"the multiplexer refused", fine + "allow socket(family == AF_UNIX)\nerrno(EPERM) socketcall ipc", []abi.Arch{abi.X86}, nil},
		{"a multiplexer elsewhere", fine + "allow socket(family == AF_UNIX)", []abi.Arch{abi.X86_64}, nil},
		{"logged is not denied", "default log\nunknown errno(ENOSYS)", nil, nil},
	} {
		archs := c.archs
		if archs == nil {
			archs = []abi.Arch{abi.X86_64}
		}
		p, err := policy.Load("t", []byte(c.gate), policy.Options{Archs: archs})
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		v, err := p.Verdict(verdict.NewSpace(verdict.DefaultBudget))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range Check(v, archs) {
			got = append(got, f.Name)
			if at := v.At(&f.Call); at != f.Action {
				t.Errorf("%s: the witness of %s gets %v, not %v", c.name, f.Name, at, f.Action)
			}
			if f.Title == "" || f.Reason == "" {
				t.Errorf("%s: %s gives no reason", c.name, f.Name)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
