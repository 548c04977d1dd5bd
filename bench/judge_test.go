package main

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"monban/bpf"
)

// A program that differs from its policy in one call is told, with that call.
func TestJudge(t *testing.T) {
	all, err := mobyRules()
	if err != nil {
		t.Fatal(err)
	}
	r := all[0]
	p, err := monban(false).build(r)
	if err != nil {
		t.Fatal(err)
	}
	if j, err := judge(r, nil, false, p.program); err != nil || !j.equal || j.text != "yes" {
		t.Errorf("Monban's own program: %+v %v", j, err)
	}
	wrong := append(bpf.Program{
		{Code: bpf.LD | bpf.ABS, K: bpf.OffsetNr},
		{Code: bpf.JMP | bpf.JEQ, Jf: 1, K: 169},
		{Code: bpf.RET, K: uint32(bpf.Allow)},
	}, p.program...)
	j, err := judge(r, nil, false, wrong)
	want := "**no**, 1 call: reboot(magic=0, magic2=0, cmd=LINUX_REBOOT_CMD_CAD_OFF, arg=0) gets allow, not errno(1)"
	if err != nil || j.equal || j.text != want {
		t.Errorf("a program that allows reboot: %+v %v, want %s", j, err, want)
	}
}

// The tables and the chart of a small section: what a compiler could not do is told, figures are multiples of Monban's
// for the same meaning, and everything fits.
func TestTables(t *testing.T) {
	row := func(name string, runc bool, length int, ns ...float64) *result {
		x := &result{compiler: compiler{name: name, runc: runc}, took: ns, judgement: judgement{equal: true, text: "yes"}}
		x.stats.Length, x.stats.MeanUncached = length, float64(length)/10
		return x
	}
	cannot := row("unable", false, 0)
	cannot.err = fmt.Errorf("policy: %w: anything", errCannot)
	wrong := row("elastic/go-seccomp-bpf", false, 70, 1000, 1000, 1000)
	wrong.equal = false
	s := &section{title: "a <policy>", rows: []*result{
		row(monbanName, false, 20, 1000, 2000, 6000),
		row("other", false, 50, 3000, 6000, 20000),
		cannot, wrong,
		row(monbanRuncName, true, 25, 1000, 1000, 1000),
		row("runc", true, 400, 1000, 1000, 1000),
	}}
	text := s.programs().String()
	for _, want := range []string{
		"| 20 ", "| 2 µs ", "| 2.5× (50) ", "| 3.0× (6 µs) ", "– (it cannot: anything)", "| 25 ", "| 16× (400) ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if err := s.wrongs(); err != nil {
		t.Errorf("nothing is wrong but %v", err)
	}
	s.rows[0].equal = false
	if s.wrongs() == nil {
		t.Error("a wrong program of Monban's passed")
	}
	s.rows[0].equal = true
	s.rows[1].err = errors.New("broken")
	if s.wrongs() == nil {
		t.Error("a compiler that failed passed")
	}
	s.rows[1].err = nil

	drawn := chart(s)
	for d := xml.NewDecoder(strings.NewReader(drawn)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, drawn)
		}
	}
	for _, want := range []string{"a &lt;policy&gt;", "elastic/go-seccomp-bpf (wrong)", ">400<", ">6 µs<"} {
		if !strings.Contains(drawn, want) {
			t.Errorf("no %q in\n%s", want, drawn)
		}
	}
	if strings.Contains(drawn, "unable") {
		t.Error("the chart shows what was not compiled")
	}
	const perLetter = 8 // pixels, on the generous side
	for _, p := range panels {
		if len(p.title)*perLetter > chartPanel {
			t.Errorf("the title %q is too long", p.title)
		}
	}
	for _, c := range compilers() {
		if len(c.name+" (wrong)")*perLetter > chartLabels {
			t.Errorf("the name %q is too long", c.name)
		}
	}
}

// Each round's own ratio counts: a round in which the machine was slow for both changes nothing.
func TestRatio(t *testing.T) {
	if got := ratio([]float64{3, 300, 5, 4}, []float64{1, 100, 1, 2}); got != 3 {
		t.Errorf("ratio %v, want 3", got)
	}
}

// The program that runc would load is caught, as often as one likes: none is ever installed.
func TestCatch(t *testing.T) {
	all, err := mobyRules()
	if err != nil {
		t.Fatal(err)
	}
	b, err := runcCompiler().build(all[0])
	if err != nil {
		t.Fatal(err)
	}
	if j, err := judge(all[0], b.unknown, true, b.program); err != nil || !j.equal || b.took <= 0 {
		t.Errorf("%d instructions after %v: %+v %v", len(b.program), b.took, j, err)
	}
	again, err := runcCompiler().build(all[0])
	if err != nil || len(again.program) != len(b.program) {
		t.Errorf("the second time %d instructions, not %d: %v", len(again.program), len(b.program), err)
	}
}
