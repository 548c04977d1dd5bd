package elftest

import "encoding/binary"

// A Piece is machine code that knows where it lies.
type Piece func(addr uint64) []byte

// Asm puts pieces one behind another.
func Asm(addr uint64, pieces ...Piece) (b []byte) {
	for _, p := range pieces {
		b = append(b, p(addr+uint64(len(b)))...)
	}
	return b
}

// Raw is code that is the same everywhere.
func Raw(code string) Piece { return func(uint64) []byte { return []byte(code) } }

// Align fills up to a multiple with int3, as linkers do between functions.
func Align(to uint64) Piece {
	return func(addr uint64) (b []byte) {
		for (addr+uint64(len(b)))%to != 0 {
			b = append(b, 0xcc)
		}
		return b
	}
}

// Rel is an instruction that ends in the four-byte distance to an address.
func Rel(opcode string, to uint64) Piece {
	return func(addr uint64) []byte {
		return binary.LittleEndian.AppendUint32([]byte(opcode), uint32(to-addr-uint64(len(opcode))-4))
	}
}

// Pieces of x86-64.
var (
	Ret     = Raw("\xc3")
	Syscall = Raw("\x0f\x05")
)

// Number has EAX hold a number.
func Number(n uint32) Piece {
	return func(uint64) []byte { return binary.LittleEndian.AppendUint32([]byte{0xb8}, n) }
}

// First has EDI, a function's first argument, hold a number.
func First(n uint32) Piece {
	return func(uint64) []byte { return binary.LittleEndian.AppendUint32([]byte{0xbf}, n) }
}

// Call, Jump and their like lead to an address.
func Call(to uint64) Piece { return Rel("\xe8", to) }

// Jump is JMP.
func Jump(to uint64) Piece { return Rel("\xe9", to) }

// CallSlot calls through a pointer.
func CallSlot(slot uint64) Piece { return Rel("\xff\x15", slot) }

// JumpSlot jumps through a pointer.
func JumpSlot(slot uint64) Piece { return Rel("\xff\x25", slot) }

// LeaFirst has RDI hold an address.
func LeaFirst(addr uint64) Piece { return Rel("\x48\x8d\x3d", addr) }

// LeaSecond has RSI hold an address.
func LeaSecond(addr uint64) Piece { return Rel("\x48\x8d\x35", addr) }

// LeaNumber has RAX hold an address.
func LeaNumber(addr uint64) Piece { return Rel("\x48\x8d\x05", addr) }

// Arm is an instruction of AArch64.
func Arm(word uint32) Piece {
	return func(uint64) []byte { return binary.LittleEndian.AppendUint32(nil, word) }
}

// ArmCall is BL.
func ArmCall(to uint64) Piece {
	return func(addr uint64) []byte {
		return binary.LittleEndian.AppendUint32(nil, 0x94000000|uint32(to-addr)>>2&0x3ffffff)
	}
}

// ArmNumber has X8 hold a number.
func ArmNumber(n uint32) Piece { return Arm(0xd2800008 | n<<5) }

// Pieces of AArch64.
var (
	ArmSyscall = Arm(0xd4000001)
	ArmRet     = Arm(0xd65f03c0)
)
