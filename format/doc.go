// Package format reads a gate in whatever form somebody has it: the policy language, Docker's and Podman's JSON, a raw
// BPF program, a preset. Each foreign format has a package of its own below this one; here is what tells them apart.
//
//	g, err := format.Read("docker.json", format.Options{})
//	v, err := g.Verdict()
//
// A format is recognised by the content, and forced by a prefix: oci:FILE, gate:FILE, bpf:FILE, bpf-be:FILE. A name
// that starts with @ is a preset (./@x is a file), and - is standard input.
package format
