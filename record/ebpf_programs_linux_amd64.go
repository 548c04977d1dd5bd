package record

import (
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"monban/abi"
)

// The programs are assembled here; there is no object file and no compiler.
//
// One runs for each call that anybody makes, and for a recorded process calls a single helper: who is it? All else is found in arrays,
// whose look-ups the kernel compiles in place: one in its hash tables takes as long as all of that.

// Offsets in struct pt_regs of the registers of arguments, in order: x86_64's and i386's calling conventions (asm/ptrace.h).
var (
	wideArgs   = [6]int16{112, 104, 96, 56, 72, 64} // rdi rsi rdx r10 r8 r9
	narrowArgs = [6]int16{40, 88, 96, 104, 112, 32} // ebx ecx edx esi edi ebp
)

// Places on the stack.
const (
	onTask    = -8  // u32
	onIndex   = -16 // u32
	onProcess = -24 // u64
	onKnown   = -32 // an address
	onEntry   = -56 // a cell from its call on
	onMemory  = -64 // u64
)

// golden is 2^64 by the golden ratio: multiplying by it moves differences in low bits to the upper ones, from which indices are taken.
const golden = -0x61c8864680b583eb

// lookup asks a map for the key on the stack; R0 is the value's address or 0.
func lookup(m *ebpf.Map, key int16) asm.Instructions {
	return asm.Instructions{
		asm.LoadMapPtr(asm.R1, m.FD()), asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, int32(key)), asm.FnMapLookupElem.Call(),
	}
}

// element finds an array's element at the index in R1; R0 is its address, and never 0.
func element(m *ebpf.Map, none string) asm.Instructions {
	return concat(asm.Instructions{asm.StoreMem(asm.RFP, onIndex, asm.R1, asm.Word)}, lookup(m, onIndex), asm.Instructions{asm.JEq.Imm(asm.R0, 0, none)})
}

// lose counts an event that did not fit.
func (r *recorder) lose(next string) asm.Instructions {
	return concat(asm.Instructions{asm.Mov.Imm(asm.R1, 0)}, element(r.lost, next), asm.Instructions{
		asm.Mov.Imm(asm.R1, 1), asm.StoreXAdd(asm.R0, asm.R1, asm.DWord), asm.Ja.Label(next),
	})
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

// onFork passes membership on: its arguments are the parent's and the child's task_struct. A child of somebody else whose number
// a recorded process once had is none.
func (r *recorder) onFork(o offsets) asm.Instructions {
	return concat(asm.Instructions{
		asm.LoadMem(asm.R1, asm.R1, 8, asm.DWord), asm.LoadMem(asm.R1, asm.R1, o.tgid, asm.Word), asm.StoreMem(asm.RFP, onIndex, asm.R1, asm.Word),
		asm.FnGetCurrentPidTgid.Call(), asm.RSh.Imm(asm.R0, 32), asm.StoreMem(asm.RFP, onTask, asm.R0, asm.Word),
	}, lookup(r.tasks, onTask), asm.Instructions{
		asm.LoadMapPtr(asm.R1, r.tasks.FD()), asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, onIndex), asm.JEq.Imm(asm.R0, 0, "stranger"),
		asm.StoreImm(asm.RFP, onMemory, 1, asm.Word), asm.Mov.Reg(asm.R3, asm.RFP), asm.Add.Imm(asm.R3, onMemory),
		asm.Mov.Imm(asm.R4, int32(ebpf.UpdateNoExist)), asm.FnMapUpdateElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "exit"), asm.JEq.Imm(asm.R0, -int32(unix.EEXIST), "exit"), // a thread's process is there already
	}, r.lose("exit"), asm.Instructions{
		asm.FnMapDeleteElem.Call().WithSymbol("stranger"),
	}, exitZero("exit"))
}

