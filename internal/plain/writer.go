package plain

import (
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// A Style is the number of an ANSI attribute; the zero Style is none.
type Style string

// The styles that there are.
const (
	Bold   Style = "1"
	Faint  Style = "2"
	Red    Style = "31"
	Green  Style = "32"
	Yellow Style = "33"
)

// Painted is a text in a style, which Fprintf and its like take as an argument. The text itself is made plain.
type Painted struct {
	style Style
	text  string
}

// Paint puts a text into a style.
func Paint(s Style, text string) Painted { return Painted{s, text} }

// String is the text with its escape sequences.
func (p Painted) String() string {
	text := Text(p.text)
	switch p.style {
	case Bold, Faint, Red, Green, Yellow:
		return "\x1b[" + string(p.style) + "m" + text + "\x1b[0m"
	}
	return text
}

// A Writer is the door to what people and machines read: Write escapes, apart from line breaks and tabs.
type Writer struct {
	to     io.Writer
	part   []byte // of a character, until the rest of it comes
	before rune   // the last one
}

// NewWriter makes a door to w.
func NewWriter(w io.Writer) *Writer { return &Writer{to: w} }

// Write writes a text of several lines, such as a gate or a page, as [Document] does.
func (w *Writer) Write(p []byte) (int, error) {
	text := append(w.part, p...)
	n := whole(text)
	w.part = slices.Clone(text[n:])
	if err := w.document(string(text[:n])); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (w *Writer) document(text string) error {
	text, w.before = escaped(text, visible, "\n\t", w.before)
	_, err := io.WriteString(w.to, text)
	return err
}

// whole is how much of a text ends with a whole character, in bytes.
func whole(text []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		if i := len(text) - n; utf8.RuneStart(text[i]) {
			if !utf8.FullRune(text[i:]) {
				return i
			}
			break
		}
	}
	return len(text)
}

// End writes what is left of a character that was cut off.
func (w *Writer) End() error {
	rest := string(w.part)
	w.part = nil
	return w.document(rest)
}

// Raw writes what is no text: a program for a file or a pipe, or a sequence that moves the cursor. Nothing of it may be anybody else's.
func (w *Writer) Raw(p []byte) (int, error) { return w.to.Write(p) }

// put writes lines of which all arguments were made plain.
func (w *Writer) put(lines string) { _, _ = io.WriteString(w.to, lines) } // whoever flushes w.to sees the error

// put writes lines of which all arguments were made plain. A CI system takes what starts with :: for a command.
func put(w io.Writer, lines string) {
	if strings.Contains(lines, "::") {
		all := strings.SplitAfter(lines, "\n")
		for i, line := range all {
			if rest := strings.TrimLeft(line, " \t"); strings.HasPrefix(rest, "::") {
				all[i] = line[:len(line)-len(rest)] + `\x3a` + rest[1:]
			}
		}
		lines = strings.Join(all, "")
	}
	if door, ok := w.(interface{ put(string) }); ok {
		door.put(lines)
		return
	}
	_, _ = io.WriteString(w, lines) // a buffer
}
