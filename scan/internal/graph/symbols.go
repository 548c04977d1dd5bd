package graph

import (
	"monban/scan/internal/code"
	"monban/scan/internal/image"
)

// longestName is how long the names are that are looked up, in bytes.
const longestName = 255

// A definition is what a symbol means.
type definition struct {
	code *code.Code
	image.Export
}

// lookup is where a symbol is defined: in the first image that has it, as at run time. Modules see each other's symbols
// only in part, so all that modules define counts where nothing else does.
func (g *Graph) lookup(p image.Pointer) (found []definition) {
	for k, m := range g.Codes {
		if k >= g.shared || len(found) == 0 {
			for _, e := range m.Defined(p) {
				found = append(found, definition{m, e})
			}
		}
		if k+1 == g.shared && len(found) > 0 {
			break
		}
	}
	return found
}

// targets are what a symbol means, and notes what else its name says.
func (g *Graph) targets(m *code.Code, p image.Pointer) (out []code.Place) {
	found := g.lookup(p)
	switch p.Symbol {
	case "dlsym", "dlvsym":
		for _, d := range found {
			if d.code != m && d.code.Part(d.Addr) != nil {
				g.Dlsyms[code.Place{Code: d.code, Addr: d.Addr}] = true
			}
		}
	case "dlopen", "dlmopen":
		g.Loads[m] = true
	}
	if len(found) == 1 && found[0].code == m && found[0].Data && found[0].Addr == p.At { // copied from a library when the program starts
		for _, other := range g.Codes {
			if all := other.Exports[p.Symbol]; other != m && all != nil {
				found = nil
				for _, e := range all {
					found = append(found, definition{other, e})
				}
				break
			}
		}
	}
	if len(found) == 0 && p.Addr != 0 {
		return []code.Place{{Code: m, Addr: p.Addr}}
	}
	for _, d := range found {
		out = append(out, code.Place{Code: d.code, Addr: d.Addr})
	}
	return out
}

// LookUp follows what a name stands for, in all images.
func (g *Graph) LookUp(name string, o Origin) {
	for _, m := range g.Codes {
		for _, e := range m.Exports[name] {
			g.point(m, e.Addr, o)
		}
	}
}

// ByName takes every symbol whose name is mentioned by code or data of an image, as far as it is reached, for one that
// the image looks up by dlsym.
func (g *Graph) ByName(m *code.Code) {
	if g.named[m] {
		return
	}
	g.named[m] = true
	for _, p := range g.Order {
		if p.Code == m {
			g.mentions(m, p.Refs...)
		}
	}
	for _, p := range m.Pointers {
		if p.Symbol == "" && g.isData(m, p.At) {
			g.mentions(m, p.Addr)
		}
	}
}

// mentions looks up what stands at addresses, if the image looks up by name.
func (g *Graph) mentions(m *code.Code, addrs ...uint64) {
	if !g.named[m] {
		return
	}
	for _, a := range addrs {
		m.Texts(a, longestName, func(s string) { g.LookUp(s, Origin{How: "looked up by its name, which stands in " + m.Name}) })
	}
}
