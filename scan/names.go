package scan

import (
	"bytes"
	"slices"
)

// lookUps follows the names that are given to dlsym, as far as they can be traced. Who gives it others may look up any name that
// his image mentions.
func (g *graph) lookUps() {
	if len(g.dlsyms) == 0 {
		return
	}
	r := newResolver(g)
	var names []origin
	r.found = func(at spot, c int64) {
		if name := at.part.image.text(uint64(c), longestName); name != "" {
			names = append(names, origin{at.part, name})
		}
	}
	for f := range g.dlsyms {
		r.queue = append(r.queue, demand{f, param{reg: f.image.mach.second}})
	}
	r.run()
	for _, n := range names {
		g.lookUp(n.how, origin{n.from, "looks up by name"})
	}
	for at := range r.unknown {
		if at.part.image.partAt(at.addr) != nil && !g.dlsyms[place{at.part.image, at.addr}] {
			g.lookups[at.part.image] = true
			if r.unknown[at] != composed { // no name of a whole function stands anywhere then
				g.byName(at.part.image)
			}
		}
	}
}

// byName takes every symbol whose name is mentioned by code or data of an image, as far as it is reached, for one that the image looks up
// by dlsym.
func (g *graph) byName(m *image) {
	if g.named[m] {
		return
	}
	g.named[m] = true
	for _, p := range g.order {
		if p.image == m {
			g.mentions(m, p.refs...)
		}
	}
	for _, p := range m.pointers {
		if p.symbol == "" && g.chunks[place{m, g.chunk(m, p.at)}] {
			g.mentions(m, p.addr)
		}
	}
}

// mentions looks up what stands at addresses, if the image looks up by name.
func (g *graph) mentions(m *image, addrs ...uint64) {
	if !g.named[m] {
		return
	}
	for _, a := range addrs {
		m.texts(a, func(s string) { g.lookUp(s, origin{how: "looked up by its name, which stands in " + m.name}) })
	}
}

// texts are the strings from an address on up to what is mentioned next: names may lie within structures and arrays.
func (m *image) texts(addr uint64, yield func(string)) {
	b, s := m.at(addr)
	if s == nil || s.exec {
		return
	}
	if k, _ := slices.BinarySearch(m.mentioned, addr+1); k < len(m.mentioned) {
		b = b[:min(uint64(len(b)), m.mentioned[k]-addr)]
	}
	const most = 4096 // what is longer is no table of names
	b = b[:min(len(b), most)]
	printable := func(c byte) bool { return c > ' ' && c < 0x7f }
	for k := 0; k < len(b); k++ {
		if printable(b[k]) && (k == 0 || !printable(b[k-1]) && b[k-1] != ' ') {
			if s := m.text(addr+uint64(k), longestName); s != "" {
				yield(s)
			}
		}
	}
}

// lookUp follows what a name stands for, in all images.
func (g *graph) lookUp(name string, o origin) {
	for _, m := range g.images {
		for _, e := range m.exports[name] {
			g.point(m, e.addr, o)
		}
	}
}

// longestName is how long the names are that are looked up, in bytes.
const longestName = 255

// text is the string at an address, "" where none of at most so many bytes stands.
func (m *image) text(addr uint64, most int) string {
	b, _ := m.at(addr)
	return string(b[:max(0, bytes.IndexByte(b[:min(len(b), most+1)], 0))])
}
