package lang

import (
	"strings"
	"testing"

	"monban/abi"
)

// A preset speaks for all architectures, those that are still to come included: a call that one of them lacks is not a
// mistake in it, where it is one in somebody's gate. A name that nobody has is a mistake in both.
func TestPresetLacksCalls(t *testing.T) {
	for _, preset := range []bool{true, false} {
		f, err := Parse("p.gate", []byte("default errno(EPERM)\nallow read mmap2(arg0 == 0)\n"))
		if err != nil {
			t.Fatal(err)
		}
		f.preset = preset
		p, err := f.Resolve(Options{Archs: []abi.Arch{abi.X86_64}})
		if (err == nil) != preset {
			t.Errorf("preset %v: %v", preset, err)
		}
		if preset && strings.Contains(Print(p), "optional") {
			t.Errorf("it is printed as\n%s", Print(p))
		}
		if f, err = Parse("p.gate", []byte("allow raed\n")); err != nil {
			t.Fatal(err)
		}
		f.preset = preset
		if _, err := f.Resolve(Options{Archs: []abi.Arch{abi.X86_64}}); err == nil {
			t.Errorf("preset %v: raed is a call", preset)
		}
	}
}
