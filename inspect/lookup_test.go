package inspect_test

import (
	"fmt"
	"slices"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/gate"
	"monban/inspect"
	"monban/policy/lang"
)

func TestLookUp(t *testing.T) {
	for _, tt := range []struct {
		word string
		on   []abi.Arch
		want []string // nil: some
		err  string
	}{
		{"openat", nil, []string{"openat"}, ""},
		{"3", []abi.Arch{abi.X86_64, abi.X86}, []string{"close", "read"}, ""},
		{"0x3", []abi.Arch{abi.X86_64}, []string{"close"}, ""},
		{"", nil, nil, ""},
		{"@clock", nil, nil, ""},
		{"raed", nil, nil, "unknown system call raed (did you mean read?)"},
		{"99999", abi.Archs(), nil, "no architecture has a system call number 99999"},
		{"@clok", nil, nil, "unknown group @clok (did you mean @clock?)"},
	} {
		got, err := inspect.LookUp(tt.word, tt.on)
		if text := fmt.Sprint(err); tt.err != "" && text != tt.err || tt.err == "" && (err != nil || len(got) == 0) || tt.want != nil && !slices.Equal(got, tt.want) {
			t.Errorf("%q: %v, %v, want %+v", tt.word, got, err, tt)
		}
	}
}

// An architecture that makes a call by a multiplexer only has that, too.
func TestDescribe(t *testing.T) {
	e := inspect.Describe("accept", []abi.Arch{abi.X86, abi.X86_64, abi.S390X})
	if _, direct := e.Numbers[abi.X86]; direct || e.Numbers[abi.X86_64] != 43 || e.Mux[abi.X86].Call != "socketcall" || e.Mux[abi.X86].Sub != 5 || len(e.Args) != 3 {
		t.Errorf("%+v", e)
	}
	if _, muxed := e.Mux[abi.X86_64]; muxed {
		t.Errorf("%+v", e)
	}
	e = inspect.Describe("openat2", abi.Archs())
	if e.Since.String() != "5.6" || !slices.Contains(e.Groups, "@file-system") || len(e.Numbers) < 10 || len(e.Mux) != 0 {
		t.Errorf("%+v", e)
	}
}

// Filters are known by what they mean, however they were made.
func TestPresets(t *testing.T) {
	var presets inspect.Presets
	p, err := lang.LoadPreset("@strict", lang.Options{})
	if err != nil {
		t.Fatal(err)
	}
	filters, err := gate.OfPolicy("@strict", p).Filters()
	if err != nil {
		t.Fatal(err)
	}
	longer := slices.Concat(bpf.Program{{Code: bpf.LD | bpf.W | bpf.ABS, K: bpf.OffsetNr}}, filters[0])
	for _, tt := range []struct {
		programs []bpf.Program
		want     string
	}{
		{filters, "@strict"}, {filters, "@strict"}, {[]bpf.Program{longer}, "@strict"},
		{[]bpf.Program{{{Code: bpf.RET, K: uint32(bpf.Allow)}}}, ""},
	} {
		if got := presets.Name(tt.programs); got != tt.want {
			t.Errorf("%d instructions: %q, want %q", inspect.Instructions(tt.programs), got, tt.want)
		}
	}
}

// Threads with the same filters share a stack.
func TestProcess(t *testing.T) {
	allow, refuse := bpf.Program{{Code: bpf.RET, K: uint32(bpf.Allow)}}, bpf.Program{{Code: bpf.RET, K: uint32(bpf.Errno | 1)}}
	p := inspect.Process{PID: 7}
	p.Add(7, []bpf.Program{allow})
	if gates := p.Gates(); len(gates) != 1 || gates[0].Name != "pid:7" {
		t.Errorf("%+v", gates)
	}
	p.Add(8, []bpf.Program{allow, refuse})
	p.Add(9, []bpf.Program{allow})
	gates := p.Gates()
	if len(p.Stacks) != 2 || !slices.Equal(p.Stacks[0].TIDs, []int{7, 9}) || !slices.Equal(p.Stacks[1].TIDs, []int{8}) ||
		gates[0].Name != "pid:7, stack 1" || len(gates[1].Programs) != 2 {
		t.Errorf("%+v", p.Stacks)
	}
}
