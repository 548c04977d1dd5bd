package inspect

import (
	"slices"

	"monban/abi"
	"monban/bpf"
	"monban/format"
	"monban/gate"
	"monban/policy/lang"
	"monban/verdict"
)

// Presets recognise filters that mean what a preset means on this machine. The zero value knows them all, and looks at
// each different stack of filters once.
type Presets struct {
	space *verdict.Space
	known []preset
	seen  []recognised
}

type preset struct {
	name    string
	verdict verdict.Verdict
}

type recognised struct {
	programs []bpf.Program
	name     string
}

// Name is the preset that a stack of filters of this machine equals, the oldest first: @container, or docker, which is
// the same as a container runtime compiles it; "" where it equals none.
func (n *Presets) Name(programs []bpf.Program) string {
	for _, s := range n.seen {
		if SameStack(s.programs, programs) {
			return s.name
		}
	}
	if n.space == nil {
		n.load()
	}
	name := ""
	if v, err := n.space.OfStack(programs, abi.Native().ByteOrder()); err == nil {
		for _, p := range n.known {
			if p.verdict == v {
				name = p.name
			}
		}
	}
	n.seen = append(n.seen, recognised{programs, name})
	return name
}

// SameStack says that two stacks have the same instructions.
func SameStack(a, b []bpf.Program) bool {
	return slices.EqualFunc(a, b, func(p, q bpf.Program) bool { return slices.Equal(p, q) })
}

// load reads the presets as Monban compiles them here, and Docker's as runc does.
func (n *Presets) load() {
	n.space = verdict.NewSpace(verdict.DefaultBudget)
	for _, name := range lang.Presets() {
		g, err := format.Read(name, format.Options{})
		if err != nil {
			continue // not for this architecture
		}
		n.add(name, g)
		if name != WellKnown {
			continue
		}
		oci, _ := format.Find("oci")
		text, err := format.Write(g, oci, "docker", format.Options{})
		if err != nil {
			continue
		}
		if g, err = format.Parse(oci, name, text.Bytes, format.Options{Runtime: "runc"}); err == nil {
			n.add("docker", g)
		}
	}
}

func (n *Presets) add(name string, g *gate.Gate) {
	if v, err := g.In(n.space).Verdict(); err == nil {
		n.known = append(n.known, preset{name, v})
	}
}
