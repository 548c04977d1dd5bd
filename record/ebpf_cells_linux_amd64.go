package record

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"sync/atomic"

	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"monban/abi"
	"monban/bpf"
)

// A cell counts a call by programs of one name, or a value of one of its arguments. Cells are taken as they are needed,
// for good. Where to look for one a hash says, with keys of this recording's own: nobody can aim at a place. Whether a
// cell is the right one all of what it stands for says, and no hash.
type cell struct {
	count uint64
	call  uint64   // number, compatBit, and from indexBit on 1, for a value its argument's index + 2; 0: free, busy: being taken
	what  [16]byte // a program's name, or a value
}

const (
	cellBits   = 15            // cells for calls, and as many for values
	firstValue = 1 << cellBits // so that too many values lose no call
	allCells   = 2 << cellBits

	// Places in a cell.
	inCount, inCall, inWhat = 0, 8, 16

	// Places in its call.
	indexBit  = 32
	compatBit = 63

	busy = 1 << 62

	// tries is how many places a cell may have. With half of them taken, one in 256 finds none.
	tries = 8
)

// newKeys are odd: then each bit of what they are multiplied by tells.
func newKeys() (keys [4]uint64) {
	var b [8 * len(keys)]byte
	rand.Read(b[:]) //nolint:errcheck // it never fails
	for i := range keys {
		keys[i] = binary.NativeEndian.Uint64(b[8*i:]) | 1
	}
	return keys
}

// hash adds a part of what a cell stands for, in R2, to the hash in R7, using R3.
func (r *recorder) hash(part int) asm.Instructions {
	return asm.Instructions{asm.LoadImm(asm.R3, int64(r.keys[part]), asm.DWord), asm.Mul.Reg(asm.R2, asm.R3), asm.Add.Reg(asm.R7, asm.R2)}
}

// count adds one to the cell of the entry on the stack, whose hash is in R7, among the cells from first on. It goes on
// at next, which has to follow.
func (r *recorder) count(first int32, next string) asm.Instructions {
	search := "search for " + next
	code := concat(asm.Instructions{asm.Mov.Reg(asm.R1, asm.R7), asm.RSh.Imm(asm.R1, 64-cellBits), asm.Add.Imm(asm.R1, first)}, element(r.cells, next))
	for i := int16(0); i < 24; i += 8 {
		code = append(code, asm.LoadMem(asm.R1, asm.R0, inCall+i, asm.DWord), asm.LoadMem(asm.R2, asm.RFP, onEntry+i, asm.DWord), asm.JNE.Reg(asm.R1, asm.R2, search))
	}
	return concat(code, asm.Instructions{
		asm.Mov.Imm(asm.R1, 1), atomically(asm.AddAtomic, asm.R0, asm.R1, inCount), asm.Ja.Label(next),
		asm.Mov.Reg(asm.R1, asm.R7).WithSymbol(search), asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, onEntry),
		asm.Mov.Imm(asm.R3, first), asm.Call.Label("search"),
	})
}

