package compile

import (
	"slices"

	"monban/verdict"
)

// Estimate is how few instructions a program for v takes that compares words with constants (JEQ, JGE, JGT) and answers
// by RET K. No program of that kind has fewer, if no comparison serves two words, and a test with a mask serves only
// conditions of more than 64 ranges. For other programs it is an estimate and no bound: one JSET can do what several
// comparisons do, so that a program may be shorter; no bound is known for all programs that comes near.
//
// Each answer takes a RET, each word that matters a load. Where two neighbouring values of a word differ in meaning,
// some comparison has its edge between them; a JGE has one edge and a JEQ the two around its value, so the edges, two
// together where they are neighbours, count the comparisons. An argument with masks counts as one test more. The error
// is verdict.ErrTooComplex.
func Estimate(v verdict.Verdict) (int, error) {
	return verdict.Exact(v.Space(), func() (int, error) { return estimate(v), nil })
}

func estimate(v verdict.Verdict) int {
	n := 0
	for range v.Actions() {
		n++
	}
	reach := []verdict.Verdict{v}
	for w := verdict.Arch; w <= verdict.IPLo; w++ {
		var edges []uint32
		var next []verdict.Verdict
		loaded, masked := 0, 0
		for _, sub := range reach {
			if first, ok := sub.First(); !ok {
				continue
			} else if first != w {
				next = append(next, sub)
				continue
			}
			loaded = 1
			if own, ok := edgesOf(sub, w); ok {
				edges = append(edges, own...)
			} else {
				masked = 1
			}
			next = slices.AppendSeq(next, sub.After(w))
		}
		n += loaded + masked + comparisons(edges)
		reach = unique(next)
	}
	return n
}

// unique drops verdicts that occur twice.
func unique(all []verdict.Verdict) []verdict.Verdict {
	seen := make(map[verdict.Verdict]bool, len(all))
	return slices.DeleteFunc(all, func(v verdict.Verdict) bool {
		dup := seen[v]
		seen[v] = true
		return dup
	})
}

// maxEdges is how many edges of an argument comparisons are held to be good for; more are a mask's.
const maxEdges = 64

// edgesOf are the values of w that v treats differently from the value before; ok is false where they are very many.
func edgesOf(v verdict.Verdict, w verdict.Word) (edges []uint32, ok bool) {
	for s := range v.Spans(w) {
		if len(edges) == maxSpans || isArgument(w) && len(edges) == maxEdges {
			return nil, false
		}
		if s.Lo > 0 {
			edges = append(edges, s.Lo)
		}
	}
	return edges, true
}

// comparisons is how few have all these edges.
func comparisons(edges []uint32) int {
	slices.Sort(edges)
	edges = slices.Compact(edges)
	n := 0
	for i := 0; i < len(edges); i++ {
		n++
		if i+1 < len(edges) && edges[i+1] == edges[i]+1 {
			i++
		}
	}
	return n
}
