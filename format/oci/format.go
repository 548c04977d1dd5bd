package oci

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"monban/format/codec"
	"monban/gate"
	"monban/policy"
)

// Format reads and writes profiles.
func Format() codec.Format {
	return codec.Format{
		Name:  "oci",
		Title: "an OCI profile",
		About: "seccomp profiles in JSON: Docker, Podman, CRI-O, containerd, Kubernetes (Localhost)",
		Exts:  []string{".json"},
		Sniff: func(src []byte) bool {
			return bytes.HasPrefix(bytes.TrimLeft(src, " \t\r\n\ufeff"), []byte("{"))
		},
		Read:  read,
		For:   []string{"docker", "podman", "containerd", "kubernetes"},
		Write: write,
	}
}

func read(in *codec.Input) (*gate.Gate, error) {
	o := Options{Caps: in.Caps, Archs: in.Archs, Kernel: in.Kernel, Runtime: in.Runtime}
	if in.Archs == nil {
		o.Native = &in.Native // otherwise the architectures asked for say which machine it is for
	}
	p, report, err := Parse(in.Name, in.Src, o)
	if err != nil {
		return nil, err
	}
	return report.Gate(p, "runc does")
}

// Gate is the gate of a profile, with all that was noticed in it; as says who else ignores what is unknown, and first
// are notes of its reader's own.
func (r *Report) Gate(p *policy.Policy, as string, first ...string) (*gate.Gate, error) {
	return &gate.Gate{Policy: p, Notes: append(first, r.all(as)...), Unknown: r.Unknown, Repeated: r.Repeated}, p.Check()
}

// all are the notes on everything in a report.
func (r *Report) all(as string) []string {
	var more codec.Notes
	if len(r.Unknown) > 0 {
		more.Add(policy.Pos{}, "ignored, as %s, because no architecture here has them: %s", as, someOf(r.Unknown))
	}
	for _, s := range r.Overlaps {
		more.Add(policy.Pos{}, "overlapping rules: %s", s)
	}
	return append(slices.Clone(r.Notes), more.List()...)
}

// someOf joins names, of many the first few.
func someOf(names []string) string {
	const most = 8
	if len(names) <= most {
		return strings.Join(names, " ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], " "), len(names)-most)
}
