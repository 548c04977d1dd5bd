package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"

	"monban/bpf"
)

// A style is the number of an ANSI attribute.
type style string

const (
	bold   style = "1"
	faint  style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
)

// styled is text in a style where w is a terminal and the user has not set NO_COLOR (https://no-color.org).
func styled(w io.Writer, s style, text string) string {
	if o, ok := w.(*output); ok {
		w = o.file
	}
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" || !term.IsTerminal(int(f.Fd())) {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

// actionStyle is green for what passes, yellow for what is refused, red for what kills.
func actionStyle(a bpf.Action) style {
	switch a.Effect() {
	case bpf.Passes:
		return green
	case bpf.Kills:
		return red
	}
	return yellow
}

// printJSON writes one object for machines, whose first key says what it is: "schema": "monban/diff/1". The number grows when
// a key goes or changes its meaning, not when one is added. docs/json.md describes all shapes.
func printJSON(w io.Writer, schema string, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	rest, ok := strings.CutPrefix(b.String(), "{\n")
	if !ok {
		return fmt.Errorf("the JSON of %s is no object; please report this", schema)
	}
	_, err := fmt.Fprintf(w, "{\n  \"schema\": \"monban/%s\",\n%s", schema, rest)
	return err
}

// plural is "1 call", "2 calls".
func plural[N int | uint64](n N, what string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, what)
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// width is how many columns our output takes at most.
const width = 100

// wrap breaks a line at 100 columns, between words; what goes on is indented.
func wrap(line, indent string) string {
	var out []string
	for utf8.RuneCountInString(line) > width {
		end := 0 // in bytes, after width runes
		for range width + 1 {
			_, n := utf8.DecodeRuneInString(line[end:])
			end += n
		}
		i := strings.LastIndexByte(line[:end], ' ')
		if i <= len(indent) {
			break // one word that is longer than the line
		}
		out = append(out, line[:i])
		line = indent + line[i+1:]
	}
	return strings.Join(append(out, line), "\n")
}
