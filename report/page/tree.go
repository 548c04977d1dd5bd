package page

import (
	"encoding/binary"
	"fmt"

	"monban/abi"
	"monban/bpf"
	"monban/policy"
)

// A drawing is a decision tree laid out, in pixels.
type drawing struct {
	Title         string
	Width, Height int
	Boxes         []box
	Lines         []line
}

// A box is a test, an answer, or a reference to a test that is drawn elsewhere.
type box struct {
	X, Y   int // the middle of its left side
	ID     string
	Class  string // test, ref, or an action's colour
	Text   string
	Target string // of a reference
}

// A line leads from a test to what follows; Yes where the test holds.
type line struct {
	X1, Y1, X2, Y2, Mid int
	Yes                 bool
}

const (
	rowHeight = 20
	colWidth  = 230
	boxWidth  = 206
	maxBoxes  = 3000 // of a drawing; a person cannot read more
)

// draw follows a program from its first instruction; what is reached in two ways is drawn once.
func draw(p bpf.Program, order binary.ByteOrder, archs []abi.Arch) drawing {
	t := &drawer{p: p, order: order, archs: archs, drawn: map[int]bool{}}
	t.node(0, 0, state{})
	t.d.Height = t.row*rowHeight + rowHeight
	t.d.Width += colWidth
	return t.d
}

// state is what is known on the way to an instruction: the word in the accumulator, the architecture and number.
type state struct {
	word   uint32 // offset in struct seccomp_data
	masked uint32 // what the accumulator was ANDed with; 0 for not at all
	arch   uint32
	archOK bool
	nr     uint32
	nrOK   bool
}

type drawer struct {
	p     bpf.Program
	order binary.ByteOrder
	archs []abi.Arch
	drawn map[int]bool // tests, by their jump
	row   int
	d     drawing
}

// node draws what follows from an instruction, and returns where.
func (t *drawer) node(pc, depth int, s state) (x, y int) {
	for ; pc < len(t.p); pc++ {
		switch in := t.p[pc]; {
		case in.Code == bpf.LD|bpf.W|bpf.ABS:
			s.word, s.masked = in.K, 0
		case in.Code == bpf.ALU|bpf.AND|bpf.K:
			s.masked = in.K
		case in.Code == bpf.JMP|bpf.JA:
			pc += int(in.K)
		case in.Code&7 == bpf.RET:
			do := bpf.Action(in.K)
			return t.box(depth, box{Class: classOf(do.Canonical()), Text: policy.ActionOn(t.archOf(s, s.nr), do).String()})
		case in.Code&7 == bpf.JMP:
			return t.test(pc, depth, s)
		default:
			return t.box(depth, box{Class: "ref", Text: fmt.Sprintf("instruction %d: %s", pc, in)})
		}
	}
	return t.box(depth, box{Class: "ref", Text: "the end"})
}

// box puts a leaf into the next row.
func (t *drawer) box(depth int, b box) (x, y int) {
	b.X, b.Y = depth*colWidth+4, t.row*rowHeight+rowHeight
	t.row++
	t.d.Boxes = append(t.d.Boxes, b)
	t.d.Width = max(t.d.Width, b.X)
	return b.X, b.Y
}

func (t *drawer) test(pc, depth int, s state) (x, y int) {
	id := fmt.Sprintf("i%d", pc)
	if t.drawn[pc] {
		return t.box(depth, box{Class: "ref", Text: "↪ " + t.label(pc, s), Target: id})
	}
	if len(t.d.Boxes) > maxBoxes {
		return t.box(depth, box{Class: "ref", Text: "… too much to draw"})
	}
	t.drawn[pc] = true
	in := t.p[pc]
	yes := s
	if in.Code == bpf.JMP|bpf.JEQ|bpf.K {
		switch s.word {
		case bpf.OffsetArch:
			yes.arch, yes.archOK = in.K, true
		case bpf.OffsetNr:
			yes.nr, yes.nrOK = in.K, s.masked == 0 || s.masked == ^uint32(abi.X32Bit)
		}
	}
	x1, y1 := t.node(pc+1+int(in.Jt), depth+1, yes)
	x2, y2 := t.node(pc+1+int(in.Jf), depth+1, s)
	b := box{X: depth*colWidth + 4, Y: (y1 + y2) / 2, ID: id, Class: "test", Text: t.label(pc, s)}
	t.d.Boxes = append(t.d.Boxes, b)
	right := b.X + boxWidth
	t.d.Lines = append(t.d.Lines,
		line{right, b.Y, x1, y1, right + 10, true}, line{right, b.Y, x2, y2, right + 10, false})
	return b.X, b.Y
}

var relation = map[uint16]string{bpf.JEQ: "=", bpf.JGT: ">", bpf.JGE: "≥", bpf.JSET: "has any of"}

// label says what a test asks, in names where those are certain.
func (t *drawer) label(pc int, s state) string {
	in := t.p[pc]
	op := relation[in.Code&0xf0]
	value := fmt.Sprintf("%#x", in.K)
	if in.K < 1<<12 {
		value = fmt.Sprint(in.K)
	}
	arch := t.archOf(s, s.nr)
	if s.word == bpf.OffsetNr {
		arch = t.archOf(s, in.K)
	}
	switch s.word {
	case bpf.OffsetArch:
		if a, ok := abi.Of(in.K, 0); ok {
			return "arch " + op + " " + a.String()
		}
		return "arch " + op + " " + value
	case bpf.OffsetNr:
		if name, ok := arch.Name(in.K); ok {
			value += " " + name
		} else if in.K == abi.X32Bit {
			value = "x32's"
		}
		return "nr " + op + " " + value
	}
	if s.word < bpf.OffsetArgs {
		return "ip " + op + " " + value
	}
	index := int(s.word-bpf.OffsetArgs) / 8
	low, _ := bpf.ArgOffsets(index, t.order)
	name := fmt.Sprintf("arg%d", index)
	if s.nrOK {
		call, _ := arch.Name(s.nr)
		args, _ := arch.Args(call)
		for i, a := range args {
			if a.Index != index {
				continue
			}
			name = a.Name
			if s.word == low {
				named := arch.ConstantName(call, i, uint64(in.K))
				if in.Code&0xf0 == bpf.JSET {
					named, _ = arch.MaskName(call, i, uint64(in.K))
				}
				if named != "" {
					value = named
				}
			}
		}
	}
	if s.word != low {
		name += " (high)"
	}
	if s.masked != 0 {
		name += fmt.Sprintf(" & %#x", s.masked)
	}
	return name + " " + op + " " + value
}

// archOf is the architecture of a number on the way, the gate's first where nothing was asked yet.
func (t *drawer) archOf(s state, nr uint32) abi.Arch {
	if a, ok := abi.Of(s.arch, nr); ok && s.archOK {
		return a
	}
	return t.archs[0]
}

const textWidth = boxWidth - 10 // in pixels

// Short is the text as far as it fits a box; the whole is its title.
func (b box) Short() string {
	const most = 34
	r := []rune(b.Text)
	if len(r) <= most {
		return b.Text
	}
	return string(r[:most-1]) + "…"
}

// Length is how wide the text is set, in pixels: at most the box.
func (b box) Length() int { return min(textWidth, 7*len([]rune(b.Short()))) }

// Width is a box's, in pixels.
func (b box) Width() int { return boxWidth }
