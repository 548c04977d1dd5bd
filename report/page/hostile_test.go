package page_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"monban/abi"
	"monban/gate"
	"monban/inspect"
	"monban/internal/hostile"
	"monban/lint"
	"monban/policy/lang"
	"monban/report/page"
)

// All of a page's texts are hostile: it has the elements that it has otherwise, and no invisible characters.
func TestHostileNames(t *testing.T) {
	arch := abi.X86_64
	p, err := lang.LoadPreset("@strict", lang.Options{Archs: []abi.Arch{arch}, Native: arch})
	if err != nil {
		t.Fatal(err)
	}
	want := ""
	for _, s := range append([]string{"plain"}, hostile.Names()...) {
		var b bytes.Buffer
		p.Name = s
		e, err := inspect.Explain(gate.OfPolicy(s, p))
		if err != nil {
			t.Fatal(err)
		}
		e.Notes, e.Wordless = []string{s}, errors.New(s)
		e.Findings = []lint.Finding{{Check: lint.Check{Why: s}, Title: s, Archs: []abi.Arch{arch}}}
		if err := page.Write(&b, e); err != nil {
			t.Fatal(err)
		}
		html := b.String()
		for line := range strings.Lines(html) {
			if err := hostile.Check("| " + line); err != nil {
				t.Errorf("%q: %v", s, err)
			}
		}
		var tags strings.Builder
		for _, part := range strings.Split(html, "<")[1:] {
			tag, _, _ := strings.Cut(part, ">")
			tags.WriteString(strings.SplitN(tag, " ", 2)[0] + " ")
		}
		if want == "" {
			want = tags.String()
		}
		if tags.String() != want {
			t.Errorf("%q changes the page's elements", s)
		}
	}
}
