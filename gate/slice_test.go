package gate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"monban/abi"
	"monban/verdict"
)

// A slice is what the verdict says of the number, for a policy, for programs and for a stack of both.
func TestSlice(t *testing.T) {
	p := load(t, "arch x86_64 x86 x32\ndefault errno(EPERM)\nunknown trap\nallow read ioctl(request == 5) openat(arg2 & 3 == 0)\n"+
		"log any(nr == 5000 && arg0 == 1)\nkill_process socket(domain == 16)\nallow socket\non x86: allow clone(flags & 1 == 0)\n")
	filters, err := p.Filters()
	if err != nil {
		t.Fatal(err)
	}
	b := OfPrograms("t.bpf", binary.LittleEndian, filters...)
	older := load(t, "arch x86_64 x86\ndefault allow\nunknown allow\nbadarch allow\nerrno(EACCES) ioctl(arg0 == 2) socketcall\n")
	stack, err := Stack("stack", older, b)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range []*Gate{p, b, stack} {
		whole, err := g.Verdict()
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range []abi.Arch{abi.X86_64, abi.X86, abi.X32, abi.AArch64} {
			numbers := []uint32{5000, 0, 0xffffffff}
			for nr := range a.Calls() {
				numbers = append(numbers, nr)
			}
			for _, nr := range numbers {
				v, err := g.Slice(whole.Space(), a, nr)
				if want := whole.Restrict(verdict.Arch, a.Token()).Restrict(verdict.Nr, nr); err != nil || v != want {
					t.Errorf("%s: number %d of %s: %v, or another slice", g.Name, nr, a, err)
				}
				elsewhere, err := g.Slice(verdict.NewSpace(10_000), a, nr)
				if err != nil || whole.Space().Copy(elsewhere) != v {
					t.Errorf("%s: number %d of %s: %v, or another slice elsewhere", g.Name, nr, a, err)
				}
			}
		}
	}
}

// One call of a policy can be known where the whole is too complex; what is too complex itself is an error that names
// the gate.
func TestSliceOfComplex(t *testing.T) {
	var equal []string // two arguments, which takes two nodes to the power of the bits
	for bit := range 24 {
		equal = append(equal, fmt.Sprintf("(arg0 & %#x == 0 && arg1 & %#x == 0 || arg0 & %#x != 0 && arg1 & %#x != 0)", 1<<bit, 1<<bit, 1<<bit, 1<<bit))
	}
	g := load(t, "arch x86_64\ndefault errno(EPERM)\nallow read ioctl(request == 5)\nallow mmap("+strings.Join(equal, " && ")+")\n")
	if _, err := g.Verdict(); !errors.Is(err, verdict.ErrTooComplex) {
		t.Fatalf("the whole: %v", err)
	}
	for call, complex := range map[string]bool{"read": false, "ioctl": false, "mmap": true} {
		nr, _ := abi.X86_64.Number(call)
		_, err := g.Slice(verdict.NewSpace(verdict.DefaultBudget), abi.X86_64, nr)
		if e, ok := errors.AsType[*ComplexError](err); ok != complex || err != nil && (e == nil || e.Gate != "t.gate") {
			t.Errorf("%s: %v", call, err)
		}
	}
}
