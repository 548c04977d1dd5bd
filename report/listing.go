package report

import (
	"encoding/binary"
	"io"
	"slices"
	"strings"

	"monban/bpf"
	"monban/internal/plain"
)

// ListingText writes programs that are installed together, the oldest first, instruction by instruction, as
// bpf.Assemble reads them.
func ListingText(w io.Writer, name string, programs []bpf.Program, order binary.ByteOrder) error {
	p := Options{}.printer(w)
	for i, program := range programs {
		if i > 0 {
			p.Printf("\n")
		}
		if len(programs) > 1 {
			p.Printf("; filter %d of %d, the oldest first: %s\n", i+1, len(programs), plain.Count(len(program), "instruction"))
		} else {
			p.Printf("; %s: %s\n", name, plain.Count(len(program), "instruction"))
		}
		// The listing itself says its byte order only where it loads halves of arguments; whoever reads it wants to
		// know it in any case.
		if order == binary.ByteOrder(binary.BigEndian) && !slices.ContainsFunc(program, loadsHalf) {
			p.Printf(".order big\n")
		}
		p.Text(disassembled(program, order))
	}
	return p.Err()
}

func loadsHalf(ins bpf.Instruction) bool {
	return ins.Code == bpf.LD|bpf.W|bpf.ABS && ins.K >= bpf.OffsetIP
}

// disassembled is a program's listing, with names.
func disassembled(p bpf.Program, order binary.ByteOrder) string {
	var b strings.Builder
	if err := bpf.Disassemble(&b, p, order, namer{}); err != nil {
		panic(err) // a Builder takes everything
	}
	return b.String()
}

// A listing is a program for machines.
type listing struct {
	Order        string        `json:"order"` // little or big
	Instructions []instruction `json:"instructions"`
}

type instruction struct {
	Code uint16 `json:"code"`
	Jt   uint8  `json:"jt"`
	Jf   uint8  `json:"jf"`
	K    uint32 `json:"k"`
	Text string `json:"text"`
}

func listings(programs []bpf.Program, order binary.ByteOrder) []listing {
	var all []listing
	for _, p := range programs {
		l := listing{Order: "little"}
		if order == binary.ByteOrder(binary.BigEndian) {
			l.Order = "big"
		}
		for _, ins := range p {
			l.Instructions = append(l.Instructions, instruction{ins.Code, ins.Jt, ins.Jf, ins.K, ins.String()})
		}
		all = append(all, l)
	}
	return all
}

// ListingJSON writes monban/disasm/1.
func ListingJSON(w io.Writer, programs []bpf.Program, order binary.ByteOrder) error {
	return JSON(w, "disasm/1", map[string]any{"filters": listings(programs, order)})
}
