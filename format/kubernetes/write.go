package kubernetes

import (
	"bytes"
	"cmp"
	"fmt"
	"math/bits"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"monban/format/codec"
	"monban/format/oci"
	"monban/format/rows"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"go.yaml.in/yaml/v3"
)

// A profile is the object as it is written.
type profile struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	Metadata   struct {
		Name string `yaml:"name"`
	} `yaml:"metadata"`
	Spec struct {
		DefaultAction specs.LinuxSeccompAction `yaml:"defaultAction"`
		Architectures []specs.Arch             `yaml:"architectures"`
		Syscalls      []syscall                `yaml:"syscalls,omitempty"`
	} `yaml:"spec"`
}

type syscall struct {
	Names    []string                 `yaml:"names"`
	Action   specs.LinuxSeccompAction `yaml:"action"`
	ErrnoRet any                      `yaml:"errnoRet,omitempty"` // a number, in v1beta1 a string
	Args     []arg                    `yaml:"args,omitempty"`
}

type arg struct {
	Index    uint                       `yaml:"index"`
	Value    uint64                     `yaml:"value"`
	ValueTwo uint64                     `yaml:"valueTwo,omitempty"`
	Op       specs.LinuxSeccompOperator `yaml:"op"`
}

func write(m *codec.Meaning) (*codec.Text, error) {
	w, err := oci.Compose(m, respell)
	if err != nil {
		return nil, err
	}
	version := cmp.Or(m.For, versions[0])
	p := &profile{APIVersion: group + "/" + version, Kind: "SeccompProfile"}
	p.Metadata.Name = name(m.Name)
	p.Spec.DefaultAction, p.Spec.Architectures = w.Profile.DefaultAction, w.Profile.Architectures
	for _, a := range p.Spec.Architectures {
		if !slices.Contains(archNames, string(a)) {
			return nil, &codec.OptionError{Option: codec.OptionFormat, Err: fmt.Errorf("the operator does not know %s (write an OCI profile)", a)}
		}
	}
	if n := w.Profile.DefaultErrnoRet; n != nil && *n != 1 {
		return nil, fmt.Errorf("numbers without a name get %s(%d), and an object has no number for its default action, which is then errno(EPERM) (write unknown errno(EPERM))",
			strings.ToLower(strings.TrimPrefix(string(p.Spec.DefaultAction), "SCMP_ACT_")), *n)
	}
	for _, c := range w.Profile.Syscalls {
		out := syscall{Names: c.Names, Action: c.Action}
		if c.ErrnoRet != nil {
			switch n := *c.ErrnoRet; {
			case n == 0:
				return nil, fmt.Errorf("%s gets %s with 0, and in an object 0 is a number that is not given (use another one)", c.Names[0], c.Action)
			case n > 4095:
				return nil, fmt.Errorf("%s gets %s with %d, and an object's numbers go to 4095 (use another one)", c.Names[0], c.Action, n)
			case version == "v1beta1":
				out.ErrnoRet = strconv.Itoa(int(n))
			default:
				out.ErrnoRet = n
			}
		}
		for _, a := range c.Args {
			out.Args = append(out.Args, arg{a.Index, a.Value, a.ValueTwo, a.Op})
		}
		p.Spec.Syscalls = append(p.Spec.Syscalls, out)
	}
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(p); err != nil {
		return nil, err
	}
	return &codec.Text{Bytes: b.Bytes(), Notes: w.Notes, ReadBack: &w.ReadBack}, enc.Close()
}

// respell says a test in numbers below 2^63.
func respell(t rows.Test) ([]rows.Test, error) {
	const sign = 1 << 63
	switch {
	case (t.Mask|t.Value)&sign == 0:
		return []rows.Test{t}, nil
	case t.Op == rows.GE && t.Value == sign:
		return []rows.Test{{Arg: t.Arg, Op: rows.GT, Value: sign - 1}}, nil
	case t.Op == rows.LT && t.Value == sign:
		return []rows.Test{{Arg: t.Arg, Op: rows.LE, Value: sign - 1}}, nil
	case t.Op == rows.MaskedEQ && t.Value&sign == 0 && 64-bits.OnesCount64(t.Mask) <= 10:
		// Few values: each alone.
		var list []rows.Test
		for sub := ^t.Mask; ; sub = (sub - 1) &^ t.Mask {
			list = append(list, rows.Test{Arg: t.Arg, Op: rows.EQ, Value: t.Value | sub})
			if sub == 0 {
				slices.Reverse(list)
				return list, nil
			}
		}
	}
	return nil, &codec.OptionError{Option: codec.OptionFormat, Err: fmt.Errorf("an object has no numbers above 2^63-1, so it cannot say %s (write an OCI profile)", t)}
}

// name is a name that Kubernetes takes, from the gate's: lower-case letters, digits, dashes and dots.
func name(gate string) string {
	base := strings.ToLower(strings.TrimPrefix(filepath.Base(gate), "@"))
	base = strings.TrimSuffix(base, filepath.Ext(base))
	base = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, base)
	return cmp.Or(strings.Trim(base[:min(len(base), 63)], "-"), "monban")
}
