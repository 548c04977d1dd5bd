package monban

import (
	"errors"
	"strings"
	"testing"

	"monban/abi"
)

// What would break the Go runtime, or could not be answered, is refused before anything is installed.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name, gate, want string
		breaks           bool
	}{
		{"too little", "allow write exit exit_group", "futex", true},
		{"the runtime's calls only under conditions", "include @go-runtime\ndefault kill_process", "", false},
		{"a condition on what the runtime needs", "errno(EPERM) futex(op == 1)\ninclude @go-runtime", "it needs futex: write include @go-runtime", true},
		{"kill_thread", "include @go-runtime\ndefault kill_thread", "kill_thread ends one thread", true},
		{"notify", "include @go-runtime\nnotify connect", "nobody is there to answer", false},
		{"trace", "include @go-runtime\ntrace(1) connect", "nobody is there to answer", false},
		{"another architecture", "arch s390x\ninclude @go-runtime", "this machine is x86_64", false},
	} {
		p, err := Parse(c.gate)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		native := abi.X86_64
		if abi.Native() != native {
			continue
		}
		_, err = gate(p, native)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want …%s…", c.name, err, c.want)
		case c.breaks != errors.Is(err, ErrBreaksRuntime):
			t.Errorf("%s: is ErrBreaksRuntime: %v", c.name, !c.breaks)
		}
	}
}

func TestParseError(t *testing.T) {
	_, err := Parse("default errno(EPERM)\nallow raed")
	if err == nil || err.Error() != "policy:2:7: unknown system call raed (did you mean read?)" {
		t.Error(err)
	}
}
