package lint

import (
	"monban/bpf"
	"monban/verdict"
)

// halves are what was found in how the two halves of arguments are compared, on architectures with 64-bit registers.
type halves struct{ upper, lowerOnly, sign, ordered []Finding }

func upperHalf(s *subject) []Finding     { return s.compared().upper }
func lowerHalfOnly(s *subject) []Finding { return s.compared().lowerOnly }
func signExtension(s *subject) []Finding { return s.compared().sign }
func orderedHalves(s *subject) []Finding { return s.compared().ordered }

// compared looks at all arguments of all calls once.
func (s *subject) compared() *halves {
	if s.halves == nil {
		s.halves = &halves{}
		if s.arch.Bits() == 64 {
			s.compare(s.halves)
		}
	}
	return s.halves
}

func (s *subject) compare(out *halves) {
	for nr, name := range s.arch.Calls() {
		v := s.own.Restrict(verdict.Nr, nr)
		if _, constant := v.Constant(); constant {
			continue
		}
		args, _ := s.arch.Args(name)
		for _, arg := range args {
			h := half{s, v, nr, arg.Index}
			note := func(list *[]Finding, title string, d bpf.Data) {
				*list = append(*list, s.found(title, []string{name}, d)...)
			}
			switch {
			case arg.Bits <= 32:
				if d, ok := h.escape(); ok {
					note(&out.upper, "a refusal of "+name+" can be escaped by the upper half of "+arg.Name, d)
				} else if d, ok := h.sign(); ok && arg.Signed && arg.Bits == 32 {
					note(&out.sign, name+"'s "+arg.Name+" is compared, where it is negative, with one of two upper halves only", d)
				}
			case v.Support(verdict.ArgLo(arg.Index)) == ^uint32(0) && v.Support(verdict.ArgHi(arg.Index)) == 0:
				if d, ok := h.lowOnly(); ok {
					note(&out.lowerOnly, "only the lower half of "+name+"'s "+arg.Name+" is looked at", d)
				}
			default:
				if d, ok := h.ordered(); ok {
					note(&out.ordered, name+"'s "+arg.Name+": its lower half decides under many upper halves", d)
				}
			}
		}
	}
}

// A half is one argument of a call, seen as two words.
type half struct {
	s   *subject
	v   verdict.Verdict // of the call
	nr  uint32
	arg int
}

// witness completes a condition's witness to a call, with an upper half that is set after.
func (h *half) witness(n verdict.Node) (bpf.Data, bool) {
	d, ok := h.v.Space().Verdict(n).Witness(func(a bpf.Action) bool { return a == 1 })
	d.Arch, d.Nr = h.s.arch.Token(), h.nr
	return d, ok
}

// under applies f to what is left of the condition that the call passes once all words before the argument's are known.
func (h *half) under(f func(left verdict.Verdict) verdict.Node) verdict.Node {
	s := h.v.Space()
	pass := s.Verdict(h.v.Where(passes))
	return pass.Graft(verdict.ArgHi(h.arg)-1, func(left verdict.Verdict) verdict.Verdict { return s.Verdict(f(left)) }).Node()
}

// escape looks for a lower half that is refused with 0 above it and passes with something else there, other than a
// sign's extension.
func (h *half) escape() (bpf.Data, bool) {
	s, hi, lo := h.v.Space(), verdict.ArgHi(h.arg), verdict.ArgLo(h.arg)
	if h.v.Support(hi) == 0 {
		return bpf.Data{}, false
	}
	negative := s.Compare(verdict.Single(lo), verdict.GE, false, 1<<31)
	n := h.under(func(left verdict.Verdict) verdict.Node {
		refused := s.Not(left.Restrict(hi, 0).Node())
		above := s.And(left.Restrict(hi, ^uint32(0)).Node(), s.Not(negative))
		for _, leaf := range beyond(left, hi) {
			above = s.Or(above, leaf.Then.Node())
		}
		return s.And(refused, above)
	})
	d, ok := h.witness(n)
	if !ok {
		return d, false
	}
	// The witness needs an upper half with which it passes.
	left := h.v
	for w := verdict.ArgHi(0); w < hi; w++ {
		left = left.Restrict(w, w.Of(&d))
	}
	for _, leaf := range append(beyond(left, hi), verdict.Leaf{Least: ^uint32(0)}) {
		trial := d
		trial.Args[h.arg] |= uint64(leaf.Least) << 32
		if passes(h.s.Verdict.At(&trial)) {
			return trial, true
		}
	}
	return d, false
}

// beyond is what can be left after an upper half other than the two that a sign's extension gives.
func beyond(v verdict.Verdict, hi verdict.Word) []verdict.Leaf {
	return v.Without(hi, []verdict.Case{{Lo: 0, Hi: 0}, {Lo: ^uint32(0), Hi: ^uint32(0)}})
}

// sign looks for a negative lower half that passes with one of the two upper halves that programs give it, and not with
// the other.
func (h *half) sign() (bpf.Data, bool) {
	s, hi, lo := h.v.Space(), verdict.ArgHi(h.arg), verdict.ArgLo(h.arg)
	if h.v.Support(hi) == 0 {
		return bpf.Data{}, false
	}
	negative := s.Compare(verdict.Single(lo), verdict.GE, false, 1<<31)
	n := h.under(func(left verdict.Verdict) verdict.Node {
		zero, ones := left.Restrict(hi, 0).Node(), left.Restrict(hi, ^uint32(0)).Node()
		return s.And(negative, s.Or(s.And(zero, s.Not(ones)), s.And(ones, s.Not(zero))))
	})
	d, ok := h.witness(n)
	if ok && passes(h.s.Verdict.At(&d)) {
		d.Args[h.arg] |= 0xffffffff << 32 // the one that is refused
	}
	return d, ok
}

// lowOnly is a value beyond 32 bits that passes for a smaller one.
func (h *half) lowOnly() (bpf.Data, bool) {
	d, ok := h.witness(h.v.Where(passes))
	d.Args[h.arg] |= 1 << 32
	return d, ok
}

// ordered looks for a lower half that decides under more than one upper half, where the upper half is looked at. Masks
// are left out: they look at few bits.
func (h *half) ordered() (bpf.Data, bool) {
	hi, lo := verdict.ArgHi(h.arg), verdict.ArgLo(h.arg)
	const most = 16 // bits of a mask
	if h.v.Support(hi) == 0 || h.v.Support(lo)>>(32-most) != 1<<most-1 {
		return bpf.Data{}, false
	}
	decides := func(leaf verdict.Leaf) bool {
		_, constant := leaf.Then.Constant()
		return !constant && leaf.Count > 1 && leaf.Count < 1<<32
	}
	s := h.v.Space()
	n := h.under(func(left verdict.Verdict) verdict.Node {
		n := verdict.False
		for _, leaf := range left.Leaves(hi) {
			if decides(leaf) {
				n = s.Or(n, leaf.Then.Node())
			}
		}
		return n
	})
	d, ok := h.witness(n)
	if !ok {
		return d, false
	}
	// The upper half is one under which just this lower half passes.
	left := s.Verdict(h.v.Where(passes))
	for w := verdict.ArgHi(0); w < hi; w++ {
		left = left.Restrict(w, w.Of(&d))
	}
	for _, leaf := range left.Leaves(hi) {
		trial := d
		trial.Args[h.arg] = d.Args[h.arg]&0xffffffff | uint64(leaf.Least)<<32
		if decides(leaf) && passes(h.s.Verdict.At(&trial)) {
			return trial, true
		}
	}
	return d, false
}
