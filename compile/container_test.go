package compile

import (
	"encoding/binary"
	"testing"

	"monban/abi"
	"monban/policy"
	"monban/verdict"
)

// TestContainer holds Docker's default profile to the sizes and paths that it has reached.
func TestContainer(t *testing.T) {
	for _, c := range []struct {
		name     string
		archs    []abi.Arch
		length   int
		uncached float64 // instructions, weighted by ServerMix
		bound    int
	}{
		{"x86_64", []abi.Arch{abi.X86_64}, 72, 8.8, 72},
		{"x86_64+x86+x32", []abi.Arch{abi.X86_64, abi.X86, abi.X32}, 183, 10.3, 205},
		{"aarch64", []abi.Arch{abi.AArch64}, 76, 8.8, 74},
	} {
		t.Run(c.name, func(t *testing.T) {
			gate, err := policy.LoadPreset("@container", policy.Options{Archs: c.archs})
			if err != nil {
				t.Fatal(err)
			}
			v, err := gate.Verdict(verdict.NewSpace(verdict.DefaultBudget))
			if err != nil {
				t.Fatal(err)
			}
			for _, goal := range []Goal{Size, Latency} {
				o := Options{Goal: goal}
				p, err := o.Program(v, binary.LittleEndian)
				if err != nil {
					t.Fatal(err)
				}
				s := o.Measure(p, v, c.archs, binary.LittleEndian)
				if s.MeanUncached > c.uncached {
					t.Errorf("%v: %.2f instructions for the calls that run the filter, want %.1f at most", goal, s.MeanUncached, c.uncached)
				}
				if goal == Size && (s.Length > c.length || s.LowerBound != c.bound) {
					t.Errorf("%d instructions, bound %d; want %d and %d", s.Length, s.LowerBound, c.length, c.bound)
				}
			}
		})
	}
}

// TestWeights puts the call that is made most before the others.
func TestWeights(t *testing.T) {
	gate, err := policy.LoadPreset("@container", policy.Options{Archs: []abi.Arch{abi.X86_64}})
	if err != nil {
		t.Fatal(err)
	}
	v, err := gate.Verdict(verdict.NewSpace(verdict.DefaultBudget))
	if err != nil {
		t.Fatal(err)
	}
	for _, call := range []string{"socket", "clone", "personality"} {
		o := Options{Weights: Weights{call: 1000}}
		p, err := o.Program(v, binary.LittleEndian)
		if err != nil {
			t.Fatal(err)
		}
		if nr, _ := abi.X86_64.Number(call); p[3].K != nr {
			t.Errorf("%s is made most, and the first number asked for is %d", call, p[3].K)
		}
	}
}
