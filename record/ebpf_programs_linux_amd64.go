package record

import (
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"monban/abi"
)

// The programs are assembled here; there is no object file and no compiler.
//
// One runs for each call that anybody makes, and calls a single helper: who is it? All else is found in arrays, whose
// look-ups the kernel compiles in place: one in its hash tables takes as long as all of that, and may fail.

// Offsets in struct pt_regs of the registers of arguments, in order: x86_64's and i386's calling conventions
// (asm/ptrace.h).
var (
	wideArgs   = [6]int16{112, 104, 96, 56, 72, 64} // rdi rsi rdx r10 r8 r9
	narrowArgs = [6]int16{40, 88, 96, 104, 112, 32} // ebx ecx edx esi edi ebp
)

// Places on the stack.
const (
	onIndex  = -8  // u32
	onMemory = -16 // u64
	onEntry  = -40 // a cell from its call on
)

// element finds an array's element at the index in R1; R0 is its address, or it goes on at none where the array ends
// before.
func element(m *ebpf.Map, none string) asm.Instructions {
	return asm.Instructions{
		asm.StoreMem(asm.RFP, onIndex, asm.R1, asm.Word), asm.LoadMapPtr(asm.R1, m.FD()), asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, onIndex),
		asm.FnMapLookupElem.Call(), asm.JEq.Imm(asm.R0, 0, none),
	}
}

// atomically is an operation on 64 bits of memory that no other processor comes between. Which one it is stands in the
// instruction's constant: github.com/cilium/ebpf v0.22.0 puts it there too late, and encodes each of them as an
// addition.
func atomically(op asm.AtomicOp, dst, src asm.Register, at int16) asm.Instruction {
	ins := op.Mem(dst, src, asm.DWord, at)
	ins.Constant = int64(op >> 8)
	return ins
}

func concat(parts ...asm.Instructions) (all asm.Instructions) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func exitZero(label string) asm.Instructions {
	return asm.Instructions{asm.Mov.Imm(asm.R0, 0).WithSymbol(label), asm.Return()}
}

