package format

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"monban/abi"
	"monban/bpf"
	"monban/format/codec"
	"monban/gate"
	"monban/policy"
	"monban/policy/decompile"
	"monban/policy/lang"
)

// Every action of bpf's table is known wherever one is read or written: in the language, in assembler, in a policy made
// of a filter. A format writes it, proven, or says by its name that it has no word for it.
func TestEveryAction(t *testing.T) {
	order := binary.ByteOrder(binary.LittleEndian)
	for _, do := range bpf.Actions() {
		if do.MaxData() > 0 {
			do |= 7
		}
		text := policy.ActionOn(abi.X86_64, do).String()
		if a, err := lang.ParseAction(text); err != nil {
			t.Errorf("%s: %v", text, err)
		} else if got, err := a.On(abi.X86_64); err != nil || got != do {
			t.Errorf("%s is read as %v, %v", text, got, err)
		}
		if p, err := bpf.Assemble("a.s", strings.NewReader("ret "+do.String())); err != nil || p[0].K != uint32(do) {
			t.Errorf("%s in assembler: %v, %v", do, p, err)
		}
		var listing strings.Builder
		if err := bpf.Disassemble(&listing, bpf.Program{{Code: bpf.RET, K: uint32(do)}}, order, nil); err != nil || !strings.Contains(listing.String(), do.String()) {
			t.Errorf("%s is listed as %s, %v", do, listing.String(), err)
		}

		// It is what one call gets, among others that a format may like better or worse, and then what all others get.
		var one, others []*gate.Gate
		for _, rest := range []string{"errno(EPERM)", "kill_process"} {
			if a, _ := lang.ParseAction(rest); a.Kind != do.Kind() {
				one = append(one, gateOf(t, fmt.Sprintf("arch x86_64\ndefault %s\nunknown %[1]s\nallow read\n%s close\n", rest, text)))
			}
			for _, archs := range []string{"x86_64", "x86_64 x32"} {
				others = append(others, gateOf(t, fmt.Sprintf("arch %s\ndefault %s\nunknown %[2]s\non x86_64: allow read\non x86_64: %[3]s close\n", archs, text, rest)))
			}
		}
		for _, gates := range [][]*gate.Gate{one, others} {
			for _, g := range gates {
				decompiled(t, g, text)
			}
			for _, f := range Formats() {
				if f.Writes() {
					written(t, f, gates, do)
				}
			}
		}
	}
}

// decompiled demands that a policy made of what a gate means has an action's text.
func decompiled(t *testing.T, g *gate.Gate, text string) {
	t.Helper()
	v, err := g.Verdict()
	if err != nil {
		t.Errorf("%s: %v", text, err)
		return
	}
	p, notes, err := decompile.Policy("back", v, abi.X86_64, nil)
	if err != nil || len(notes) > 0 {
		t.Errorf("%s: %v, notes %q", text, err, notes)
		return
	}
	if again, err := p.Verdict(v.Space()); err != nil || again.Node() != v.Node() || !strings.Contains(lang.Print(p), text) {
		t.Errorf("%s: %v, in\n%s", text, err, lang.Print(p))
	}
}

// written demands that a format writes one of some gates that have an action, or says by its name that it has no word
// for it.
func written(t *testing.T, f codec.Format, gates []*gate.Gate, do bpf.Action) {
	t.Helper()
	said := false
	for _, g := range gates {
		out, err := Write(g, f, "", Options{Native: abi.X86_64})
		if errors.Is(err, errChanged) {
			t.Errorf("%s as %s: %v", do, f.Name, err)
		}
		if err != nil {
			said = said || strings.Contains(err.Error(), do.Name())
			continue
		}
		said = true
		back, err := Parse(f, "back", out.Bytes, Options{Native: abi.X86_64})
		if err != nil {
			t.Errorf("%s as %s: %v", do, f.Name, err)
			continue
		}
		v, err := g.Verdict()
		w, err2 := back.Verdict()
		if err != nil || err2 != nil {
			t.Errorf("%s as %s: %v, %v", do, f.Name, err, err2)
			continue
		}
		for _, nr := range []uint32{0, 3, 39} { // read, close, getpid
			call := bpf.Data{Arch: abi.X86_64.Token(), Nr: nr}
			if a, b := v.At(&call), w.At(&call); a != b {
				t.Errorf("%s as %s: number %d gets %s instead of %s", do, f.Name, nr, b, a)
			}
		}
	}
	if !said {
		t.Errorf("%s as %s is refused without its name", do, f.Name)
	}
}
