package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// InstructionSize is sizeof(struct sock_filter), in bytes.
const InstructionSize = 8

// maxProgramSize is the longest program in bytes.
const maxProgramSize = MaxInstructions * InstructionSize

// Decode reads a program from its bytes: struct sock_filter, eight bytes an instruction, in the given byte order. It
// says nothing about whether the kernel would take the program: see [Program.Check].
func Decode(b []byte, order binary.ByteOrder) (Program, error) {
	switch {
	case len(b) == 0:
		return nil, errors.New("an empty BPF program: a filter has 1 to 4096 instructions of 8 bytes")
	case len(b) > maxProgramSize:
		return nil, fmt.Errorf("a BPF program of more than %d instructions (%d bytes): the kernel takes no more",
			MaxInstructions, maxProgramSize)
	case len(b)%InstructionSize != 0:
		return nil, fmt.Errorf("a truncated BPF program: %d bytes are not a whole number of instructions (8 bytes each)",
			len(b))
	}
	p := make(Program, len(b)/InstructionSize)
	for i := range p {
		f := b[i*InstructionSize:]
		p[i] = Instruction{Code: order.Uint16(f), Jt: f[2], Jf: f[3], K: order.Uint32(f[4:])}
	}
	return p, nil
}

// Read decodes a program from a stream. It reads one byte more than the longest program has and no further, so a stream
// without end is refused and not read.
func Read(r io.Reader, order binary.ByteOrder) (Program, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxProgramSize+1))
	if err != nil {
		return nil, fmt.Errorf("reading a BPF program: %w", err)
	}
	return Decode(b, order)
}

// Encode writes the program as Decode reads it.
func (p Program) Encode(order binary.ByteOrder) []byte {
	b := make([]byte, len(p)*InstructionSize)
	for i, ins := range p {
		f := b[i*InstructionSize:]
		order.PutUint16(f, ins.Code)
		f[2], f[3] = ins.Jt, ins.Jf
		order.PutUint32(f[4:], ins.K)
	}
	return b
}

// GuessOrder finds the byte order of a program: the one in which the kernel would take it. It cannot be both, since the
// last instruction is a RET and no RET is one when its code is swapped. It is an error if it is neither.
func GuessOrder(b []byte) (binary.ByteOrder, error) {
	little, err := Decode(b, binary.LittleEndian)
	if err != nil {
		return nil, err
	}
	errLittle := little.Check()
	if errLittle == nil {
		return binary.LittleEndian, nil
	}
	big, err := Decode(b, binary.BigEndian)
	if err != nil {
		return nil, err
	}
	errBig := big.Check()
	if errBig == nil {
		return binary.BigEndian, nil
	}
	return nil, fmt.Errorf("no BPF program that seccomp admits in either byte order (little-endian: %w; big-endian: %w)",
		errLittle, errBig)
}

// isBig tells the byte order by what it does, so that binary.NativeEndian is understood too.
func isBig(order binary.ByteOrder) bool {
	switch order {
	case binary.LittleEndian:
		return false
	case binary.BigEndian:
		return true
	}
	return order.Uint16([]byte{0, 1}) == 1
}
