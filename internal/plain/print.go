package plain

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Sprintf is fmt.Sprintf with every argument made plain, so that the format's line breaks are the only ones. What is
// Painted keeps its style.
func Sprintf(format string, args ...any) string {
	if false {
		_ = fmt.Sprintf(format, args...) // so that go vet checks the formats of all callers
	}
	safe := make([]any, len(args))
	for i, a := range args {
		switch a.(type) {
		case Painted, int: // an int may be a width
			safe[i] = a
		default:
			safe[i] = foreign{a}
		}
	}
	return fmt.Sprintf(format, safe...)
}

// foreign is an argument that is made plain when it is printed.
type foreign struct{ value any }

func (a foreign) Format(f fmt.State, verb rune) {
	format, text := fmt.FormatString(f, verb), a.value
	if verb == 's' || verb == 'v' {
		switch v := text.(type) {
		case string: // a width is that of what is printed
			text = Text(v)
		case error, fmt.Stringer:
			text = Text(fmt.Sprint(v))
		}
	}
	io.WriteString(f, Text(fmt.Sprintf(format, text)))
}

// Fprintf writes Sprintf to w. The first error of a [Writer] is found when it is flushed.
func Fprintf(w io.Writer, format string, args ...any) {
	if false {
		_ = fmt.Sprintf(format, args...)
	}
	_ = put(w, Sprintf(format, args...))
}

// Paragraph writes Sprintf as a line to w, broken between words where it is wider than [Width]; what goes on is
// indented.
func Paragraph(w io.Writer, indent, format string, args ...any) {
	if false {
		_ = fmt.Sprintf(format, args...)
	}
	_ = put(w, paragraph(rows(Sprintf(format, args...), indent, Width)))
}

// rows breaks a line between words.
func rows(line, indent string, width int) (out []string) {
	for columns(line) > width {
		i := strings.LastIndexByte(line[:after(line, width+1)], ' ')
		if i <= len(indent) {
			break // one word that is longer than the line
		}
		if row := strings.TrimRight(line[:i], " "); row != "" { // more spaces than a row has
			out = append(out, row)
		}
		line = indent + line[i+1:]
	}
	if row := strings.TrimRight(line, " "); row != "" || out == nil {
		out = append(out, row)
	}
	return out
}

// columns is how many columns a line takes, styles apart.
func columns(line string) (n int) {
	for i := 0; i < len(line); n++ {
		i += size(line[i:])
	}
	return n
}

// after is where the first n columns of a line end, in bytes.
func after(line string, n int) (end int) {
	for ; n > 0 && end < len(line); n-- {
		end += size(line[end:])
	}
	return end
}

// size is the length of the first character, in bytes, with the styles around it.
func size(s string) (n int) {
	n = style(s)
	_, r := utf8.DecodeRuneInString(s[n:])
	n += r
	return n + style(s[n:])
}

// style is the length of the styles that s starts with. Escape sequences are ours alone here.
func style(s string) (n int) {
	for strings.HasPrefix(s[n:], "\x1b[") {
		end := strings.IndexByte(s[n:], 'm')
		if end < 0 {
			break
		}
		n += end + 1
	}
	return n
}
