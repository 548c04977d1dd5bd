package main

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/term"

	"monban/internal/plain"
	"monban/record"
)

// A liveLine is the last row of the terminal, while a program runs in the rows above: what the program prints, a line
// without an end above all, is neither written over nor erased.
type liveLine struct{ rows int }

// newLiveLine is nil where standard error is not a terminal that has one.
func newLiveLine() *liveLine {
	if !terminal(stderr) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	return &liveLine{}
}

// seen shows how far a recording is.
func (l *liveLine) seen() func(*record.Recording, time.Duration) {
	if l == nil {
		return nil
	}
	return func(r *record.Recording, since time.Duration) {
		l.show(fmt.Sprintf("recording (%s): %s, %d made, %.0f s since the last new one", r.By, plain.Count(len(r.Calls), "call"), r.Made, since.Seconds()))
	}
}

func (l *liveLine) show(text string) {
	columns, rows, err := term.GetSize(int(stderr.file.Fd()))
	const fewest = 3
	if err != nil || rows < fewest || columns < 1 {
		return
	}
	var b []byte
	if rows != l.rows { // scroll if the cursor is in the last row, and keep it and what scrolls above it
		b = fmt.Appendf(b, "\x1bD\x1b[A\x1b7\x1b[1;%dr\x1b8", rows-1)
		l.rows = rows
	}
	b = fmt.Appendf(b, "\x1b7\x1b[%d;1H\x1b[K%s\x1b8", rows, styled(stderr, faint, cut(text, columns)))
	_, _ = stderr.Raw(b) // nobody could be told that it fails
}

// cut is as much of a text, made plain, as a row of some columns takes.
func cut(text string, columns int) string {
	r := []rune(plain.Text(text))
	return string(r[:min(len(r), columns)])
}

// end gives the row back.
func (l *liveLine) end() {
	if l != nil && l.rows > 0 {
		_, _ = stderr.Raw(fmt.Appendf(nil, "\x1b7\x1b[r\x1b[%d;1H\x1b[K\x1b8", l.rows))
	}
}

// patience is how long people wait without being told what for.
const patience = 2 * time.Second

// working tells what takes so long, if it takes long, until it is stopped.
func working(what string) (stop func()) {
	live := newLiveLine()
	if live == nil {
		return func() {}
	}
	begin, done, ended := time.Now(), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		defer live.end()
		for wait := patience; ; wait = time.Second {
			select {
			case <-done:
				return
			case <-time.After(wait):
				live.show(fmt.Sprintf("%s: %.0f s", what, time.Since(begin).Seconds()))
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}
