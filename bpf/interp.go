package bpf

import "encoding/binary"

// Words returns struct seccomp_data as a filter loads it: word n is at offset 4n. The low half of a 64-bit value comes
// first on a little-endian machine, the high half on a big-endian one.
func (d *Data) Words(order binary.ByteOrder) [DataSize / 4]uint32 {
	var w [DataSize / 4]uint32
	lo := 0
	if isBig(order) {
		lo = 1
	}
	hi := 1 - lo
	w[OffsetNr/4], w[OffsetArch/4] = d.Nr, d.Arch
	w[OffsetIP/4+lo], w[OffsetIP/4+hi] = uint32(d.IP), uint32(d.IP>>32)
	for i, a := range d.Args {
		n := OffsetArgs/4 + 2*i
		w[n+lo], w[n+hi] = uint32(a), uint32(a>>32)
	}
	return w
}

// ArgOffsets returns the offsets in struct seccomp_data of the low and the high half of an argument, 0 to 5.
func ArgOffsets(index int, order binary.ByteOrder) (low, high uint32) {
	low = OffsetArgs + 8*uint32(index)
	if isBig(order) {
		return low + 4, low
	}
	return low, low + 4
}

// Run returns what the filter returns for a system call, exactly as the kernel computes it and not in canonical form.
// Division by an X of 0 ends the filter with the value 0, which is [KillThread]; shifts by X use its low five bits.
//
// The program must be one that [Program.Check] admits. Of any other, which no kernel runs, the result is [KillProcess]
// at the first instruction that makes no sense.
func (p Program) Run(d *Data, order binary.ByteOrder) Action {
	w := d.Words(order)
	return p.run(&w, nil)
}

// Trace is Run that calls visit before each instruction with its index.
func (p Program) Trace(d *Data, order binary.ByteOrder, visit func(pc int)) Action {
	w := d.Words(order)
	return p.run(&w, visit)
}

// Executed counts the instructions that Run executes for a system call, the RET included.
func (p Program) Executed(d *Data, order binary.ByteOrder) int {
	n := 0
	p.Trace(d, order, func(int) { n++ })
	return n
}

func (p Program) run(w *[DataSize / 4]uint32, visit func(pc int)) Action {
	var a, x uint32 // 0 at the start, as the conversion to eBPF makes them
	var m [MemWords]uint32
	for pc := 0; pc < len(p); pc++ {
		if visit != nil {
			visit(pc)
		}
		ins := &p[pc]
		k := ins.K
		var holds bool
		switch ins.Code {
		case LD | W | ABS:
			if k >= DataSize || k%4 != 0 {
				return KillProcess
			}
			a = w[k/4]
			continue
		case JMP | JEQ | K:
			holds = a == k
		case JMP | JGE | K:
			holds = a >= k
		case JMP | JGT | K:
			holds = a > k
		case JMP | JSET | K:
			holds = a&k != 0
		case JMP | JEQ | X:
			holds = a == x
		case JMP | JGE | X:
			holds = a >= x
		case JMP | JGT | X:
			holds = a > x
		case JMP | JSET | X:
			holds = a&x != 0
		case JMP | JA:
			if uint64(k) >= uint64(len(p)-pc-1) {
				return KillProcess
			}
			pc += int(k)
			continue
		case RET | K:
			return Action(k)
		case RET | A:
			return Action(a)

		case LD | IMM:
			a = k
			continue
		case LD | W | LEN:
			a = DataSize
			continue
		case LDX | IMM:
			x = k
			continue
		case LDX | W | LEN:
			x = DataSize
			continue
		case MISC | TAX:
			x = a
			continue
		case MISC | TXA:
			a = x
			continue
		case LD | MEM, LDX | MEM, ST, STX:
			if k >= MemWords {
				return KillProcess
			}
			switch ins.Code {
			case LD | MEM:
				a = m[k]
			case LDX | MEM:
				x = m[k]
			case ST:
				m[k] = a
			case STX:
				m[k] = x
			}
			continue
		case ALU | NEG:
			a = -a
			continue
		default:
			operand := k
			if ins.Code&X != 0 {
				operand = x
			}
			switch ins.Code &^ X {
			case ALU | ADD:
				a += operand
			case ALU | SUB:
				a -= operand
			case ALU | MUL:
				a *= operand
			case ALU | DIV:
				if operand == 0 {
					return KillThread
				}
				a /= operand
			case ALU | AND:
				a &= operand
			case ALU | OR:
				a |= operand
			case ALU | XOR:
				a ^= operand
			case ALU | LSH:
				a <<= operand & 31
			case ALU | RSH:
				a >>= operand & 31
			default:
				return KillProcess
			}
			continue
		}
		if holds {
			pc += int(ins.Jt)
		} else {
			pc += int(ins.Jf)
		}
	}
	return KillProcess // off the end: Check admits no such program
}
