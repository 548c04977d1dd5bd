package oci

import (
	"bytes"
	"fmt"
	"strings"

	"monban/format/codec"
)

// Format reads and writes profiles.
var Format = codec.Format{
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

func read(in *codec.Input) (*codec.Parsed, error) {
	o := Options{Caps: in.Caps, Archs: in.Archs, Kernel: in.Kernel, Runtime: in.Runtime}
	if in.Archs == nil {
		o.Native = &in.Native // otherwise the architectures asked for say which machine it is for
	}
	p, report, err := Parse(in.Name, in.Src, o)
	if err != nil {
		return nil, err
	}
	out := &codec.Parsed{Policy: p, Notes: report.Notes, Unknown: report.Unknown, Repeated: report.Repeated}
	if len(report.Unknown) > 0 {
		out.Notes = append(out.Notes, "passed over, as runc does, because no architecture here has them: "+someOf(report.Unknown))
	}
	for _, s := range report.Overlaps {
		out.Notes = append(out.Notes, fmt.Sprintf("overlapping rules: %s", s))
	}
	return out, p.Check()
}

// someOf joins names, of many the first few.
func someOf(names []string) string {
	const most = 8
	if len(names) <= most {
		return strings.Join(names, " ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], " "), len(names)-most)
}
