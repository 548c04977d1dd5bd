package plain

import (
	"cmp"
	"fmt"
	"io"
	"strings"
)

// Width is how many columns a paragraph takes at most, where nobody says otherwise.
const Width = 100

// A Printer writes lines to a writer, in its width and with its styles, and keeps the first error.
type Printer struct {
	To     io.Writer
	Width  int  // columns that a paragraph takes at most; 0: [Width]
	Styles bool // To takes escape sequences
	err    error
}

// Err is the first error of the writer. Those of a [Writer] are found when it is flushed.
func (p *Printer) Err() error { return p.err }

// Columns is how many columns a line takes at most.
func (p *Printer) Columns() int { return cmp.Or(p.Width, Width) }

// Styled is a text in a style, where there are styles.
func (p *Printer) Styled(s Style, text string) Painted {
	if !p.Styles {
		s = ""
	}
	return Paint(s, text)
}

// Printf writes Sprintf.
func (p *Printer) Printf(format string, args ...any) {
	if false {
		_ = fmt.Sprintf(format, args...)
	}
	p.put(Sprintf(format, args...))
}

// Paragraph writes Sprintf as a line, broken between words where it is too wide; what goes on is indented.
func (p *Printer) Paragraph(indent, format string, args ...any) {
	if false {
		_ = fmt.Sprintf(format, args...)
	}
	p.put(paragraph(rows(Sprintf(format, args...), indent, p.Columns())))
}

// Shortened is a Paragraph that after three rows says that it goes on.
func (p *Printer) Shortened(indent, format string, args ...any) {
	if false {
		_ = fmt.Sprintf(format, args...)
	}
	const most = 3
	all := rows(Sprintf(format, args...), indent, p.Columns())
	if len(all) > most {
		last := all[most-1]
		for columns(last) > p.Columns()-2 && strings.LastIndexByte(last, ' ') > len(indent) {
			last = last[:strings.LastIndexByte(last, ' ')]
		}
		all = append(all[:most-1], last+" …")
	}
	p.put(paragraph(all))
}

// Text writes a text of several lines, such as a gate, as [Document] makes it.
func (p *Printer) Text(text string) { p.put(Document(text)) }

func (p *Printer) put(lines string) {
	if p.err == nil {
		p.err = put(p.To, lines)
	}
}

func paragraph(rows []string) string { return strings.Join(rows, "\n") + "\n" }
