package format

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"monban/bpf"
	"monban/format/codec"
	"monban/gate"
	"monban/policy/lang"
)

// language is the policy language itself.
var language = codec.Format{
	Name:  "gate",
	Title: "a policy",
	About: "Monban's own policy language (docs/language.md)",
	Exts:  []string{".gate"},
	Sniff: func(src []byte) bool { return true },
	Read: func(in *codec.Input) (*gate.Gate, error) {
		p, err := lang.Load(in.Name, in.Src, policyOptions(in.Options))
		if err != nil {
			return nil, err
		}
		return &gate.Gate{Policy: p}, nil
	},
	Write: func(m *codec.Meaning) (*codec.Text, error) {
		back := m.Options
		back.Archs = nil // the text names its own, which may be more than were asked for
		return &codec.Text{Bytes: []byte(lang.Print(m.Policy)), ReadBack: &back}, nil
	},
}

// rawProgram is BPF. Without a byte order in its name, the bytes say it.
var rawProgram = bpfFormat("bpf", "a BPF program", nil)

func bpfFormat(name, title string, order binary.ByteOrder) codec.Format {
	f := codec.Format{
		Name:  name,
		Title: title, Binary: true,
		About: "struct sock_filter, raw, as bubblewrap and others take it; the byte order is the first that the kernel would admit",
		Exts:  []string{".bpf"},
		Read: func(in *codec.Input) (*gate.Gate, error) {
			order := order
			if order == nil {
				guess, err := bpf.GuessOrder(in.Src)
				if order = guess; err != nil {
					order = binary.LittleEndian // says best what is wrong
				}
			}
			p, err := bpf.Decode(in.Src, order)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", in.Name, err)
			}
			if err := p.Check(); err != nil {
				return nil, fmt.Errorf("%s: the kernel does not admit this program: %w", in.Name, err)
			}
			return &gate.Gate{Programs: []bpf.Program{p}, Order: order}, nil
		},
	}
	if order != nil {
		f.About = "the same, " + title[2:]
		return f
	}
	f.Sniff = func(src []byte) bool { return 4*bytes.Count(src, []byte{0}) > len(src) }
	f.WriteProgram = func(p *codec.Program) (*codec.Text, error) { return &codec.Text{Bytes: p.Code.Encode(p.Order)}, nil }
	return f
}

func policyOptions(o codec.Options) lang.Options {
	return lang.Options{Archs: o.Archs, Native: o.Native, ReadFile: filesOf(o).included}
}
