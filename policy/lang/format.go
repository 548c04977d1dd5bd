package lang

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"monban/internal/plain"
)

// indent is how far what goes on inside a bracket is moved in.
const indent = "    "

// keywordWidth is the column at which the rest of a line starts, where its first word leaves room.
const keywordWidth = 9

// String is the text in the one standard layout: meaning, order, comments and line breaks stay, spacing is ours. Parse
// reads the same tree back from it.
func (f *File) String() string {
	var rows []row
	for _, l := range f.Lines {
		if l.At().Apart {
			rows = append(rows, row{})
		}
		if bad, ok := l.(*Bad); ok {
			for text := range strings.SplitSeq(bad.Text, "\n") {
				rows = append(rows, row{code: text})
			}
			continue
		}
		rows = append(rows, layOut(tokensOf(l))...)
	}
	return string(join(rows))
}

// tokensOf is what a line consists of.
func tokensOf(l Line) (tokens []token) {
	add := func(k kind, text string) { tokens = append(tokens, token{kind: k, text: text}) }
	args := func(args []Arg) {
		for _, a := range args {
			k := word
			if a.Quoted {
				k = quoted
			}
			add(k, a.Text)
		}
	}
	action := func(a Action) {
		name, data, with := strings.Cut(strings.TrimSuffix(a.String(), ")"), "(")
		add(word, name)
		if with {
			add(symbol, "(")
			add(word, data)
			add(symbol, ")")
		}
	}
	remark := func(text string) {
		if text == "" {
			return
		}
		if text[0] != '#' {
			text = "# " + text
		}
		if strings.ContainsAny(text, "\n\r") { // no line of its own can begin in it
			text = plain.Text(text)
		}
		add(comment, text)
	}
	switch l := l.(type) {
	case *Comment:
		remark(l.Text)
	case *Header:
		add(word, l.Word)
		if args(l.Args); len(l.Args) == 0 {
			action(l.Do)
		}
		remark(l.Comment)
	case *Rules:
		tokens = make([]token, 0, 8+len(l.On)+len(l.Items))
		if len(l.On) > 0 {
			add(word, "on")
			args(l.On)
			add(symbol, ":")
		}
		action(l.Do)
		for _, it := range l.Items {
			if it.Optional {
				add(word, "optional")
			}
			add(word, it.Name)
			if it.Cond != nil {
				add(symbol, "(")
				tokens = append(tokens, it.Cond.tokens...)
				add(symbol, ")")
			}
		}
		remark(l.Comment)
	}
	return tokens
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
			b.WriteString(strings.Repeat(indent, max(depth, 0)))
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
