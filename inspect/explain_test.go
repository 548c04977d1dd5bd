package inspect_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/gate"
	"monban/inspect"
	"monban/lint"
	"monban/policy/decompile"
	"monban/verdict"
)

// An explanation is the same for a policy and for what it compiles to, but for the words.
func TestExplain(t *testing.T) {
	g := load(t, "web.gate", web)
	for _, g := range []*gate.Gate{g, filters(t, g)} {
		e, err := inspect.Explain(g)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(e.Archs, []abi.Arch{abi.X86_64, abi.X86}) || len(e.Views) != 2 || e.Policy == nil || e.Wordless != nil || len(e.Notes) != 0 {
			t.Errorf("%s: %v, %d views, %v, %v", g.Name, e.Archs, len(e.Views), e.Wordless, e.Notes)
		}
		if !e.Told || e.Elsewhere != bpf.KillProcess {
			t.Errorf("%s: elsewhere %v, %v", g.Name, e.Elsewhere, e.Told)
		}
		for _, v := range e.Views {
			if v.Known == nil || v.Known.Equal || len(v.Known.Fewer) < 100 {
				t.Errorf("%s: compared on %s: %+v", g.Name, v.Arch, v.Known)
			}
		}
		for _, f := range e.Findings {
			if f.Severity < lint.Medium {
				t.Errorf("%s: %s is not worth saying", g.Name, f.ID)
			}
		}
		if d, err := inspect.Diff(g, gate.OfPolicy("words", e.Policy)); err != nil || !d.Holds() {
			t.Errorf("%s: its words mean something else: %+v, %v", g.Name, d, err)
		}
	}
}

// What has no form in the language is said to have none; a policy's own words stand for it.
func TestWords(t *testing.T) {
	for _, tt := range []struct {
		g        *gate.Gate
		note     string
		wordless bool
	}{
		{load(t, "a.gate", "arch x86_64\nallow mmap("+equal(8)+")\n"), "", false},
		{assemble(t, "b.bpf", "ld [nr]\njeq #1, 2, 3\nret errno(1)\nret allow\n"), "architectures other than those named below are not refused", false},
		{assemble(t, "c.bpf", "ld [arch]\njeq #0xc000003e, 2, 6\nld [nr]\njset #1, 4, 5\nret errno(1)\nret allow\nret kill_process\n"), "", true},
	} {
		p, notes, err := inspect.Words(tt.g)
		if errors.Is(err, decompile.ErrNotPolicy) != tt.wordless || !tt.wordless && (err != nil || p == nil) || strings.Join(notes, "") == "" != (tt.note == "") {
			t.Errorf("%s: %v, %v", tt.g.Name, notes, err)
		}
		if len(notes) > 0 && !strings.HasPrefix(notes[0], tt.note) {
			t.Errorf("%s: %v", tt.g.Name, notes)
		}
		e, err := inspect.Explain(tt.g)
		if err != nil {
			t.Fatal(err)
		}
		if (e.Wordless != nil) != tt.wordless || (e.Policy == nil) != tt.wordless || len(e.Archs) == 0 || len(e.Views) != len(e.Archs) {
			t.Errorf("%s: %v", tt.g.Name, e.Wordless)
		}
	}
	tooComplex := load(t, "d.gate", "arch x86_64\nallow mmap("+equal(8)+")\n").In(verdict.NewSpace(500))
	if _, err := inspect.Explain(tooComplex); !isComplex(err, "d.gate") {
		t.Errorf("%v", err)
	}
}
