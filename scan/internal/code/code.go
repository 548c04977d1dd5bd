// Package code reads the machine code of an image once: where functions begin, what each of them calls, mentions and
// writes, where its jump tables lead, and where its system calls are.
package code

import (
	"context"
	"slices"

	"monban/scan/internal/decode"
	"monban/scan/internal/image"
)

// Code is an image with its code taken apart.
type Code struct {
	*image.Image
	Order int // among the images of a program

	starts    []uint64        // of functions, sorted
	parts     []*Part         // by starts
	gap       map[uint64]bool // starts of code that no table knows; it may hold several functions
	mentioned []uint64        // addresses that code or a pointer mentions, sorted
	objects   []uint64        // where objects of data begin, sorted
}

// A Place is an address in an image.
type Place struct {
	Code *Code
	Addr uint64
}

// A Part is the code between where one function starts and where the next one does, and what leads out of it.
type Part struct {
	Code     *Code
	Start    uint64
	End      uint64
	Edges    []Edge
	Refs     []uint64 // addresses that it mentions, sorted
	Addrs    []uint64 // those that it does not only read or write
	Writes   []Write
	Syscalls []uint64
	Foreign  []uint64 // calls by another architecture's rules
	Indirect bool     // it jumps to where a register or a table says

	tables []uint64 // nil until that was looked for; likewise
	blocks []uint64
}

// An Edge leads to another part: to an address, or to what a pointer holds.
type Edge struct {
	From uint64 // the instruction
	To   uint64
	Slot uint64
	Call bool // else a jump, or running on over the end
}

// A Write stores something to a fixed address.
type Write struct {
	From, To uint64
	Width    uint8 // bytes
}

// Read takes the code of an image apart. It fails with the context's error.
func Read(ctx context.Context, m *image.Image) (*Code, error) {
	c := &Code{Image: m, gap: map[uint64]bool{}}
	c.functions()
	if err := c.sweep(ctx); err != nil {
		return nil, err
	}
	c.objects = c.boundaries()
	return c, nil
}

// Decode is the instruction at an address; false where there is no code.
func (m *Code) Decode(addr uint64) (i decode.Inst, ok bool) {
	b, s := m.At(addr)
	if s == nil || !s.Exec {
		return i, false
	}
	return m.Machine.Decode(b, addr, m.Fixed), true
}

// Part is the part that an address lies in, nil where there is none.
func (m *Code) Part(addr uint64) *Part {
	if !m.IsCode(addr) {
		return nil
	}
	k, found := slices.BinarySearch(m.starts, addr)
	if !found {
		k--
	}
	if k < 0 {
		return nil
	}
	return m.parts[k]
}

// Name is the name of the function that a part is, or its address.
func (p *Part) Name() string { return p.Code.Function(p.Start) }

// Place is where a part starts.
func (p *Part) Place() Place { return Place{p.Code, p.Start} }

// Starts says that a function starts at an address of the part, as far as is known.
func (p *Part) Starts(addr uint64) bool { return p.Start == addr || p.Code.gap[p.Start] }

// Has says that an address lies in the part.
func (p *Part) Has(addr uint64) bool { return addr >= p.Start && addr < p.End }

// untilMentioned cuts memory off where something else that is mentioned begins.
func (m *Code) untilMentioned(b []byte, addr uint64) []byte {
	if k, _ := slices.BinarySearch(m.mentioned, addr+1); k < len(m.mentioned) {
		b = b[:min(uint64(len(b)), m.mentioned[k]-addr)]
	}
	return b
}

// Texts are the strings of at most so many bytes from an address on up to what is mentioned next: names may lie within
// structures and arrays.
func (m *Code) Texts(addr uint64, longest int, yield func(string)) {
	b, s := m.At(addr)
	if s == nil || s.Exec {
		return
	}
	const most = 4096 // what is longer is not a table of names
	b = m.untilMentioned(b, addr)
	b = b[:min(len(b), most)]
	printable := func(c byte) bool { return c > ' ' && c < 0x7f }
	for k := range b {
		if printable(b[k]) && (k == 0 || !printable(b[k-1]) && b[k-1] != ' ') {
			if s := m.Text(addr+uint64(k), longest); s != "" {
				yield(s)
			}
		}
	}
}
