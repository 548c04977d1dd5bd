package lang

import (
	"slices"
	"unicode/utf8"

	"monban/policy"
)

// Print is a policy as text that Load reads back to the same meaning.
func Print(p *policy.Policy) string { return New(p).String() }

// lineWidth is how long New lets a line grow before it starts another.
const lineWidth = 100

// New is a policy as a file that means the same.
func New(p *policy.Policy) *File {
	f := &File{Name: p.Name}
	if !p.Kernel.IsZero() {
		f.Add(Head("kernel", p.Kernel.String()))
	}
	f.Add(&Header{Word: "arch", Args: Archs(p.Archs)}, HeadAction("default", p.Default), HeadAction("unknown", p.Unknown), HeadAction("badarch", p.BadArch))
	if p.Compare64 {
		f.Add(Head("compare", "64"))
	}
	var rules []Line
	for i := 0; i < len(p.Rules); {
		r := &p.Rules[i]
		line := &Rules{On: Archs(r.Archs), Do: Act(r.Action)}
		width := max(codeWidth(tokensOf(line)), keywordWidth-1)
		if r.Cond != nil {
			line.Items = []Item{conditional(r, p.Compare64, width)}
			i++
		}
		for ; i < len(p.Rules) && r.Cond == nil && sameLine(&p.Rules[i], r); i++ {
			it := Item{Name: callWord(p.Rules[i].Call), Optional: r.Optional && len(line.Items) == 0}
			more := 1 + len(it.Name)
			if it.Optional {
				more += len("optional ")
			}
			if width += more; width > lineWidth && len(line.Items) > 0 {
				break
			}
			line.Items = append(line.Items, it)
		}
		rules = append(rules, line)
	}
	f.Section("", rules...)
	return f
}

// sameLine says that two rules without conditions can share a line.
func sameLine(a, b *policy.Rule) bool {
	return a.Action == b.Action && a.Optional == b.Optional && a.Cond == nil && slices.Equal(a.Archs, b.Archs)
}

// callWord is the word for a rule's call.
func callWord(call string) string {
	if call == "" {
		return anyCall
	}
	return call
}

// conditional is a rule with a condition as an item, of a line that is width wide before it.
func conditional(r *policy.Rule, wide bool, width int) Item {
	it := Item{Name: callWord(r.Call), Optional: r.Optional}
	cond := r.Cond
	if wide {
		cond = atWidth(cond, false) // the header says so
	}
	it.Cond = NewCondition(cond)
	width += 1 + len(it.Name) + 1
	if it.Optional {
		width += len("optional ")
	}
	it.Cond.tokens = broken(it.Cond.tokens, width)
	return it
}

// broken breaks a condition that begins at a column where a row becomes too long, at spaces.
func broken(tokens []token, col int) (out []token) {
	line := append([]token{{kind: symbol, text: "("}}, tokens...)
	depth := 1
	for i := 1; i < len(line); {
		n, width, inner := i, 0, depth
		for n < len(line) && (n == i || !spaced(line[:n], line[n-1], line[n])) {
			switch {
			case opens(line[n]):
				inner++
			case closes(line[n]):
				inner--
			}
			width += utf8.RuneCountInString(line[n].text)
			n++
		}
		if i > 1 {
			width++ // the space before it
		}
		if col += width; col > lineWidth && i > 1 {
			out = append(out, token{kind: newline, text: "\n"})
			col = len(indent)*depth + width - 1
		}
		out = append(out, line[i:n]...)
		i, depth = n, inner
	}
	return out
}

// codeWidth is how wide the tokens of one row are.
func codeWidth(line []token) int { return utf8.RuneCountInString(layOut(line)[0].code) }
