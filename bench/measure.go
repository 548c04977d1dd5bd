package main

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"monban/bpf"
)

// A result is one compiler's on one policy, or on several taken together.
type result struct {
	compiler
	program bpf.Program
	judgement
	took []float64 // ns, a sample a round
	err  error
	live *live // nil where it was not measured
}

// A section is all that was measured of one policy, or of several taken together.
type section struct {
	title string
	rows  []*result
	parts [3]time.Duration // Monban's: from the policy to its verdict, to a program, and its proof
	bare  *live            // without a filter; nil where nothing was measured live
}

// measurePolicy lets all compilers take turns. No measurement starts with other people's garbage.
func measurePolicy(r *Rules, rounds int) (*section, error) {
	s := &section{title: r.Name}
	for _, c := range compilers() {
		s.rows = append(s.rows, &result{compiler: c})
	}
	var meaning, generate, proof []float64
	for round := range rounds {
		for _, x := range s.rows {
			if x.err != nil {
				continue
			}
			runtime.GC()
			b, err := x.build(r)
			if err == nil && round == 0 {
				x.program = b.program
				x.judgement, err = judge(r, b.unknown, x.runc, b.program)
			}
			if err != nil {
				x.err = fmt.Errorf("%s: %w", r.Name, err)
				continue
			}
			x.took = append(x.took, float64(b.took))
		}
		runtime.GC()
		p, err := monbanParts(r, false)
		if err != nil {
			return nil, err
		}
		meaning, proof = append(meaning, float64(p.meaning)), append(proof, float64(p.proof))
		generate = append(generate, float64(max(0, p.compile-p.proof)))
	}
	for i, samples := range [][]float64{meaning, generate, proof} {
		s.parts[i] = time.Duration(median(samples))
	}
	return s, nil
}

// together adds several policies up: lengths and times are sums, means those over all, the longest path that of all.
func together(title string, all []*section) *section {
	sum := &section{title: title}
	for i, x := range all[0].rows {
		total := &result{compiler: x.compiler, judgement: judgement{equal: true}}
		st := &total.stats
		var means, uncached float64
		done, equal := 0, 0
		wrong := ""
		for _, s := range all {
			row := s.rows[i]
			if row.err != nil {
				// One policy that a compiler can't do leaves nothing to compare its sums with.
				total.err = errors.Join(total.err, row.err)
				continue
			}
			done++
			total.addTimes(row.took)
			total.max = max(total.max, row.max)
			st.Length += row.stats.Length
			st.Longest = max(st.Longest, row.stats.Longest)
			st.Allowed += row.stats.Allowed
			st.Cacheable += row.stats.Cacheable
			st.Uncached += row.stats.Uncached
			means += row.stats.Mean
			uncached += row.stats.MeanUncached * float64(row.stats.Uncached)
			if row.equal {
				equal++
			} else if wrong == "" {
				wrong = fmt.Sprintf(", %s: %s", s.title, strings.TrimPrefix(row.text, "**no**, "))
			}
		}
		st.Mean = means / float64(max(done, 1))
		st.MeanUncached = uncached / float64(max(st.Uncached, 1))
		total.equal = equal == len(all)
		total.text = fmt.Sprintf("%d of %d%s", equal, len(all), wrong)
		sum.rows = append(sum.rows, total)
	}
	for _, s := range all {
		for i, d := range s.parts {
			sum.parts[i] += d
		}
	}
	return sum
}

// time is the median over the rounds.
func (x *result) time() time.Duration { return time.Duration(median(x.took)) }

// addTimes adds one policy's times up, round by round.
func (x *result) addTimes(took []float64) {
	if x.took == nil {
		x.took = make([]float64, len(took))
	}
	for i, t := range took {
		x.took[i] += t
	}
}

// wrongs are the reasons for which this program fails: Monban must be right, and others must run.
func (s *section) wrongs() (err error) {
	for _, x := range s.rows {
		ours := x.name == monbanName || x.name == monbanRuncName
		switch {
		case x.err != nil && (ours || !errors.Is(x.err, errCannot)):
			err = errors.Join(err, fmt.Errorf("%s: %w", x.name, x.err))
		case x.err == nil && ours && !x.equal:
			err = errors.Join(err, fmt.Errorf("%s: %s: %s", s.title, x.name, x.text))
		case x.err == nil && ours && x.live != nil && strings.Join(x.live.wrong, "") != "":
			err = errors.Join(err, fmt.Errorf("%s: %s: wrong answers %q", s.title, x.name, x.live.wrong))
		}
	}
	return err
}
