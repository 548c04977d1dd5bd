package codec

import (
	"slices"
	"testing"

	"monban/policy"
)

// A few notes of a kind are all said, many once.
func TestNotes(t *testing.T) {
	var n Notes
	at := func(line int) policy.Pos { return policy.Pos{File: "a.json", Line: line, Col: 2} }
	n.Add(policy.Pos{}, "in general")
	for i := range 3000 {
		n.Add(at(i+1), "unknown call %d", i)
	}
	for i := range 3 {
		n.Add(at(i+1), "unknown group %d", i)
	}
	for range 9 {
		n.Add(policy.Pos{}, "somewhere")
	}
	want := []string{
		"in general",
		"a.json:1:2: unknown call 0 (and 2999 more such notes, at 2:2, 3:2, 4:2, 5:2, 6:2, …)",
		"a.json:1:2: unknown group 0", "a.json:2:2: unknown group 1", "a.json:3:2: unknown group 2",
		"somewhere (and 8 more such notes)",
	}
	if got := n.List(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
