package compile

import (
	"encoding/binary"
	"slices"

	"monban/abi"
	"monban/bpf"
	"monban/verdict"
)

// Stats describe a program, or a stack of them, by what it costs. Counts of executed instructions are over the known
// calls of the architectures that it was measured for, arguments zero unless said.
type Stats struct {
	Length        int     // instructions
	Longest       int     // instructions on the longest path
	Mean          float64 // executed a call
	MeanCached    float64 // the same, calls that the kernel's cache answers counted as 0
	MeanUncached  float64 // executed a call, over the calls that are allowed depending on arguments, each as often as it is made
	PlainUncached float64 // the same, all alike
	Estimate      int     // see Estimate
	Nodes         int     // of the verdict
	Weighed       bool    // whether the weights say anything about those
	Uncached      int     // how many those are
	Allowed       int     // calls that are allowed whatever their arguments
	Cacheable     int     // how many of those the kernel's cache answers for every filter
}

// Measure counts what filters, which have the meaning v together, cost on some architectures. A call that the cache
// does not answer runs all of them. The error is verdict.ErrTooComplex.
func Measure(filters []bpf.Program, v verdict.Verdict, archs []abi.Arch, order binary.ByteOrder, o Options) (Stats, error) {
	return verdict.Exact(v.Space(), func() (Stats, error) { return o.measure(filters, v, archs, order), nil })
}

func (o Options) measure(filters []bpf.Program, v verdict.Verdict, archs []abi.Arch, order binary.ByteOrder) Stats {
	s := Stats{Estimate: estimate(v), Nodes: v.Size()}
	for _, p := range filters {
		s.Length += len(p)
		s.Longest += longest(p)
	}
	executed := func(d *bpf.Data) (n int) {
		for _, p := range filters {
			n += p.Executed(d, order)
		}
		v.Space().Charge(1 + 2*n/perStep) // the cache is asked as well
		return n
	}
	weights := o.weights()
	var weighted, weight float64
	var calls, sum, cached, uncached int
	for _, a := range archs {
		own := v.Restrict(verdict.Arch, a.Token())
		for nr := range a.Calls() {
			d := bpf.Data{Arch: a.Token(), Nr: nr}
			n := executed(&d)
			calls++
			sum += n
			leaf := own.Restrict(verdict.Nr, nr)
			do, constant := leaf.Constant()
			switch {
			case constant && do == bpf.Allow:
				s.Allowed++
				if !slices.ContainsFunc(filters, func(p bpf.Program) bool { return !p.CachesAllow(a.Token(), nr) }) {
					s.Cacheable++
					continue
				}
			case !constant:
				if d, ok := leaf.Witness(func(x bpf.Action) bool { return x == bpf.Allow }); ok {
					d.Arch, d.Nr = a.Token(), nr
					n, w := executed(&d), weights.of(a.Token(), nr)
					uncached += n
					weighted, weight = weighted+w*float64(n), weight+w
					s.Uncached++
				}
			}
			cached += n
		}
	}
	mean := func(sum, n int) float64 {
		if n == 0 {
			return 0
		}
		return float64(sum) / float64(n)
	}
	s.Mean, s.MeanCached, s.PlainUncached = mean(sum, calls), mean(cached, calls), mean(uncached, s.Uncached)
	if weight > 0 {
		s.MeanUncached, s.Weighed = weighted/weight, true
	}
	return s
}

// longest is the length of the longest path; programs only jump forward.
func longest(p bpf.Program) int {
	from := make([]int, len(p)+1)
	for pc := len(p) - 1; pc >= 0; pc-- {
		in := p[pc]
		next := from[pc+1]
		switch {
		case in.Code&7 == bpf.RET:
			next = 0
		case in.Code&7 == bpf.JMP && in.Code&0xf0 == bpf.JA:
			next = from[pc+1+int(in.K)]
		case in.Code&7 == bpf.JMP:
			next = max(from[pc+1+int(in.Jt)], from[pc+1+int(in.Jf)])
		}
		from[pc] = 1 + next
	}
	return from[0]
}
