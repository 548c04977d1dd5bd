package monban

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"

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
		p, err := Parse(c.gate, Options{})
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		native := abi.X86_64
		if abi.Native() != native {
			continue
		}
		err = Check(p, Options{Arch: native})
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want …%s…", c.name, err, c.want)
		}
		if _, breaks := errors.AsType[*RuntimeError](err); breaks != c.breaks {
			t.Errorf("%s: it breaks the runtime: %v", c.name, breaks)
		}
	}
}

func TestParseError(t *testing.T) {
	_, err := Parse("default errno(EPERM)\nallow raed", Options{})
	if err == nil || err.Error() != "policy:2:7: unknown system call raed (did you mean read?)" {
		t.Error(err)
	}
}

// Options choose the machine, the kernel's calls and the files.
func TestOptions(t *testing.T) {
	at := fstest.MapFS{
		"etc/web.gate":  {Data: []byte("include \"base.gate\"\nallow read\n")},
		"etc/base.gate": {Data: []byte("arch native\ndefault errno(EPERM)\n")},
	}
	p, err := Load("etc/web.gate", Options{Arch: abi.S390X, FS: at})
	if err != nil || len(p.Archs) != 1 || p.Archs[0] != abi.S390X {
		t.Errorf("%v, %v", p, err)
	}
	if p, err = Parse("include \"etc/base.gate\"\nallow read", Options{FS: at}); err != nil || p.Archs[0] != abi.Native() {
		t.Errorf("%v, %v", p, err)
	}
	if _, err := Load("etc", Options{FS: at}); err == nil || err.Error() != "open etc: it is not a regular file" {
		t.Errorf("a directory: %v", err)
	}
	if _, err := Parse("include \"none.gate\"", Options{FS: at}); err == nil || err.Error() != "policy:1:9: cannot include none.gate: there is no such file" {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := Parse("include \"etc/base.gate\"", Options{}); err == nil {
		t.Error("a text includes the machine's files")
	}
	old, _ := abi.ParseVersion("4.14")
	if p, err = Parse("default errno(EPERM)\nallow read", Options{Kernel: old}); err != nil || p.Kernel != old {
		t.Errorf("%v, %v", p, err)
	}
	if p, err = Parse("kernel 6.1\ndefault errno(EPERM)\nallow read", Options{Kernel: old}); err != nil || p.Kernel.String() != "6.1" {
		t.Errorf("%v, %v", p, err)
	}
	if err := Check(p, Options{Arch: abi.AArch64}); err == nil {
		t.Error("a policy that does not speak for the machine")
	}
}

// @go-runtime has whatever is insisted on, on every architecture that Go has.
func TestNeeds(t *testing.T) {
	for _, a := range abi.Archs() {
		if a.GOARCH() == "" {
			continue
		}
		p, err := Parse("include @go-runtime", Options{Arch: a})
		if err == nil {
			err = Check(p, Options{Arch: a})
		}
		if err != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
}