// onEnter counts a call: its arguments are struct pt_regs and the number.
//
// In registers: R6 what is wanted of the arguments, R7 a cell's hash, R8 pt_regs, R9 the call as a cell has it.
func (r *recorder) onEnter(o offsets) asm.Instructions {
	code := concat(asm.Instructions{
		asm.LoadMem(asm.R8, asm.R1, 0, asm.DWord), asm.LoadMem(asm.R9, asm.R1, 8, asm.DWord), asm.Mov.Reg32(asm.R9, asm.R9),
		asm.FnGetCurrentTaskBtf.Call(),
		asm.LoadMem(asm.R1, asm.R0, o.status, asm.Word), asm.And.Imm(asm.R1, 2), // TS_COMPAT (asm/thread_info.h)
		asm.LSh.Imm(asm.R1, compatBit-1), asm.Or.Reg(asm.R9, asm.R1), asm.LoadImm(asm.R1, 1<<indexBit, asm.DWord), asm.Or.Reg(asm.R9, asm.R1), asm.StoreMem(asm.RFP, onEntry, asm.R9, asm.DWord),
		// The process: its number, and when it began, to the nanosecond.
		asm.LoadImm(asm.R5, golden, asm.DWord),
		asm.LoadMem(asm.R1, asm.R0, o.tgid, asm.Word), asm.StoreMem(asm.RFP, onTask, asm.R1, asm.Word),
		asm.LoadMem(asm.R2, asm.R0, o.leader, asm.DWord), asm.LoadMem(asm.R2, asm.R2, o.start, asm.DWord),
		asm.LSh.Imm(asm.R2, pidBits), asm.Xor.Reg(asm.R1, asm.R2), asm.StoreMem(asm.RFP, onProcess, asm.R1, asm.DWord),
		// What is counted: this call by programs of this name, which changes when another is executed.
		asm.LoadMem(asm.R7, asm.R0, o.comm, asm.DWord), asm.StoreMem(asm.RFP, onEntry+8, asm.R7, asm.DWord),
		asm.LoadMem(asm.R2, asm.R0, o.comm+8, asm.DWord), asm.StoreMem(asm.RFP, onEntry+16, asm.R2, asm.DWord),
		asm.Mul.Reg(asm.R7, asm.R5), asm.Add.Reg(asm.R7, asm.R2), asm.Mul.Reg(asm.R7, asm.R5), asm.Add.Reg(asm.R7, asm.R9),
		asm.Mul.Reg(asm.R7, asm.R5), asm.Or.Imm(asm.R7, 1),
		// Is the process recorded? Those that were lately stand in an array as well.
		asm.Mul.Reg(asm.R1, asm.R5), asm.RSh.Imm(asm.R1, 64-latelyBits),
	}, element(r.lately, "exit"), asm.Instructions{
		asm.LoadMem(asm.R1, asm.R0, 0, asm.DWord), asm.LoadMem(asm.R2, asm.RFP, onProcess, asm.DWord), asm.JEq.Reg(asm.R1, asm.R2, "recorded"),
		asm.StoreMem(asm.RFP, onKnown, asm.R0, asm.DWord),
	}, lookup(r.tasks, onTask), asm.Instructions{
		asm.JEq.Imm(asm.R0, 0, "exit"), asm.LoadMem(asm.R1, asm.RFP, onKnown, asm.DWord),
		asm.LoadMem(asm.R2, asm.RFP, onProcess, asm.DWord), asm.StoreMem(asm.R1, 0, asm.R2, asm.DWord),
		asm.Mov.Reg(asm.R1, asm.R7).WithSymbol("recorded"),
	}, r.count(0, "arguments"), asm.Instructions{
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
	// clone3: the flags, of which the upper half means nothing to clone, and the signal at its end (struct clone_args, linux/sched.h).
	readUser := func(label string, at int32) asm.Instructions {
		return asm.Instructions{
			asm.Mov.Imm(asm.R1, 0).WithSymbol(label), asm.StoreMem(asm.RFP, onMemory, asm.R1, asm.DWord),
			asm.Mov.Reg(asm.R1, asm.RFP), asm.Add.Imm(asm.R1, onMemory), asm.Mov.Imm(asm.R2, 8),
			asm.Mov.Reg(asm.R3, asm.R6), asm.Add.Imm(asm.R3, at), asm.FnProbeReadUser.Call(),
		}
	}
	return concat(code, asm.Instructions{
		asm.Mov.Reg(asm.R1, asm.R6).WithSymbol("argument6"), asm.And.Imm(asm.R1, 1<<cloneArgs), asm.JEq.Imm(asm.R1, 0, "exit"),
		asm.LoadMem(asm.R6, asm.R8, wideArgs[0], asm.DWord),
		asm.Mov.Reg(asm.R1, asm.R9), asm.RSh.Imm(asm.R1, compatBit), asm.JEq.Imm(asm.R1, 0, "pointer"),
		asm.LoadMem(asm.R6, asm.R8, narrowArgs[0], asm.Word),
	}, readUser("pointer", 32), asm.Instructions{
		asm.LoadMem(asm.R7, asm.RFP, onMemory, asm.Word), asm.And.Imm(asm.R7, 0xff),
	}, readUser("flags", 0), asm.Instructions{
		asm.LoadMem(asm.R1, asm.RFP, onMemory, asm.Word), asm.RSh.Imm(asm.R1, 8), asm.LSh.Imm(asm.R1, 8), asm.Or.Reg(asm.R7, asm.R1),
	}, r.note(cloneArgs, "value6", "exit"), exitZero("exit"), r.search())
}

// note counts a value, in R7, of the call's argument with this index.
func (r *recorder) note(index int, label, next string) asm.Instructions {
	return concat(asm.Instructions{
		asm.StoreMem(asm.RFP, onEntry+8, asm.R7, asm.DWord).WithSymbol(label), asm.LoadImm(asm.R5, golden, asm.DWord), asm.Mul.Reg(asm.R7, asm.R5),
		asm.LoadImm(asm.R1, int64(index+1)<<indexBit, asm.DWord), asm.Add.Reg(asm.R1, asm.R9), asm.StoreMem(asm.RFP, onEntry, asm.R1, asm.DWord),
		asm.Add.Reg(asm.R7, asm.R1), asm.Mul.Reg(asm.R7, asm.R5), asm.Or.Imm(asm.R7, 1), asm.Mov.Reg(asm.R1, asm.R7),
	}, r.count(firstValue, next))
}

// tries is how many places a cell may have; at turns the hash in R1 into the n-th of them.
const tries = 6

func at(n int32) asm.Instructions {
	return asm.Instructions{asm.RSh.Imm(asm.R1, 64-cellBits-8*n), asm.And.Imm(asm.R1, 1<<cellBits-1)}
}

// count adds one to the cell of the entry on the stack, whose hash is in R7 and R1, among the cells from first on. It goes on at next,
// which has to follow.
func (r *recorder) count(first int32, next string) asm.Instructions {
	return concat(at(0), asm.Instructions{asm.Add.Imm(asm.R1, first)}, element(r.cells, next), asm.Instructions{
		asm.LoadMem(asm.R1, asm.R0, 0, asm.DWord), asm.JNE.Reg(asm.R1, asm.R7, "search for "+next),
		asm.Mov.Imm(asm.R1, 1), asm.AddAtomic.Mem(asm.R0, asm.R1, asm.DWord, 8), asm.Ja.Label(next),
		asm.Mov.Reg(asm.R1, asm.R7).WithSymbol("search for " + next), asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, onEntry),
		asm.Mov.Imm(asm.R3, first), asm.Call.Label("search"),
	})
}

// search is a function: it counts the entry whose hash is in R1 and whose address in R2 where it has a cell among those from R3 on, or
// takes a free one for it.
func (r *recorder) search() asm.Instructions {
	code := asm.Instructions{asm.Mov.Reg(asm.R6, asm.R1).WithSymbol("search"), asm.Mov.Reg(asm.R7, asm.R2), asm.Mov.Reg(asm.R9, asm.R3)}
	for n := range int32(tries) {
		code = append(code, asm.Mov.Reg(asm.R1, asm.R6).WithSymbol(fmt.Sprint("try", n)))
		code = concat(code, at(n), asm.Instructions{asm.Add.Reg(asm.R1, asm.R9)}, element(r.cells, "return"), asm.Instructions{
			asm.Mov.Reg(asm.R8, asm.R0), asm.LoadMem(asm.R0, asm.R8, 0, asm.DWord), asm.JEq.Reg(asm.R0, asm.R6, "found"),
			asm.JNE.Imm(asm.R0, 0, fmt.Sprint("try", n+1)), asm.CmpXchg.Mem(asm.R8, asm.R6, asm.DWord, 0), asm.JEq.Imm(asm.R0, 0, "free"),
			asm.JEq.Reg(asm.R0, asm.R6, "found"), // another processor was quicker
		})
	}
	code = append(code, asm.Ja.Label("full").WithSymbol(fmt.Sprint("try", tries)), asm.Mov.Imm(asm.R0, 0).WithSymbol("free"))
	for _, i := range []int16{16, 8, 0} { // the call last: with it the cell can be read
		code = append(code, asm.LoadMem(asm.R1, asm.R7, i, asm.DWord), asm.StoreMem(asm.R8, 16+i, asm.R1, asm.DWord))
	}
	return concat(code, asm.Instructions{
		asm.Mov.Imm(asm.R1, 1).WithSymbol("found"), asm.AddAtomic.Mem(asm.R8, asm.R1, asm.DWord, 8), asm.Ja.Label("return"),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("full"),
	}, r.lose("return"), exitZero("return"))
}
