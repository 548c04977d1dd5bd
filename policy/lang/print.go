package lang

import (
	"fmt"
	"slices"
	"strings"

	"monban/abi"
	"monban/policy"
)

// lineWidth is how long the printer lets a line grow before it starts another.
const lineWidth = 100

// Print is a policy as text that Load reads back to the same meaning.
func Print(p *policy.Policy) string {
	var b strings.Builder
	head := func(word, rest string) { fmt.Fprintf(&b, "%-*s%s\n", keywordWidth, word, rest) }
	if !p.Kernel.IsZero() {
		head("kernel", p.Kernel.String())
	}
	head("arch", abi.Join(p.Archs, " "))
	head("default", p.Default.String())
	head("unknown", p.Unknown.String())
	head("badarch", p.BadArch.String())
	if p.Compare64 {
		head("compare", "64")
	}
	if len(p.Rules) > 0 {
		b.WriteByte('\n')
	}
	for i := 0; i < len(p.Rules); {
		r := &p.Rules[i]
		start := ""
		if len(r.Archs) > 0 {
			start = "on " + abi.Join(r.Archs, " ") + ": "
		}
		start += r.Action.String()
		line := fmt.Sprintf("%-*s", keywordWidth-1, start)
		n := 0
		for ; i < len(p.Rules) && sameLine(&p.Rules[i], r); i++ {
			item := printItem(&p.Rules[i], p.Compare64)
			if n > 0 {
				item = strings.TrimPrefix(item, "optional ")
			}
			if n > 0 && len(line)+1+len(item) > lineWidth {
				break
			}
			line += " " + item
			n++
		}
		b.WriteString(wrapped(line) + "\n")
	}
	return b.String()
}

// wrapped breaks a long line at spaces inside its brackets, where the language allows it.
func wrapped(line string) string {
	const indent = "    "
	var b strings.Builder
	depth, start, last := 0, 0, -1 // start of the row, last space to break at
	width := lineWidth
	for i := range line {
		switch line[i] {
		case '(', '{':
			depth++
		case ')', '}':
			depth--
		case ' ':
			if depth > 0 {
				last = i
			}
		}
		if i-start >= width && last > start {
			b.WriteString(line[start:last] + "\n" + indent)
			start, last, width = last+1, -1, lineWidth-len(indent)
		}
	}
	return b.String() + line[start:]
}

// sameLine says that two rules can share a line.
func sameLine(a, b *policy.Rule) bool {
	return a.Action == b.Action && a.Optional == b.Optional && slices.Equal(a.Archs, b.Archs) && (a.Cond == nil && b.Cond == nil || a == b)
}

func printItem(r *policy.Rule, wide bool) string {
	s := r.Call
	if s == "" {
		s = anyCall
	}
	if r.Optional {
		s = "optional " + s
	}
	if r.Cond == nil {
		return s
	}
	cond := r.Cond
	if wide {
		cond = atWidth(cond, false) // the header says so
	}
	return s + "(" + cond.String() + ")"
}
