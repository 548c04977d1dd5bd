// Package plain makes text that isn't ours harmless: a name in a profile, a thread's name, a file's name, an argument.
// Whoever chooses one could move the cursor of the terminal that it is shown on, begin a line of their own, be obeyed
// by a CI system that reads the output, or make it look like something else. What is printed stays readable in every
// script, and what could act is written as Go writes it in a string: \x1b, \n, \u202e.
//
// A [Writer] is the door to a terminal, a pipe or a file: what reaches it by [Printf] has its arguments escaped whole,
// and what reaches it by Write, such as a gate's text, keeps its line breaks only. Styles alone add escape sequences,
// and only to a Writer.
package plain

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Text is s on one line, with all that could act written visibly. What is harmless already stays as it is: escaping
// twice changes nothing.
func Text(s string) string {
	text, _ := escaped(s, visible, "", 0)
	return text
}

// Document is a text of several lines, whose line breaks and tabs are the writer's own; all else is as in Text.
func Document(s string) string {
	text, _ := escaped(s, visible, "\n\t", 0)
	return text
}

// JSON is a JSON text in which all that could act is written as \u202e. It is valid still, and means the same.
func JSON(text []byte) []byte {
	safe, _ := escaped(string(text), inJSON, "\n\t", 0)
	return []byte(safe)
}

// escaped rewrites the characters of s that could act, apart from those in keep. Before stands what a combining
// character would be drawn onto; the last is that of what follows.
func escaped(s string, write func(b []byte, r rune, raw string) []byte, keep string, before rune) (text string, last rune) {
	if before != '#' && harmless(s, keep) {
		if s != "" {
			before = rune(s[len(s)-1])
		}
		return s, before
	}
	out, marks := make([]byte, 0, len(s)+16), 0
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		bad := r == utf8.RuneError && n == 1
		if marks++; !unicode.IsMark(r) {
			marks = 0
		}
		switch {
		case !bad && strings.ContainsRune(keep, r), !bad && marks <= maxMarks && !acts(r, before) && !(r == '#' && before == '#' && command(s[1:])):
			out = append(out, s[:n]...)
			before = r
		default:
			out = write(out, r, s[:n])
			before = 0
		}
		s = s[n:]
	}
	return string(out), before
}

// maxMarks is how many combining characters there are on a letter in any script: a hundred would cover the lines above.
const maxMarks = 4

// harmless is the quick way for what most text is: printable ASCII.
func harmless[T string | []byte](s T, keep string) bool {
	for i := range len(s) {
		c := s[i]
		if c == '#' && i > 0 && s[i-1] == '#' || (c < ' ' || c > '~') && strings.IndexByte(keep, c) < 0 {
			return false
		}
	}
	return true
}

// acts says whether a character, behind another one, is more than a sign to be seen.
func acts(r, before rune) bool {
	switch {
	case r <= unicode.MaxASCII:
		return r < ' ' || r == 0x7f
	case r == '\u3000': // the space of Japanese and Chinese
		return false
	case !strconv.IsPrint(r): // controls, bidirectional and invisible characters, separators, what has no meaning or a private one
		return true
	case unicode.In(r, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point), r == '\u2800':
		return true // letters, marks and signs that nobody sees
	case unicode.IsMark(r):
		return !(unicode.IsLetter(before) || unicode.IsNumber(before) || unicode.IsMark(before))
	}
	return false
}

// command says whether what stands behind ## makes it a command: CI systems obey ##vso[ and ##[ wherever they are in a
// line.
func command(rest string) bool {
	rest = strings.TrimLeft(rest, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	return strings.HasPrefix(rest, "[")
}

// visible writes a character as Go can in a string; of a byte that is not UTF-8, the byte.
func visible(b []byte, r rune, raw string) []byte {
	switch {
	case r == '\n':
		return append(b, `\n`...)
	case r == '\t':
		return append(b, `\t`...)
	case r == '\r':
		return append(b, `\r`...)
	case len(raw) == 1:
		return fmt.Appendf(b, `\x%02x`, raw[0])
	case r < 0x10000:
		return fmt.Appendf(b, `\u%04x`, r)
	}
	return fmt.Appendf(b, `\U%08x`, r)
}

// inJSON writes a character as JSON does. Bytes that are not UTF-8 no encoder lets through.
func inJSON(b []byte, r rune, _ string) []byte {
	for _, half := range utf16.Encode([]rune{r}) {
		b = fmt.Appendf(b, `\u%04x`, half)
	}
	return b
}
