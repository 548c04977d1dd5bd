package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"monban/internal/plain"
)

// JSON writes one object for machines, whose first key says what it is: "schema": "monban/diff/2". The number grows
// when a key goes or changes its meaning, not when one is added. docs/json.md describes all shapes.
func JSON(w io.Writer, schema string, v any) error {
	text, err := jsonText(v)
	if err != nil {
		return err
	}
	rest, ok := bytes.CutPrefix(text, []byte("{\n"))
	if !ok {
		return fmt.Errorf("the JSON of %s is not an object; please report this", schema)
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
