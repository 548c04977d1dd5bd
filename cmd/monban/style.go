package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"monban/bpf"
	"monban/internal/plain"
)

// The styles, by what they are for.
const (
	bold   = plain.Bold
	faint  = plain.Faint
	red    = plain.Red
	green  = plain.Green
	yellow = plain.Yellow
)

// width is how many columns our output takes at most.
const width = plain.Width

// actionStyle is green for what passes, yellow for what is refused, red for what kills.
func actionStyle(a bpf.Action) plain.Style {
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
	text, err := jsonText(v)
	if err != nil {
		return err
	}
	rest, ok := bytes.CutPrefix(text, []byte("{\n"))
	if !ok {
		return fmt.Errorf("the JSON of %s is no object; please report this", schema)
	}
	_, err = w.Write(slices.Concat([]byte("{\n  \"schema\": \"monban/"+schema+"\",\n"), rest))
	return err
}

// jsonText is a value as JSON, indented. What a terminal or a CI system would obey is escaped, as \u202e.
func jsonText(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return plain.JSON(b.Bytes()), err
}
