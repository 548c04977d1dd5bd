package bpf

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// edges are programs at the borders of what the kernel admits. The live kernel confirms each in TestCheckAgainstKernel.
var edges = []struct {
	name, text string
	reason     string // part of it; "" if the program is admitted
}{
	{"ret", "ret allow", ""},
	{"ret a", "ret a", ""},
	{"ret x", "raw 0x0e, 0, 0, 0", "not an instruction that seccomp admits"},
	{"ret with fields", "raw 0x06, 9, 200, 7", ""},
	{"no ret at the end", "ret allow\nld #1", "last instruction must be a ret"},
	{"jump at the end", "raw 0x05, 0, 0, 0", "past the end"},

	{"first word", "ld [0]\nret a", ""},
	{"last word", "ld [60]\nret a", ""},
	{"past the data", "ld [64]\nret a", "has 64 bytes"},
	{"unaligned", "ld [2]\nret a", "multiple of 4"},
	{"ancillary", "raw 0x20, 0, 0, 0xfffff000\nret a", "has 64 bytes"},
	{"byte", "raw 0x30, 0, 0, 0\nret a", "32 bits"},
	{"half", "raw 0x28, 0, 0, 0\nret a", "32 bits"},
	{"indirect", "raw 0x40, 0, 0, 0\nret a", "relative to x"},
	{"msh", "raw 0xb1, 0, 0, 14\nret a", "msh"},
	{"ldx abs", "raw 0x21, 0, 0, 0\nret a", "not an instruction that seccomp admits"},
	{"len", "ld #len\nldx #len\nret a", ""},
	{"len with k", "raw 0x80, 1, 2, 3\nret a", ""},
	{"immediates", "ld #0xffffffff\nldx #0xffffffff\nret a", ""},

	{"shift by 31", "lsh #31\nrsh #31\nret a", ""},
	{"lsh by 32", "lsh #32\nret a", "more than 31"},
	{"rsh by 32", "rsh #32\nret a", "more than 31"},
	{"lsh by x", "lsh x\nret a", ""},
	{"lsh by x with k", "raw 0x6c, 0, 0, 99\nret a", ""},
	{"div by 0", "div #0\nret a", "divides by 0"},
	{"div by x, k 0", "div x\nret a", ""},
	{"mod", "raw 0x94, 0, 0, 3\nret a", "remainder"},
	{"neg", "neg\nret a", ""},
	{"neg x", "raw 0x8c, 0, 0, 0\nret a", "no operand"},
	{"stray high bit", "raw 0x0120, 0, 0, 0\nret a", "not an instruction"},

	{"goto next", "ja 1\nret a", ""},
	{"goto end", "raw 0x05, 0, 0, 1\nret a", "past the end"},
	{"goto wraps", "raw 0x05, 0, 0, 0xffffffff\nret a", "past the end"},
	{"goto wraps far", "ld #0\nraw 0x05, 0, 0, 0xfffffffe\nret a", "past the end"},
	{"goto sign", "raw 0x05, 0, 0, 0x80000000\nret a", "past the end"},
	{"goto with fields", "raw 0x05, 200, 200, 0\nret a", ""},
	{"branch last", "raw 0x15, 1, 0, 0\nret a\nret a", ""},
	{"branch past, true", "raw 0x15, 2, 0, 0\nret a\nret a", "past the end"},
	{"branch past, false", "raw 0x15, 0, 2, 0\nret a\nret a", "past the end"},
	{"branch x past", "raw 0x1d, 0, 2, 0\nret a\nret a", "past the end"},

	{"last scratch word", "st M[15]\nldx M[15]\nret a", ""},
	{"no scratch word 16", "st M[16]\nret a", "16 scratch words"},
	{"stx 16", "stx M[16]\nret a", "16 scratch words"},
	{"huge scratch word", "st M[0x80000000]\nret a", "16 scratch words"},
	{"not written", "ld M[0]\nret a", "not written"},
	{"not written x", "ldx M[3]\nret a", "not written"},
	{"other written", "st M[1]\nld M[0]\nret a", "not written"},
	{"written", "stx M[1]\nld M[1]\nret a", ""},
	{"written on one path", "jeq #0, yes, no\nyes: st M[0]\nno: ld M[0]\nret a", "not written"},
	{"written on both", "jeq #0, yes, no\nyes: st M[0]\nja end\nno: stx M[0]\nend: ld M[0]\nret a", ""},
	{"written before", "st M[0]\njeq x, a, b\na: ld M[0]\nb: ldx M[0]\nret a", ""},
	{"written after", "ja past\nst M[0]\npast: ld M[0]\nret a", "not written"},
	{"other path returns before", "jeq #0, no, yes\nno: ret a\nyes: st M[0]\nld M[0]\nret a", ""},
	// The checker carries what holds at a RET on to the next instruction.
	{"ret flows on", "jeq #0, yes, no\nyes: st M[0]\nja end\nno: ret a\nend: ld M[0]\nret a", "not written"},
	{"ret flows on, written", "st M[0]\njeq #0, yes, no\nyes: ja end\nno: ret a\nend: ld M[0]\nret a", ""},
	{"unreachable", "ja end\nld M[7]\nend: ret a", ""},
	{"unreachable flows on", "ja end\nret a\nend: ld M[0]\nret a", "not written"},
	{"unreachable after ret", "ret a\nld M[0]\nret a", "not written"},
	{"unreachable is still checked", "ret a\nraw 0x94, 0, 0, 1\nret a", "remainder"},
}

func TestCheckEdges(t *testing.T) {
	for _, e := range edges {
		err := mustAssemble(t, e.text).Check()
		switch check, ok := errors.AsType[*CheckError](err); {
		case e.reason == "" && err != nil:
			t.Errorf("%s: %v, want it admitted", e.name, err)
		case e.reason != "" && !ok:
			t.Errorf("%s: admitted, want an error with %q", e.name, e.reason)
		case e.reason != "" && !strings.Contains(check.Reason, e.reason):
			t.Errorf("%s: %v, want an error with %q", e.name, err, e.reason)
		}
	}
}

func TestCheckNamesInstruction(t *testing.T) {
	p := mustAssemble(t, "ld [nr]\nja 2\nraw 0x15, 3, 0, 0x29\nret a")
	check, ok := errors.AsType[*CheckError](p.Check())
	if !ok || check.PC != 2 || check.Instruction != p[2] {
		t.Fatalf("got %v, want instruction 2", check)
	}
	const want = "instruction 2 (jeq #0x29, +3, +0): jumps past the end: the program has 4 instructions"
	if check.Error() != want {
		t.Errorf("got  %s\nwant %s", check, want)
	}
}

func TestCheckLength(t *testing.T) {
	ret := Program{{Code: RET | K, K: uint32(Allow)}}
	for _, c := range []struct {
		n  int
		ok bool
	}{{0, false}, {1, true}, {MaxInstructions, true}, {MaxInstructions + 1, false}} {
		err := Program(slices.Repeat(ret, c.n)).Check()
		if check, _ := errors.AsType[*CheckError](err); (err == nil) != c.ok || !c.ok && check.PC != -1 {
			t.Errorf("%d instructions: %v", c.n, err)
		}
	}
}

// The compilers' programs are such as kernels run; seccomp-tools' list of all instructions is not meant to run.
func TestCheckCorpus(t *testing.T) {
	for name, p := range corpusPrograms(t) {
		if err := p.Check(); (err == nil) != (name != "all_inst.bpf") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
