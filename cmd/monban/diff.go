package main

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"monban/abi"
	"monban/bpf"
	"monban/format"
	"monban/policy"
	"monban/verdict"
)

// A class is all calls of one architecture that two gates answer differently in the same way.
type class struct {
	Arch    string   `json:"arch"`
	A       string   `json:"a"`
	B       string   `json:"b"`
	Calls   []string `json:"calls"`             // names; numbers without a name as lo..hi
	Partial bool     `json:"partial,omitempty"` // there are too many ranges of numbers to list them all
	Witness string   `json:"witness"`           // one call that shows it

	data bpf.Data
}

func diffCommand() *cobra.Command {
	var gate gateFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "diff [flags] A B",
		Short: "exactly what two gates disagree on",
		Long: `Diff compares the meanings of two gates, whatever form they have. It is exact: no call is sampled,
and status 0 is a proof that the two are equal. Otherwise the status is 1, and each kind of
difference is listed with the calls that it concerns and one call as a witness.`,
		Example: `  monban diff docker.json @container
  monban diff old.bpf new.bpf
  monban diff pid:1234 web.gate`,
		Args: takes("A", "B"),
		RunE: func(cmd *cobra.Command, args []string) error {
			space := verdict.NewSpace(verdict.DefaultBudget)
			var v [2]verdict.Verdict
			var archs []abi.Arch
			for i, ref := range args {
				g, err := gate.read(ref)
				if err != nil {
					return err
				}
				if v[i], err = meaning(g, space); err != nil {
					return err
				}
				if order, err := g.ByteOrder(); err == nil {
					archs = append(archs, format.NativeFor(order).Family()...)
				}
			}
			classes := differences(v[0], v[1], archs)
			if asJSON {
				out := struct {
					Equal   bool    `json:"equal"`
					Classes []class `json:"classes"`
				}{v[0] == v[1], append([]class{}, classes...)}
				if err := printJSON(cmd.OutOrStdout(), "diff/1", out); err != nil {
					return err
				}
			} else {
				printDifferences(cmd.OutOrStdout(), args[0], args[1], v[0] == v[1], classes)
			}
			if v[0] != v[1] {
				return exit{exitFindings, nil}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	gate.register(cmd)
	return cmd
}

// differences sorts all calls on which a and b disagree into classes: for each architecture that either tells apart, for each
// pair of answers. first are the architectures to name first.
func differences(a, b verdict.Verdict, first []abi.Arch) []class {
	var out []class
	index := map[string]int{}
	note := func(arch, call string, d verdict.Difference, errnos abi.Arch) {
		x, y := policy.ActionOn(errnos, d.A).String(), policy.ActionOn(errnos, d.B).String()
		key := arch + "\x00" + x + "\x00" + y
		i, ok := index[key]
		if !ok {
			i = len(out)
			index[key] = i
			out = append(out, class{Arch: arch, A: x, B: y, data: d.Data})
		}
		if c := &out[i]; len(c.Calls) == 0 || c.Calls[len(c.Calls)-1] != call {
			c.Calls = append(c.Calls, call)
		}
	}
	place := func(name string, arch abi.Arch, known bool, nr uint32) string {
		if known && arch == abi.X86_64 && nr >= abi.X32Bit {
			return abi.X32.String()
		}
		return name
	}
	partial := map[string]bool{} // architectures of which not all was gone through
	// unlisted makes sure that what lies beyond the ranges gone through has its classes, by a witness of each.
	unlisted := func(a, b verdict.Verdict, token *uint32) {
		for _, d := range verdict.Differences(a, b) {
			if token != nil {
				d.Data.Arch = *token
			}
			arch, name, known := tokenName(d.Data.Arch, d.Data.Arch, first)
			on := place(name, arch, known, d.Data.Nr)
			partial[on], partial[name] = true, true
			x, y := policy.ActionOn(arch, d.A).String(), policy.ActionOn(arch, d.B).String()
			if _, ok := index[on+"\x00"+x+"\x00"+y]; !ok {
				note(on, numbersIn(arch, known, d.Data.Nr, d.Data.Nr)[0].name, d, arch)
			}
		}
	}
	archs, allArchs := pairSpans(a, b, verdict.Arch)
	for _, sa := range archs {
		arch, name, known := tokenName(sa.lo, sa.hi, first)
		numbers, all := pairSpans(sa.a, sa.b, verdict.Nr)
		for _, sn := range numbers {
			diffs := verdict.Differences(sn.a, sn.b)
			for _, call := range numbersIn(arch, known, sn.lo, sn.hi) {
				for _, d := range diffs {
					d.Data.Arch, d.Data.Nr = sa.lo, call.lo
					note(place(name, arch, known, call.lo), call.name, d, arch)
				}
			}
		}
		if !all {
			unlisted(sa.a, sa.b, &sa.lo)
		}
	}
	if !allArchs || len(out) == 0 {
		unlisted(a, b, nil)
	}
	for i := range out {
		c := &out[i]
		c.Partial = partial[c.Arch]
		arch, err := abi.ParseArch(c.Arch)
		if err != nil {
			c.Witness = fmt.Sprintf("call %d, arguments %#x, of architecture %#x", c.data.Nr, c.data.Args, c.data.Arch)
			continue
		}
		c.Witness = policy.FormatCall(arch, &c.data)
	}
	slices.SortStableFunc(out, func(x, y class) int { return cmp.Compare(archRank(x.Arch, first), archRank(y.Arch, first)) })
	return out
}

func archRank(name string, first []abi.Arch) int {
	for i, a := range first {
		if a.String() == name {
			return i
		}
	}
	return len(first)
}

// tokenName names a range of architecture tokens.
func tokenName(lo, hi uint32, first []abi.Arch) (arch abi.Arch, name string, known bool) {
	for _, a := range append(slices.Clone(first), abi.Archs()...) {
		if lo == hi && a.Token() == lo && a != abi.X32 {
			return a, a.String(), true
		}
	}
	arch = abi.Native()
	if len(first) > 0 {
		arch = first[0]
	}
	return arch, "other architectures", false
}

// A pairSpan is a range on which each of two verdicts does one thing, and not the same.
type pairSpan struct {
	lo, hi uint32
	a, b   verdict.Verdict
}

// maxPairs bounds the ranges that a diff goes through one by one.
const maxPairs = 1 << 16

// pairSpans lists the ranges on which a and b differ; all is false where there are too many, and the list breaks off.
func pairSpans(a, b verdict.Verdict, w verdict.Word) (out []pairSpan, all bool) {
	collect := func(v verdict.Verdict) (spans []verdict.Span) {
		for s := range v.Spans(w) {
			if spans = append(spans, s); len(spans) == maxPairs {
				break
			}
		}
		return spans
	}
	as, bs := collect(a), collect(b)
	for i, j := 0, 0; i < len(as) && j < len(bs); {
		x, y := as[i], bs[j]
		if x.Then != y.Then {
			out = append(out, pairSpan{max(x.Lo, y.Lo), min(x.Hi, y.Hi), x.Then, y.Then})
		}
		if x.Hi <= y.Hi {
			i++
		}
		if y.Hi <= x.Hi {
			j++
		}
	}
	return out, as[len(as)-1].Hi == math.MaxUint32 && bs[len(bs)-1].Hi == math.MaxUint32
}

type numbered struct {
	lo   uint32
	name string
}

// numbersIn names the calls in a range of numbers, and the runs of numbers between them that have no name.
func numbersIn(a abi.Arch, known bool, lo, hi uint32) []numbered {
	var out []numbered
	add := func(lo, hi uint32) {
		switch {
		case lo == hi:
			out = append(out, numbered{lo, fmt.Sprint(lo)})
		case lo < hi:
			out = append(out, numbered{lo, fmt.Sprintf("%d..%d", lo, hi)})
		}
	}
	if !known {
		add(lo, hi)
		return out
	}
	next := uint64(lo)
	archs := []abi.Arch{a}
	if a == abi.X86_64 {
		archs = append(archs, abi.X32)
	}
	for _, a := range archs {
		for nr, call := range a.Calls() {
			if uint64(nr) < next || nr > hi {
				continue
			}
			if uint64(nr) > next {
				add(uint32(next), nr-1)
			}
			out = append(out, numbered{nr, call})
			next = uint64(nr) + 1
		}
	}
	if next <= uint64(hi) {
		add(uint32(next), hi)
	}
	return out
}

// extent is how much a class concerns: "3 calls", "3 calls and 80 numbers that no call has".
func (c class) extent() string {
	calls, numbers := 0, uint64(0)
	for _, name := range c.Calls {
		lo, hi, several := strings.Cut(name, "..")
		first, err := strconv.ParseUint(lo, 10, 32)
		if err != nil {
			calls++
			continue
		}
		last := first
		if several {
			last, _ = strconv.ParseUint(hi, 10, 32)
		}
		numbers += last - first + 1
	}
	switch {
	case numbers == 1<<32:
		return "any call"
	case numbers == 0:
		return plural(calls, "call")
	case calls == 0:
		return plural(numbers, "number") + " that no call has"
	}
	return fmt.Sprintf("%s and %s that no call has", plural(calls, "call"), plural(numbers, "number"))
}

func printDifferences(w io.Writer, a, b string, equal bool, classes []class) {
	if equal {
		fmt.Fprintf(w, "equal: %s and %s mean exactly the same\n", a, b)
		return
	}
	fmt.Fprintf(w, "different: - is %s, + is %s\n", a, b)
	for _, c := range classes {
		extent := c.extent()
		if c.Partial {
			extent = "at least " + extent
		}
		fmt.Fprintf(w, "\n%s: %s\n", c.Arch, extent)
		fmt.Fprintln(w, styled(w, red, "- "+c.A))
		fmt.Fprintln(w, styled(w, green, "+ "+c.B))
		const most = 12
		names := strings.Join(c.Calls[:min(len(c.Calls), most)], " ")
		if n := len(c.Calls) - most; n > 0 {
			names += fmt.Sprintf(" … and %d more (--json has all)", n)
		}
		fmt.Fprintln(w, wrap("  "+names, "  "))
		fmt.Fprintln(w, wrap("  witness: "+c.Witness, "    "))
	}
}
