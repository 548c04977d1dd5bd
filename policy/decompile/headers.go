package decompile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"monban/abi"
	"monban/bpf"
	"monban/policy"
	"monban/verdict"
)

// Archs are the architectures that a filter tells apart, the native one first if it is among them. The error is
// verdict.ErrTooComplex.
func Archs(v verdict.Verdict, native abi.Arch) ([]abi.Arch, error) {
	return verdict.Exact(v.Space(), func() ([]abi.Arch, error) {
		d := &decompiler{v: v, p: &policy.Policy{}}
		d.archs(native)
		return d.p.Archs, nil
	})
}

// archs finds the architectures that the filter tells apart and its answer to all others.
func (d *decompiler) archs(native abi.Arch) (notes []string) {
	d.on = map[abi.Arch]verdict.Verdict{}
	// The answer to tokens that no architecture has is the answer to bad ones.
	elsewhere := d.v.Elsewhere()
	other := elsewhere[0].Then
	bad, checked := other.Constant()
	if !checked || len(elsewhere) > 1 {
		return d.unchecked(native, other, len(elsewhere) > 1)
	}
	tells := func(a abi.Arch) bool { return d.v.On(a, bad) != other }
	for _, a := range append(native.Family(), abi.Archs()...) {
		if slices.Contains(d.p.Archs, a) {
			continue
		}
		sub := d.v.On(a, bad)
		if sub != other || a == abi.X86_64 && tells(abi.X32) {
			d.p.Archs = append(d.p.Archs, a)
			d.on[a] = sub
		}
	}
	first := native
	if len(d.p.Archs) > 0 {
		first = d.p.Archs[0]
	} else {
		d.p.Archs = []abi.Arch{native}
		d.on[native] = other
	}
	d.p.BadArch = numeric(first, bad)
	return notes
}

// unchecked takes the architectures that a filter tells apart where its answer to all others is not a single action.
func (d *decompiler) unchecked(native abi.Arch, other verdict.Verdict, differ bool) []string {
	own := d.v.Restrict(verdict.Arch, native.Token())
	note := fmt.Sprintf("architectures other than those named below are not refused: their calls are judged as if they were %s's", native)
	switch {
	case differ:
		note = "architectures other than those named below do not all get the same answers: which ones get which, this text does not show"
	case own != other:
		note = "architectures other than those named below are not refused: their calls are judged by numbers, in a way that this text does not show"
	}
	d.p.BadArch = policy.Action{Kind: bpf.KillProcess}
	for _, a := range append(native.Family(), abi.Archs()...) {
		sub := d.v.Restrict(verdict.Arch, a.Token())
		if slices.Contains(d.p.Archs, a) || sub == other && a.Token() != native.Token() {
			continue
		}
		d.p.Archs = append(d.p.Archs, a)
		d.on[a] = sub
	}
	return []string{note}
}

// headers takes the commonest answers as default and unknown.
func (d *decompiler) headers() {
	known, unknown := map[policy.Action]int{}, map[policy.Action]int{}
	calls, denied := 0, 0
	d.plain = map[abi.Arch]bool{}
	for _, a := range d.p.Archs {
		d.plain[a] = len(d.p.Archs) > 1 && d.isPlain(a)
	}
	for _, a := range d.p.Archs {
		if d.plain[a] {
			continue
		}
		for nr := range a.Calls() {
			calls++
			if do, ok := d.on[a].Restrict(verdict.Nr, nr).Constant(); ok && do != bpf.Allow {
				denied++
				known[numeric(a, do)]++
			}
		}
		_, top := a.Numbers() // nobody's
		if do, ok := d.on[a].Restrict(verdict.Nr, top).Constant(); ok {
			unknown[numeric(a, do)]++
		}
	}
	d.p.Default = commonest(known, policy.Action{Kind: bpf.KillProcess})
	if len(known) == 0 {
		d.p.Default = commonest(unknown, d.p.Default)
	}
	d.p.Unknown = commonest(unknown, d.p.Default)
	if d.p.Unknown.Kind == bpf.Allow {
		d.p.Default = d.p.Unknown // a list of what is denied
	}
	if denied*10 < calls {
		d.p.Default = policy.Action{Kind: bpf.Allow} // the same, with an answer of its own for unknown numbers
	}
}

// isPlain says that nothing passes on an architecture, and that it takes few ranges to say what happens instead.
func (d *decompiler) isPlain(a abi.Arch) bool {
	const most = 4
	first, last := a.Numbers()
	spans, few := d.on[a].SpansUpTo(verdict.Nr, most+1) // one may be of the other numbers
	spans = slices.DeleteFunc(spans, func(s verdict.Span) bool { return s.Hi < first || s.Lo > last })
	return few && len(spans) <= most && !slices.ContainsFunc(spans, func(s verdict.Span) bool {
		do, ok := s.Then.Constant()
		return !ok || do.Passes()
	})
}

func commonest(counts map[policy.Action]int, otherwise policy.Action) policy.Action {
	best, n := otherwise, 0
	for _, a := range slices.SortedFunc(maps.Keys(counts), func(a, b policy.Action) int { return cmp.Compare(a.String(), b.String()) }) {
		if counts[a] > n {
			best, n = a, counts[a]
		}
	}
	return best
}