// search is a function: it counts the entry whose hash is in R1 and whose address in R2 where it has a cell among those
// from R3 on, or takes a free one for it. A cell that another processor is just taking may be for the same: then there
// will be two, and both count.
//
// In registers: R6 the place, R7 the entry, R8 the first cell, R9 how far it is to the next place.
func (r *recorder) search() asm.Instructions {
	code := asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1).WithSymbol("search"), asm.RSh.Imm(asm.R6, 64-cellBits), asm.Mov.Reg(asm.R7, asm.R2), asm.Mov.Reg(asm.R8, asm.R3),
		asm.Mov.Reg(asm.R9, asm.R1), asm.RSh.Imm(asm.R1, 32), asm.Xor.Reg(asm.R9, asm.R1), asm.LoadImm(asm.R1, int64(r.keys[3]), asm.DWord),
		asm.Mul.Reg(asm.R9, asm.R1), asm.RSh.Imm(asm.R9, 64-cellBits), asm.Or.Imm(asm.R9, 1),
	}
	for n := range tries {
		taken, next := fmt.Sprint("taken", n), fmt.Sprint("next", n)
		code = concat(code, asm.Instructions{asm.Mov.Reg(asm.R1, asm.R6), asm.Add.Reg(asm.R1, asm.R8)},
			element(r.cells, "return"), asm.Instructions{
				asm.Mov.Reg(asm.R3, asm.R0), asm.LoadMem(asm.R0, asm.R3, inCall, asm.DWord), asm.JNE.Imm(asm.R0, 0, taken),
				asm.LoadImm(asm.R1, busy, asm.DWord), atomically(asm.CmpXchg, asm.R3, asm.R1, inCall), asm.JEq.Imm(asm.R0, 0, "free"),
				asm.LoadMem(asm.R1, asm.R7, 0, asm.DWord).WithSymbol(taken), asm.JNE.Reg(asm.R0, asm.R1, next),
				asm.LoadMem(asm.R0, asm.R3, inWhat, asm.DWord), asm.LoadMem(asm.R1, asm.R7, 8, asm.DWord), asm.JNE.Reg(asm.R0, asm.R1, next),
				asm.LoadMem(asm.R0, asm.R3, inWhat+8, asm.DWord), asm.LoadMem(asm.R1, asm.R7, 16, asm.DWord), asm.JEq.Reg(asm.R0, asm.R1, "found"),
				asm.Add.Reg(asm.R6, asm.R9).WithSymbol(next), asm.And.Imm(asm.R6, firstValue-1),
			})
	}
	code = concat(code, r.lose("return"), asm.Instructions{asm.Mov.Imm(asm.R1, 1).WithSymbol("free"), asm.StoreMem(asm.R3, inCount, asm.R1, asm.DWord)})
	for _, i := range []int16{16, 8, 0} { // the call last: with it the cell can be read
		code = append(code, asm.LoadMem(asm.R1, asm.R7, i, asm.DWord), asm.StoreMem(asm.R3, inCall+i, asm.R1, asm.DWord))
	}
	return concat(code, asm.Instructions{
		asm.Ja.Label("return"), asm.Mov.Imm(asm.R1, 1).WithSymbol("found"), atomically(asm.AddAtomic, asm.R3, asm.R1, inCount),
	}, exitZero("return"))
}

// read takes in what is in the cells. A cell's call is the last that is written into it.
func (r *Recording) read(cells []cell) {
	var values []*cell
	for i := range cells {
		c := &cells[i]
		switch call := atomic.LoadUint64(&c.call); {
		case call == 0 || call == busy:
		case c.index() >= 0:
			values = append(values, c)
		default:
			r.addCall(c)
		}
	}
	for _, c := range values {
		r.addValue(c)
	}
}

func (r *Recording) addCall(made *cell) {
	n := atomic.LoadUint64(&made.count)
	a, nr := made.arch()
	name, _ := a.Name(nr)
	if name == "clone3" {
		r.Clone3[a] += n
		nr, _ = a.Number("clone")
		name = "clone"
	}
	r.Made += n
	key := Key{a, nr}
	c := r.Calls[key]
	if c == nil {
		c = &Call{Programs: map[string]uint64{}, Values: make([]Values, len(Arguments(a, name))), Example: bpf.Data{Arch: a.Token(), Nr: nr}}
		r.Calls[key] = c
	}
	c.Count += n
	program, _, _ := bytes.Cut(made.what[:], []byte{0})
	c.Programs[string(program)] += n
}

func (r *Recording) addValue(made *cell) {
	a, nr := made.arch()
	name, _ := a.Name(nr)
	index := made.index()
	if index == cloneArgs {
		nr, _ = a.Number("clone")
		name = "clone"
		for _, arg := range Arguments(a, "clone") {
			index = arg.Index
		}
	}
	c := r.Calls[Key{a, nr}]
	if c == nil {
		return // its count is lost, and counted as lost
	}
	for i, m := range Arguments(a, name) {
		if m.Index != index {
			continue
		}
		d := c.Example
		d.Args[index] = binary.LittleEndian.Uint64(made.what[:])
		c.Values[i].add(m.value(&d))
		if len(c.Values[i].Seen) == 1 {
			c.Example = d
		}
	}
}

// arch is the architecture of a cell's call, and its number there.
func (c *cell) arch() (abi.Arch, uint32) {
	nr, token := uint32(c.call), uint32(unix.AUDIT_ARCH_X86_64)
	if c.call>>compatBit != 0 {
		token = unix.AUDIT_ARCH_I386
	}
	a, _ := abi.Of(token, nr)
	return a, nr
}

// index is the argument's index if a value is counted, and negative if a call is.
func (c *cell) index() int { return int(c.call>>indexBit&0xff) - 2 }
