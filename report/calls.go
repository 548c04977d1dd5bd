package report

import (
	"fmt"
	"io"
	"strings"

	"monban/abi"
	"monban/inspect"
)

// signature are a call's arguments as C declares them.
func signature(e *inspect.Entry) []string {
	out := []string{}
	for _, arg := range e.Args {
		out = append(out, arg.Type+" "+arg.Name)
	}
	return out
}

// EntriesText says of calls what there is to know: arguments, the kernel that introduced them, groups, and numbers on
// some architectures.
func EntriesText(w io.Writer, entries []inspect.Entry, on []abi.Arch, o Options) error {
	p := o.printer(w)
	for i := range entries {
		if i > 0 {
			p.Printf("\n")
		}
		p.entry(&entries[i], on)
	}
	return p.Err()
}

func (p *printer) entry(e *inspect.Entry, on []abi.Arch) {
	p.Paragraph("    ", "%s(%s)", p.Styled(bold, e.Name), strings.Join(signature(e), ", "))
	if !e.Since.IsZero() {
		p.Printf("since Linux %s\n", e.Since)
	}
	p.Paragraph("    ", "groups: %s", strings.Join(e.Groups, " "))
	for _, a := range on {
		var ways []string
		if nr, ok := e.Numbers[a]; ok {
			s := fmt.Sprint(nr)
			if a == abi.X32 {
				s = fmt.Sprintf("%d (%#x)", nr, nr)
			}
			ways = append(ways, s)
		}
		if m, ok := e.Mux[a]; ok {
			ways = append(ways, multiplexed(m))
		}
		if ways == nil {
			ways = []string{"-"}
		}
		p.Printf("  %-12s %s\n", a, strings.Join(ways, ", "))
	}
}

// EntriesTable lists calls, a line each, with their numbers on one architecture.
func EntriesTable(w io.Writer, entries []inspect.Entry, on abi.Arch, o Options) error {
	p := o.printer(w)
	const format = "%-24s %6s  %s"
	p.Printf("%s\n", p.Styled(faint, fmt.Sprintf(format, "# call", on, "arguments")))
	for i := range entries {
		e := &entries[i]
		nr := "-"
		if n, ok := e.Numbers[on]; ok {
			nr = fmt.Sprint(n)
		}
		p.Paragraph(strings.Repeat(" ", 33), format, e.Name, nr, strings.Join(signature(e), ", "))
	}
	return p.Err()
}

// EntriesJSON writes monban/syscalls/1.
func EntriesJSON(w io.Writer, entries []inspect.Entry) error {
	type call struct {
		Name    string            `json:"name"`
		Since   string            `json:"since,omitempty"`
		Groups  []string          `json:"groups"`
		Args    []string          `json:"args"`
		Numbers map[string]uint32 `json:"numbers"`
		Mux     map[string]string `json:"mux,omitempty"`
	}
	var calls []call
	for i := range entries {
		e := &entries[i]
		c := call{Name: e.Name, Groups: append([]string{}, e.Groups...), Args: signature(e), Numbers: map[string]uint32{}, Mux: map[string]string{}}
		if !e.Since.IsZero() {
			c.Since = e.Since.String()
		}
		for a, nr := range e.Numbers {
			c.Numbers[a.String()] = nr
		}
		for a, m := range e.Mux {
			c.Mux[a.String()] = multiplexed(m)
		}
		calls = append(calls, c)
	}
	return JSON(w, "syscalls/1", map[string]any{"calls": calls})
}