// onEnter counts a call: its arguments are struct pt_regs and the number.
//
// In registers: R6 when the process began, then what is wanted of the arguments, R7 the task, then a cell's hash, R8
// pt_regs, R9 the call as a cell has it.
func (r *recorder) onEnter(o offsets) asm.Instructions {
	code := concat(asm.Instructions{
		asm.LoadMem(asm.R8, asm.R1, 0, asm.DWord), asm.LoadMem(asm.R9, asm.R1, 8, asm.DWord), asm.Mov.Reg32(asm.R9, asm.R9),
		// Is the process recorded?
		asm.FnGetCurrentTaskBtf.Call(), asm.Mov.Reg(asm.R7, asm.R0),
		asm.LoadMem(asm.R6, asm.R7, o.leader, asm.DWord), asm.LoadMem(asm.R6, asm.R6, o.start, asm.DWord), asm.LoadMem(asm.R1, asm.R7, o.tgid, asm.Word),
	}, element(r.processes, "exit"), asm.Instructions{
		asm.LoadMem(asm.R1, asm.R0, 0, asm.DWord), asm.JEq.Reg(asm.R1, asm.R6, "recorded"),
		asm.JNE.Imm(asm.R1, chosen, "exit"), asm.StoreMem(asm.R0, 0, asm.R6, asm.DWord),
		// What is counted: this call by programs of this name, which changes when another is executed.
		asm.LoadMem(asm.R1, asm.R7, o.status, asm.Word).WithSymbol("recorded"), asm.And.Imm(asm.R1, 2), // TS_COMPAT (asm/thread_info.h)
		asm.LSh.Imm(asm.R1, compatBit-1), asm.Or.Reg(asm.R9, asm.R1), asm.LoadImm(asm.R1, 1<<indexBit, asm.DWord), asm.Or.Reg(asm.R9, asm.R1),
		asm.StoreMem(asm.RFP, onEntry, asm.R9, asm.DWord), asm.LoadMem(asm.R4, asm.R7, o.comm, asm.DWord), asm.StoreMem(asm.RFP, onEntry+8, asm.R4, asm.DWord),
		asm.LoadMem(asm.R5, asm.R7, o.comm+8, asm.DWord), asm.StoreMem(asm.RFP, onEntry+16, asm.R5, asm.DWord),
		asm.Mov.Imm(asm.R7, 0), asm.Mov.Reg(asm.R2, asm.R9),
	}, r.hash(0), asm.Instructions{asm.Mov.Reg(asm.R2, asm.R4)}, r.hash(1), asm.Instructions{asm.Mov.Reg(asm.R2, asm.R5)}, r.hash(2),
		r.count(0, "arguments"), asm.Instructions{
			// Which registers are wanted of this number? x32's follow those of x86_64 and x86.
			asm.Mov.Reg32(asm.R1, asm.R9).WithSymbol("arguments"), asm.Mov.Reg(asm.R2, asm.R9), asm.RSh.Imm(asm.R2, compatBit),
			asm.JLT.Imm(asm.R1, abi.X32Bit, "numbered"), asm.Sub.Imm(asm.R1, abi.X32Bit), asm.Mov.Imm(asm.R2, 2),
			asm.JGE.Imm(asm.R1, numbers, "exit").WithSymbol("numbered"), asm.Mul.Imm(asm.R2, numbers), asm.Add.Reg(asm.R1, asm.R2),
		}, element(r.wanted, "exit"), asm.Instructions{
			asm.LoadMem(asm.R6, asm.R0, 0, asm.Word), asm.JEq.Imm(asm.R6, 0, "exit"),
			asm.Mov.Imm(asm.R1, 0), asm.StoreMem(asm.RFP, onEntry+16, asm.R1, asm.DWord),
		})
	for i := range wideArgs {
		label := func(name string) string { return fmt.Sprint(name, i) }
		next := fmt.Sprint("argument", i+1)
		code = concat(code, asm.Instructions{
			asm.Mov.Reg(asm.R1, asm.R6).WithSymbol(label("argument")), asm.And.Imm(asm.R1, 1<<i), asm.JEq.Imm(asm.R1, 0, next),
			asm.Mov.Reg(asm.R1, asm.R9), asm.RSh.Imm(asm.R1, compatBit), asm.JNE.Imm(asm.R1, 0, label("narrow")),
			asm.LoadMem(asm.R7, asm.R8, wideArgs[i], asm.DWord), asm.Ja.Label(label("value")),
			asm.LoadMem(asm.R7, asm.R8, narrowArgs[i], asm.Word).WithSymbol(label("narrow")),
		}, r.note(i, label("value"), next))
	}
	// clone3: the flags, of which the upper half means nothing to clone, and the signal at its end (struct clone_args,
	// linux/sched.h). What lies in memory that is not there cannot be read, and is lost, unless it is too short for the
	// kernel to look at it.
	const shortest = 64 // CLONE_ARGS_SIZE_VER0
	readUser := func(label string, at int32) asm.Instructions {
		return asm.Instructions{
			asm.Mov.Reg(asm.R1, asm.RFP).WithSymbol(label), asm.Add.Imm(asm.R1, onMemory), asm.Mov.Imm(asm.R2, 8),
			asm.Mov.Reg(asm.R3, asm.R6), asm.Add.Imm(asm.R3, at), asm.FnProbeReadUser.Call(), asm.JNE.Imm(asm.R0, 0, "unreadable"),
		}
	}
	return concat(code, asm.Instructions{
		asm.Mov.Reg(asm.R1, asm.R6).WithSymbol("argument6"), asm.And.Imm(asm.R1, 1<<cloneArgs), asm.JEq.Imm(asm.R1, 0, "exit"),
		asm.Mov.Reg(asm.R1, asm.R9), asm.RSh.Imm(asm.R1, compatBit), asm.JNE.Imm(asm.R1, 0, "narrow6"),
		asm.LoadMem(asm.R6, asm.R8, wideArgs[0], asm.DWord), asm.LoadMem(asm.R8, asm.R8, wideArgs[1], asm.DWord), asm.Ja.Label("pointer"),
		asm.LoadMem(asm.R6, asm.R8, narrowArgs[0], asm.Word).WithSymbol("narrow6"), asm.LoadMem(asm.R8, asm.R8, narrowArgs[1], asm.Word),
	}, readUser("pointer", 32), asm.Instructions{asm.LoadMem(asm.R7, asm.RFP, onMemory, asm.Word), asm.And.Imm(asm.R7, 0xff)}, readUser("flags", 0), asm.Instructions{
		asm.LoadMem(asm.R1, asm.RFP, onMemory, asm.Word), asm.RSh.Imm(asm.R1, 8), asm.LSh.Imm(asm.R1, 8), asm.Or.Reg(asm.R7, asm.R1),
		asm.Ja.Label("value6"),
		asm.Mov.Imm(asm.R7, 0).WithSymbol("unreadable"), asm.JLT.Imm(asm.R8, shortest, "value6"),
	}, r.lose("value6"), r.note(cloneArgs, "value6", "exit"), exitZero("exit"), r.search())
}

// note counts a value, in R7, of the call's argument with this index.
func (r *recorder) note(index int, label, next string) asm.Instructions {
	return concat(asm.Instructions{
		asm.StoreMem(asm.RFP, onEntry+8, asm.R7, asm.DWord).WithSymbol(label), asm.Mov.Reg(asm.R4, asm.R7), asm.Mov.Imm(asm.R7, 0),
		asm.LoadImm(asm.R2, int64(index+1)<<indexBit, asm.DWord), asm.Add.Reg(asm.R2, asm.R9), asm.StoreMem(asm.RFP, onEntry, asm.R2, asm.DWord),
	}, r.hash(0), asm.Instructions{asm.Mov.Reg(asm.R2, asm.R4)}, r.hash(1), r.count(firstValue, next))
}
