package oci

import (
	"math/rand/v2"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// passes decides a test of one argument by its definition.
func passes(t specs.LinuxSeccompArg, v uint64) bool {
	switch t.Op {
	case specs.OpEqualTo:
		return v == t.Value
	case specs.OpNotEqual:
		return v != t.Value
	case specs.OpLessThan:
		return v < t.Value
	case specs.OpLessEqual:
		return v <= t.Value
	case specs.OpGreaterThan:
		return v > t.Value
	case specs.OpGreaterEqual:
		return v >= t.Value
	}
	return v&t.Value == t.ValueTwo&t.Value
}

// TestExclusive tries all small values; tests with the constants 0 to 7 cannot tell larger values apart but by 8 and
// by all ones.
func TestExclusive(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	constant := func() uint64 {
		if c := rng.Uint64N(10); c < 8 {
			return c
		}
		return ^uint64(0) - rng.Uint64N(8)
	}
	for range 20000 {
		var x [2]specs.LinuxSeccompArg
		for i := range x {
			op := specs.LinuxSeccompOperator(operators[rng.IntN(len(operators))])
			x[i] = specs.LinuxSeccompArg{Value: constant(), ValueTwo: constant(), Op: op}
		}
		meet := false
		for low := range uint64(32) {
			for _, v := range []uint64{low, ^low} {
				meet = meet || passes(x[0], v) && passes(x[1], v)
			}
		}
		if got := exclusive(x[0], x[1]); got == meet {
			t.Fatalf("%+v: exclusive is %v", x, got)
		}
	}
}
