package oci

import (
	"math"
	"math/bits"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// maxPairs bounds the search for overlaps, which is quadratic in the clauses of one call.
const maxPairs = 1 << 20

// overlaps reports the clauses of one call with different actions that some arguments match both of.
func (in *importer) overlaps(all []clause) {
	byName := map[string][]clause{}
	pairs := 0
	for _, c := range all {
		for _, earlier := range byName[c.name] {
			if pairs++; pairs > maxPairs {
				in.note(c.off, "too many rules with conditions to look for all overlaps")
				return
			}
			if in.same(earlier.action, c.action) || disjoint(earlier.args, c.args) {
				continue
			}
			decides := earlier
			if c.action.Kind.Compare(earlier.action.Kind) < 0 {
				decides = c
			}
			in.overlap(earlier, c, decides)
		}
		byName[c.name] = append(byName[c.name], c)
	}
}

// disjoint reports whether no arguments pass both conjunctions. Each argument is looked at alone, which is exact for
// conjunctions of one test an argument.
func disjoint(a, b []specs.LinuxSeccompArg) bool {
	for _, x := range a {
		for _, y := range b {
			if x.Index == y.Index && exclusive(x, y) {
				return true
			}
		}
	}
	return false
}

// exclusive reports whether no value passes both tests of one argument.
func exclusive(x, y specs.LinuxSeccompArg) bool {
	if x.Op == specs.OpMaskedEqual && y.Op == specs.OpMaskedEqual {
		return (x.ValueTwo&x.Value^y.ValueTwo&y.Value)&x.Value&y.Value != 0
	}
	if y.Op == specs.OpMaskedEqual {
		x, y = y, x
	}
	if x.Op == specs.OpMaskedEqual {
		return !maskedMeets(x, y)
	}
	for _, r := range ranges(x) {
		for _, s := range ranges(y) {
			if max(r[0], s[0]) <= min(r[1], s[1]) {
				return false
			}
		}
	}
	return true
}

// ranges are the values that pass a test other than a masked one, as closed intervals.
func ranges(t specs.LinuxSeccompArg) [][2]uint64 {
	const last = math.MaxUint64
	v := t.Value
	switch t.Op {
	case specs.OpEqualTo:
		return [][2]uint64{{v, v}}
	case specs.OpLessEqual:
		return [][2]uint64{{0, v}}
	case specs.OpGreaterEqual:
		return [][2]uint64{{v, last}}
	}
	var r [][2]uint64
	if v > 0 && t.Op != specs.OpGreaterThan {
		r = append(r, [2]uint64{0, v - 1})
	}
	if v < last && t.Op != specs.OpLessThan {
		r = append(r, [2]uint64{v + 1, last})
	}
	return r
}

// maskedMeets reports whether some value with the bits that m asks for lies in one of t's ranges.
func maskedMeets(m, t specs.LinuxSeccompArg) bool {
	for _, r := range ranges(t) {
		if v, ok := atLeast(r[0], m.Value, m.ValueTwo&m.Value); ok && v <= r[1] {
			return true
		}
	}
	return false
}

// atLeast is the smallest v >= low with v&mask == want; want has no bits outside of mask.
func atLeast(low, mask, want uint64) (v uint64, ok bool) {
	v = low&^mask | want
	if v == low {
		return v, true
	}
	top := uint64(1) << (bits.Len64(v^low) - 1) // where v leaves low
	if v < low {
		// It must leave low upwards instead, at the lowest free bit above that low has not set.
		free := ^mask &^ low &^ (top<<1 - 1)
		if free == 0 {
			return 0, false
		}
		top = free & -free
		v |= top
	}
	below := top - 1
	return v&^below | want&below, true
}
