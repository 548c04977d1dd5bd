package minijail

import (
	"bytes"
	"fmt"
	"slices"

	"monban/abi"
	"monban/bpf"
	"monban/format/codec"
	"monban/gate"
	"monban/policy"
)

// Format reads and writes policies.
func Format() codec.Format {
	return codec.Format{
		Name:  "minijail",
		Title: "a minijail policy",
		About: "minijail's policies: crosvm, ChromiumOS, Android",
		Exts:  []string{".policy"},
		Sniff: sniff,
		Read:  read,
		Write: write,
	}
}

var line = codec.Lazy(`^(@(include|frequency) +\.?/|@default +[a-z]|@denylist$|\{? *[a-z_][a-z_0-9]*(\[[^]]*\])? *: *(1|allow|kill|return|trap|trace|log|user-notify|arg[0-9]|\{))`)

// sniff looks at the first line that says something.
func sniff(src []byte) bool {
	for l := range bytes.SplitSeq(src, []byte("\n")) {
		if l = bytes.TrimSpace(l); len(l) > 0 && l[0] != '#' {
			return line().Match(l)
		}
	}
	return false
}

func read(in *codec.Input) (*gate.Gate, error) {
	archs := in.Archs
	if archs == nil {
		archs = []abi.Arch{in.Native}
	}
	if slices.Contains(archs, abi.X32) {
		return nil, fmt.Errorf("%s: minijail does not know x32: its numbers get x86_64's default", in.Name)
	}
	var given *constants
	if in.Constants != "" {
		if in.ReadFile == nil {
			return nil, &codec.OptionError{Option: codec.OptionConstants, Err: fmt.Errorf("the constants, %s: there are no files here", in.Constants)}
		}
		src, err := in.ReadFile(in.Constants)
		if err != nil {
			return nil, &codec.OptionError{Option: codec.OptionConstants, Err: fmt.Errorf("the constants, %s: %w", in.Constants, err)}
		}
		if given, err = readConstants(in.Constants, src); err != nil {
			return nil, err
		}
	}
	out := &policy.Policy{Name: in.Name, Archs: archs, BadArch: policy.Action{Kind: bpf.KillThread}, Compare64: true}
	for i, a := range archs {
		r := &reader{
			arch: a, constants: given, readFile: in.ReadFile, files: []string{in.Name}, byDefault: kill, calls: map[string]*call{},
		}
		if err := r.text(in.Name, in.Src); err != nil {
			return nil, err
		}
		if i > 0 && r.byDefault != out.Default {
			return nil, &codec.OptionError{Option: codec.OptionArchs, Err: fmt.Errorf("%s: its default is not the same on %s as on %s: read it for one", in.Name, a, archs[0])}
		}
		out.Default, out.Unknown = r.byDefault, r.byDefault
		for _, name := range r.order {
			for _, rule := range r.calls[name].rules {
				if len(archs) > 1 || a == abi.X86_64 {
					rule.Archs = []abi.Arch{a}
				}
				out.Rules = append(out.Rules, rule)
			}
		}
		if a == abi.X86_64 {
			// Minijail takes x32's numbers for ones of x86_64 that nobody has: they get the default.
			out.Archs = append(out.Archs[:len(out.Archs):len(out.Archs)], abi.X32)
		}
	}
	return &gate.Gate{Policy: out}, out.Check()
}
