package inspect_test

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/gate"
	"monban/inspect"
)

// Where single bits of the number decide there are more ranges than anybody could go through: all answers are found all
// the same.
func TestUnknownNumbers(t *testing.T) {
	p, err := bpf.Assemble("t", strings.NewReader("ld [nr]\njge #0x80000000, 5, 2\njset #1, 3, 4\nret errno(1)\nret errno(2)\nret allow\n"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := inspect.Summarise(gate.OfPrograms("t", binary.LittleEndian, p), abi.X86)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(s.Unknown)
	if want := []bpf.Action{bpf.Errno | 1, bpf.Errno | 2, bpf.Allow}; !slices.Equal(s.Unknown, want) {
		t.Errorf("numbers that no call has get %v, want %v", s.Unknown, want)
	}
}
