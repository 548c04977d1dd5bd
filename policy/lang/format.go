package lang

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"monban/abi"
)

// keywordWidth is the column at which the rest of a line starts, where its first word leaves room.
const keywordWidth = 9

// Format returns the text laid out in the one standard way: meaning, order, comments and line breaks stay, spacing is ours.
// Formatting twice changes nothing.
func (f *File) Format() []byte {
	var rows []row
	for start := 0; start < len(f.tokens); {
		n := start
		depth := 0
		for ; f.tokens[n].kind != end && (f.tokens[n].kind != newline || depth > 0); n++ {
			switch {
			case opens(f.tokens[n]):
				depth++
			case closes(f.tokens[n]):
				depth--
			}
		}
		rows = append(rows, layOut(f.tokens[start:n])...)
		start = n + 1
	}
	return join(rows)
}

func opens(t token) bool  { return t.is("(") || t.is("{") }
func closes(t token) bool { return t.is(")") || t.is("}") }

// A row is one line of output.
type row struct{ code, comment string }

// layOut turns one logical line into rows; inside brackets the author's line breaks are kept, indented.
func layOut(line []token) []row {
	var rows []row
	var b strings.Builder
	flush := func(comment string) {
		rows = append(rows, row{strings.TrimRight(b.String(), " "), comment})
		b.Reset()
	}
	depth, first := 0, true
	keyword := keywordEnd(line)
	note := ""
	var last token
	for i, t := range line {
		switch {
		case t.kind == comment:
			note = t.text
			continue
		case t.kind == newline:
			if depth > 0 {
				if b.Len() > 0 || note != "" {
					flush(note)
				}
				note, first = "", true
			}
			continue
		}
		if closes(t) {
			depth--
		}
		switch {
		case first && len(rows) > 0:
			b.WriteString(strings.Repeat("    ", max(depth, 0)))
		case first:
		case i > 0 && spaced(line[:i], last, t):
			b.WriteByte(' ')
		}
		if t.kind == quoted {
			b.WriteString(`"` + t.text + `"`)
		} else {
			b.WriteString(t.text)
		}
		if i == keyword && len(rows) == 0 {
			b.WriteString(strings.Repeat(" ", max(keywordWidth-1-utf8.RuneCountInString(b.String()), 0)))
		}
		if opens(t) {
			depth++
		}
		last, first = t, false
	}
	flush(note)
	return rows
}

// keywordEnd is the token with which a line's first word, or its action with data, ends; -1 where nothing is aligned.
func keywordEnd(line []token) int {
	if len(line) == 0 || line[0].kind != word || line[0].text == "on" {
		return -1
	}
	if len(line) > 2 && line[1].is("(") {
		return slices.IndexFunc(line, closes)
	}
	return 0
}

// spaced says whether a space stands between two neighbours.
func spaced(before []token, last, t token) bool {
	switch {
	case t.is(",") || t.is(")") || t.is("}") || t.is(":") || t.is(".."):
		return false
	case last.is("(") || last.is("{") || last.is(".."):
		return false
	case last.is("~") || last.is("!"), last.is("-") && prefix(before[:len(before)-1]):
		return false
	case t.is("("):
		// A call's or an action's parenthesis clings to its name; one that groups does not.
		return last.kind != word || last.text == "in"
	}
	return true
}

// prefix says that an operator after these tokens has nothing to its left.
func prefix(before []token) bool {
	if len(before) == 0 {
		return true
	}
	t := before[len(before)-1]
	return t.kind == symbol && !closes(t) || t.kind == word && t.text == "in"
}

// alignUpTo is how wide a line may be for its comment to be aligned with its neighbours'.
const alignUpTo = 60

// join writes rows: at most one blank line in a row, trailing comments of neighbouring lines aligned.
func join(rows []row) []byte {
	var out bytes.Buffer
	blank := true // none at the start
	for i := 0; i < len(rows); {
		r := rows[i]
		if r.code == "" && r.comment == "" {
			if !blank {
				out.WriteByte('\n')
			}
			blank = true
			i++
			continue
		}
		blank = false
		// A block is a run of lines with both code and comment.
		n, width := i, 0
		for n < len(rows) && rows[n].code != "" && rows[n].comment != "" && (n == i || utf8.RuneCountInString(rows[n].code) <= alignUpTo && width <= alignUpTo) {
			width = max(width, utf8.RuneCountInString(rows[n].code))
			n++
		}
		if n == i {
			out.WriteString(r.code + r.comment + "\n")
			i++
			continue
		}
		for ; i < n; i++ {
			out.WriteString(rows[i].code)
			out.WriteString(strings.Repeat(" ", width-utf8.RuneCountInString(rows[i].code)+2))
			out.WriteString(rows[i].comment + "\n")
		}
	}
	return append(bytes.TrimRight(out.Bytes(), "\n"), bytes.Repeat([]byte("\n"), min(1, out.Len()))...)
}

// WithKernel returns the formatted text with a kernel header put before its first header or rule.
func (f *File) WithKernel(v abi.Version) []byte {
	text := string(f.Format())
	if len(f.Lines) == 0 {
		return []byte(text + "kernel   " + v.String() + "\n")
	}
	// Formatting keeps lines in order: the first one that is neither blank nor comment is the first of f.Lines.
	lines := strings.SplitAfter(text, "\n")
	for i, line := range lines {
		if s := strings.TrimSpace(line); s != "" && s[0] != '#' {
			lines[i] = "kernel   " + v.String() + "\n" + line
			break
		}
	}
	g, err := Parse(f.Name, []byte(strings.Join(lines, "")))
	if err != nil {
		panic(err) // a header before the first line does not change what follows
	}
	return g.Format()
}
