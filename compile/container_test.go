package compile

import (
	"encoding/binary"
	"fmt"
	"maps"
	"monban/bpf"
	"slices"
	"testing"

	"monban/abi"
	"monban/policy/lang"
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
			gate, err := lang.LoadPreset("@container", lang.Options{Archs: c.archs})
			if err != nil {
				t.Fatal(err)
			}
			v, err := gate.Verdict(verdict.NewSpace(verdict.DefaultBudget))
			if err != nil {
				t.Fatal(err)
			}
			for _, goal := range []Goal{Size, Latency} {
				o := Options{Goal: goal}
				p, err := Program(v, binary.LittleEndian, o)
				if err != nil {
					t.Fatal(err)
				}
				s, err := Measure([]bpf.Program{p}, v, c.archs, binary.LittleEndian, o)
				if err != nil {
					t.Fatal(err)
				}
				if s.MeanUncached > c.uncached {
					t.Errorf("%v: %.2f instructions for the calls that run the filter, want %.1f at most", goal, s.MeanUncached, c.uncached)
				}
				if goal == Size && (s.Length > c.length || s.Estimate != c.bound) {
					t.Errorf("%d instructions, estimate %d; want %d and %d", s.Length, s.Estimate, c.length, c.bound)
				}
			}
		})
	}
}

// TestLatency has shorter paths where that costs instructions or time to find.
func TestLatency(t *testing.T) {
	text := "arch x86_64\ndefault errno(EPERM)\n"
	for i, call := range []string{"socket", "clone", "personality", "ioctl", "fcntl", "prctl", "madvise", "mprotect"} {
		text += fmt.Sprintf("allow %s(arg%d == %d)\n", call, i%3, i+7)
	}
	for i, a := 0, slices.Collect(maps.Values(maps.Collect(abi.X86_64.Calls()))); i < 120; i += 2 {
		slices.Sort(a)
		text += "allow optional " + a[i] + "\n"
	}
	gate, err := lang.Load("t.gate", []byte(text), lang.Options{})
	if err != nil {
		t.Fatal(err)
	}
	v, err := gate.Verdict(verdict.NewSpace(verdict.DefaultBudget))
	if err != nil {
		t.Fatal(err)
	}
	uncached := func(g Goal) float64 {
		o := Options{Goal: g}
		p, err := Program(v, binary.LittleEndian, o)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Measure([]bpf.Program{p}, v, gate.Archs, binary.LittleEndian, o)
		if err != nil {
			t.Fatal(err)
		}
		return s.MeanUncached
	}
	if size, latency := uncached(Size), uncached(Latency); latency >= size {
		t.Errorf("%.2f instructions with Latency, %.2f with Size", latency, size)
	}
}

// TestWeights puts the call that is made most before the others.
func TestWeights(t *testing.T) {
	gate, err := lang.LoadPreset("@container", lang.Options{Archs: []abi.Arch{abi.X86_64}})
	if err != nil {
		t.Fatal(err)
	}
	v, err := gate.Verdict(verdict.NewSpace(verdict.DefaultBudget))
	if err != nil {
		t.Fatal(err)
	}
	for _, call := range []string{"socket", "clone", "personality"} {
		o := Options{Weights: Weights{call: 1000}}
		p, err := Program(v, binary.LittleEndian, o)
		if err != nil {
			t.Fatal(err)
		}
		if nr, _ := abi.X86_64.Number(call); p[3].K != nr {
			t.Errorf("%s is made most, and the first number asked for is %d", call, p[3].K)
		}
	}
}
