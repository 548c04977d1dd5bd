package report

import (
	"io"
	"strings"

	"monban/gate"
	"monban/inspect"
	"monban/policy/lang"
)

// MergedGate writes what several gates make together in the policy language; its comments say which calls come from
// which of them.
func MergedGate(w io.Writer, merged *gate.Gate, origins []inspect.Origin) error {
	f := lang.New(merged.Policy)
	head := &lang.File{}
	head.Paragraph("the %s", merged.Name)
	several := len(merged.Policy.Archs) > 1
	for _, o := range origins {
		on := ""
		if several {
			on = "on " + o.Arch.String() + ", "
		}
		if calls := strings.Join(o.Calls, " "); o.Gates != nil {
			head.Paragraph("%spasses at %s only: %s", on, strings.Join(o.Gates, ", "), calls)
		} else {
			head.Paragraph("%spasses at all of them, though not in the same way: %s", on, calls)
		}
	}
	f.Prepend(head.Lines...)
	p := Options{}.printer(w)
	p.Text(f.String())
	return p.Err()
}

// MergedJSON writes monban/merge/1. gates are the names of those that were merged.
func MergedJSON(w io.Writer, op inspect.Operation, gates []string, merged *gate.Gate) error {
	return JSON(w, "merge/1", map[string]any{"how": op, "gates": gates, "policy": lang.New(merged.Policy).String()})
}
