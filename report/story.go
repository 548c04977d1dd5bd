package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"monban/abi"
	"monban/inspect"
	"monban/internal/plain"
)

// multiplexed is how a multiplexer makes a call: "socketcall(1)".
func multiplexed(m abi.Mux) string { return fmt.Sprintf("%s(%d)", m.Call, m.Sub) }

// StoriesText tells what becomes of one call on the architectures that were asked about.
func StoriesText(w io.Writer, call string, archs []abi.Arch, stories []inspect.Story, o Options) error {
	p := o.printer(w)
	p.Printf("%s, for %s\n", p.Styled(bold, call), inspect.Purpose(call))
	if len(stories) == 0 {
		p.Printf("  none of %s has it\n", abi.Join(archs, ", "))
	}
	for i := range stories {
		p.Printf("\n")
		var before *inspect.Story
		if i > 0 {
			before = &stories[0]
		}
		p.story(&stories[i], before)
	}
	return p.Err()
}

// story tells one architecture's part, and only what differs from the first one.
func (p *printer) story(st, first *inspect.Story) {
	where := []string{}
	if st.Direct {
		where = append(where, fmt.Sprintf("number %d", st.Number))
	}
	if st.Mux != nil {
		where = append(where, multiplexed(*st.Mux))
	}
	p.Printf("%s: %s\n", st.Arch, strings.Join(where, ", and through "))
	if first != nil && st.Direct && first.Direct && inspect.SameCases(st.Cases, first.Cases) {
		p.Printf("  as on %s\n", first.Arch)
	} else {
		for _, line := range caseLines(st.Arch, st.Cases) {
			p.Paragraph("    ", "  %s", line)
		}
	}
	if st.Mux != nil {
		for _, line := range caseLines(st.Arch, st.Behind) {
			p.Paragraph("    ", "  through %s: %s", st.Mux.Call, line)
		}
	}
	if first != nil && slices.Equal(st.Rules, first.Rules) {
		return
	}
	const most = 8
	for n, r := range st.Rules {
		switch {
		case r.Pos.Line == 0:
		case n < most:
			p.Paragraph("    ", "%s", p.Styled(faint, fmt.Sprintf("  %s: %s", r.Pos, r)))
		case n == most:
			p.Printf("  … and %s\n", plain.Count(len(st.Rules)-most, "more rule"))
		}
	}
}

// StoriesJSON writes monban/explain-syscall/1.
func StoriesJSON(w io.Writer, call string, stories []inspect.Story) error {
	type rule struct {
		Where string `json:"where"`
		Text  string `json:"text"`
	}
	type story struct {
		Arch    string    `json:"arch"`
		Number  *uint32   `json:"number,omitempty"`
		Action  string    `json:"action,omitempty"`
		Cases   []outcome `json:"cases,omitempty"`
		Mux     string    `json:"mux,omitempty"` // the multiplexer's call that makes it
		Through string    `json:"through,omitempty"`
		Behind  []outcome `json:"through_cases,omitempty"`
		Rules   []rule    `json:"rules,omitempty"`
	}
	out := struct {
		Call    string  `json:"call"`
		Purpose string  `json:"purpose"`
		Archs   []story `json:"archs"`
	}{call, inspect.Purpose(call), []story{}}
	for _, st := range stories {
		o := story{Arch: st.Arch.String()}
		if st.Direct {
			o.Number = &st.Number
			o.Action, o.Cases = outcomes(st.Arch, st.Cases)
		}
		if st.Mux != nil {
			o.Mux = multiplexed(*st.Mux)
			o.Through, o.Behind = outcomes(st.Arch, st.Behind)
		}
		for _, r := range st.Rules {
			if r.Pos.Line > 0 {
				o.Rules = append(o.Rules, rule{r.Pos.String(), r.String()})
			}
		}
		out.Archs = append(out.Archs, o)
	}
	return JSON(w, "explain-syscall/1", out)
}
