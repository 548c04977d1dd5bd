package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"

	"monban/bpf"
)

// A style is the number of an ANSI attribute.
type style string

const (
	bold   style = "1"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
	faint  style = "2"
)

// styled is text in a style where w is a terminal and the user has not set NO_COLOR (https://no-color.org).
func styled(w io.Writer, s style, text string) string {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" || !term.IsTerminal(int(f.Fd())) {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

// actionStyle is green for what passes, yellow for what is refused, red for what kills.
func actionStyle(a bpf.Action) style {
	switch a.Kind() {
	case bpf.Allow, bpf.Log:
		return green
	case bpf.KillProcess, bpf.KillThread:
		return red
	}
	return yellow
}

// printJSON writes one value for machines.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// plural is "1 call", "2 calls".
func plural(n int, what string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, what)
	}
	return fmt.Sprintf("%d %ss", n, what)
}
