package verdict

import (
	"testing"

	"monban/bpf"
)

func TestGraft(t *testing.T) {
	s := NewSpace(DefaultBudget)
	allow, deny, trap := s.Action(bpf.Allow), s.Action(bpf.Errno|1), s.Action(bpf.Trap)
	small := s.If(s.Compare(Register(0), LT, false, 10), deny, trap)
	v := s.Verdict(s.Patch(Nr, []Case{{3, 5, small}, {8, 8, deny}, {20, 30, small}}, allow))

	var leaves []Verdict
	for leaf := range v.After(Nr) {
		leaves = append(leaves, leaf)
	}
	if len(leaves) != 3 || leaves[0].Node() != allow || leaves[1].Node() != small || leaves[2].Node() != deny {
		t.Errorf("after the number %v", leaves)
	}
	for range v.After(Nr) {
		break // an iterator must end when it is told to
	}
	if got := v.Graft(Nr, func(leaf Verdict) Verdict { return leaf }); got != v {
		t.Error("grafting what was there changed it")
	}
	asked := 0
	got := v.Graft(Nr, func(leaf Verdict) Verdict {
		asked++
		if leaf.Node() == small {
			return s.Verdict(trap)
		}
		return leaf
	})
	want := s.Verdict(s.Patch(Nr, []Case{{3, 5, trap}, {8, 8, deny}, {20, 30, trap}}, allow))
	if got != want || asked != 3 {
		t.Errorf("grafted in %d questions: %v", asked, Differences(want, got))
	}
	// After the last word, the leaves are the answers.
	if got := v.Graft(IPLo, func(Verdict) Verdict { return s.Verdict(deny) }); got.Node() != deny {
		t.Error("one answer for everything is not constant")
	}
}
