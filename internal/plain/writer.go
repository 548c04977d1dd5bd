package plain

import (
	"bytes"
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
	part   []byte // of a line, until the rest of it comes
	before rune   // what stands before it, where it is too long to be kept
}

// maxPart is how much of a line is kept, in bytes.
const maxPart = 64 << 10

// NewWriter makes a door to w. What is written to w is complete after Flush only.
func NewWriter(w io.Writer) *Writer { return &Writer{to: w} }

// Write writes a text of several lines, such as a gate or a page, as [Document] does.
func (w *Writer) Write(p []byte) (int, error) {
	if len(w.part) == 0 && bytes.HasSuffix(p, []byte("\n")) && w.before != '#' && harmless(p, "\n\t") && !bytes.Contains(p, []byte("::")) {
		w.before = '\n'
		return w.to.Write(p) // most text
	}
	text := append(w.part, p...)
	n := bytes.LastIndexByte(text, '\n') + 1
	if len(text)-n > maxPart {
		n = whole(text)
	}
	w.part = slices.Clone(text[n:])
	if err := w.document(string(text[:n])); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (w *Writer) document(text string) error {
	text, w.before = escaped(text, visible, "\n\t", w.before)
	_, err := io.WriteString(w.to, disarmed(text))
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

// Flush writes a last line that does not end.
func (w *Writer) Flush() error {
	rest := string(w.part)
	w.part = nil
	return w.document(rest)
}

// Raw writes what is not text: a program for a file or a pipe, or a sequence that moves the cursor. Nothing of it may
// be anybody else's.
func (w *Writer) Raw(p []byte) (int, error) {
	if err := w.Flush(); err != nil {
		return 0, err
	}
	return w.to.Write(p)
}

// put writes lines of which all arguments were made plain. Whoever flushes what stands behind sees the error.
func (w *Writer) put(lines string) {
	if w.Flush() == nil {
		_, _ = io.WriteString(w.to, lines)
	}
}

// put writes lines of which all arguments were made plain, to a Writer or to a buffer. The error is that of the latter.
func put(w io.Writer, lines string) error {
	lines = disarmed(lines)
	if door, ok := w.(interface{ put(string) }); ok {
		door.put(lines)
		return nil
	}
	_, err := io.WriteString(w, lines)
	return err
}

// disarmed are lines that no CI system takes for its commands, which start with ::.
func disarmed(lines string) string {
	if !strings.Contains(lines, "::") {
		return lines
	}
	var b strings.Builder
	for line := range strings.SplitAfterSeq(lines, "\n") {
		if rest := strings.TrimLeft(line, " \t"); strings.HasPrefix(rest, "::") {
			line = line[:len(line)-len(rest)] + `\x3a` + rest[1:]
		}
		b.WriteString(line)
	}
	return b.String()
}
