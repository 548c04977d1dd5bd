package bpf

import "slices"

// A span is an interval of numbers, both ends included.
type span struct{ lo, hi uint32 }

// spans is a set of numbers: disjoint intervals in ascending order, none adjacent to the next.
type spans []span

const maxUint32 = ^uint32(0)

// maxSpans bounds the sets that flow keeps. Larger ones grow to a superset, which costs names and is never wrong.
const maxSpans = 24

var everything = spans{{0, maxUint32}}

func (s spans) contains(v uint32) bool {
	for _, r := range s {
		if v <= r.hi {
			return v >= r.lo
		}
	}
	return false
}

// members lists the set if it has at most n numbers.
func (s spans) members(n int) (list []uint32, ok bool) {
	for _, r := range s {
		if uint64(r.hi)-uint64(r.lo) >= uint64(n-len(list)) {
			return nil, false
		}
		for v := r.lo; ; v++ {
			list = append(list, v)
			if v == r.hi {
				break
			}
		}
	}
	return list, true
}

func (s spans) intersect(t spans) spans {
	var out spans
	for i, j := 0, 0; i < len(s) && j < len(t); {
		if lo, hi := max(s[i].lo, t[j].lo), min(s[i].hi, t[j].hi); lo <= hi {
			out = append(out, span{lo, hi})
		}
		if s[i].hi < t[j].hi {
			i++
		} else {
			j++
		}
	}
	return out
}

func (s spans) complement() spans {
	var out spans
	next := uint64(0)
	for _, r := range s {
		if uint64(r.lo) > next {
			out = append(out, span{uint32(next), r.lo - 1})
		}
		next = uint64(r.hi) + 1
	}
	if next <= uint64(maxUint32) {
		out = append(out, span{uint32(next), maxUint32})
	}
	return out
}

func (s spans) union(t spans) spans {
	if len(s) == 0 || slices.Equal(s, t) {
		return t
	}
	if len(t) == 0 {
		return s
	}
	out := make(spans, 0, len(s)+len(t))
	for i, j := 0, 0; i < len(s) || j < len(t); {
		var r span
		if j == len(t) || i < len(s) && s[i].lo <= t[j].lo {
			r = s[i]
			i++
		} else {
			r = t[j]
			j++
		}
		if n := len(out); n > 0 && uint64(r.lo) <= uint64(out[n-1].hi)+1 {
			out[n-1].hi = max(out[n-1].hi, r.hi)
		} else {
			out = append(out, r)
		}
	}
	return out
}

// bounded closes the smallest gaps until at most maxSpans intervals are left.
func (s spans) bounded() spans {
	if len(s) <= maxSpans {
		return s
	}
	s = slices.Clone(s)
	for len(s) > maxSpans {
		best := 1
		for i := 2; i < len(s); i++ {
			if s[i].lo-s[i-1].hi < s[best].lo-s[best-1].hi {
				best = i
			}
		}
		s[best-1].hi = s[best].hi
		s = slices.Delete(s, best, best+1)
	}
	return s
}
