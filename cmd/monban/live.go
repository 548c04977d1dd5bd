package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"monban/record"
)

// A liveLine is the last row of the terminal, while a program runs in the rows above: what the program prints, a line without an end
// above all, is neither written over nor erased.
type liveLine struct{ rows int }

// newLiveLine is nil where standard error is no terminal that has one.
func newLiveLine() *liveLine {
	if !term.IsTerminal(int(os.Stderr.Fd())) || os.Getenv("TERM") == "dumb" {
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
		l.show(fmt.Sprintf("recording (%s): %s, %d made, %.0f s since the last new one", r.By, plural(len(r.Calls), "call"), r.Made, since.Seconds()))
	}
}

func (l *liveLine) show(text string) {
	columns, rows, err := term.GetSize(int(os.Stderr.Fd()))
	const fewest = 3
	if err != nil || rows < fewest || columns < 1 {
		return
	}
	var b strings.Builder
	if rows != l.rows { // scroll if the cursor is in the last row, and keep it and what scrolls above it
		fmt.Fprintf(&b, "\x1bD\x1b[A\x1b7\x1b[1;%dr\x1b8", rows-1)
		l.rows = rows
	}
	fmt.Fprintf(&b, "\x1b7\x1b[%d;1H\x1b[K%s\x1b8", rows, styled(os.Stderr, faint, text[:min(len(text), columns)]))
	fmt.Fprint(os.Stderr, b.String())
}

// end gives the row back.
func (l *liveLine) end() {
	if l != nil && l.rows > 0 {
		fmt.Fprintf(os.Stderr, "\x1b7\x1b[r\x1b[%d;1H\x1b[K\x1b8", l.rows)
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
