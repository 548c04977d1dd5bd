package expect

import (
	"fmt"
	"path/filepath"
	"strings"
)

// A NoGateError says that a test file does not say which gate it speaks of.
type NoGateError struct {
	File   string
	Beside []string // the gates that it may mean, none or several
}

func (e *NoGateError) Error() string {
	switch {
	case len(e.Beside) > 0:
		return fmt.Sprintf("%s: which gate is meant? there are %s: say it with a line  gate %q", e.File, strings.Join(e.Beside, " and "),
			filepath.Base(e.Beside[0]))
	case e.File == stdin:
		return e.File + `: it must name its gate: gate "web.gate"`
	}
	return fmt.Sprintf(`%s: there is no gate next to it: name one with a line  gate "web.gate", or call it %s.gate`, e.File,
		strings.TrimSuffix(e.File, filepath.Ext(e.File)))
}

// stdin is what standard input is called.
const stdin = "standard input"

// Ref is the name of the gate that the file speaks of, which was read from a path or, of "-", from standard input: the
// one that it names, seen from where it lies, or the only one beside it. The error is a *[NoGateError].
func (f *File) Ref(path string, beside []string) (string, error) {
	switch {
	case strings.HasPrefix(f.Gate, "@") || filepath.IsAbs(f.Gate):
		return f.Gate, nil
	case f.Gate != "":
		return filepath.Join(filepath.Dir(path), f.Gate), nil
	case path == "-":
		return "", &NoGateError{File: stdin}
	case len(beside) == 1:
		return beside[0], nil
	}
	return "", &NoGateError{path, beside}
}
