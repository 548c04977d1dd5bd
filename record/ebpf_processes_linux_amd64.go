package record

import (
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"monban/internal/sys"
)

// For each number that a process can have there is a word that says when the recorded process began that has it, in
// nanoseconds since the machine did (start_time of the group's leader). A number alone would be somebody else's again;
// with that time it is nobody's. A child of a recorded process gets its word before it runs. All others lose it when
// their number begins or ends.

// What the word is otherwise.
const (
	nobody    = iota // no recorded process has the number
	candidate        // chosen, if it turns out that it is still there
	chosen           // the one that has the number is recorded, and puts its time here when it makes its next call
)

// highestNumber is what a process's number can be at most.
func highestNumber() uint32 {
	const limit = 1 << 22 // PID_MAX_LIMIT (linux/threads.h)
	text, err := sys.Setting("kernel.pid_max")
	n, err2 := strconv.ParseUint(text, 10, 32)
	if err != nil || err2 != nil || n == 0 {
		return limit
	}
	return min(uint32(n), limit)
}

// choose has a process recorded from its next call on, with its children, unless it is already or has ended.
func (r *recorder) choose(pid int) error {
	fd, err := unix.PidfdOpen(pid, 0) // while it is open, and the process there, nobody else has the number
	switch {
	case errors.Is(err, unix.ESRCH):
		return nil
	case err != nil:
		return fmt.Errorf("recording process %d: it may be a thread and no process: %w", pid, err)
	case pid >= len(r.numbers):
		unix.Close(fd)
		return fmt.Errorf("recording process %d: kernel.pid_max was %d when the recording began", pid, len(r.numbers)-1)
	}
	word := &r.numbers[pid]
	if !atomic.CompareAndSwapUint64(word, nobody, candidate) {
		unix.Close(fd)
		return nil
	}
	// If it is still there it was when the word was written, and its end, or a successor's beginning, takes the word
	// back.
	if ended(fd) || !atomic.CompareAndSwapUint64(word, candidate, chosen) {
		atomic.CompareAndSwapUint64(word, candidate, nobody)
		unix.Close(fd)
		return nil
	}
	atomic.AddInt64(&r.counts.left, 1)
	r.choice[pid] = fd
	return nil
}

// ended says that the process behind a descriptor runs no more.
func ended(pidfd int) bool {
	fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	n, _ := unix.Poll(fds, 0)
	return n > 0
}

// follows says whether a process is recorded.
func (r *recorder) follows(pid int) bool {
	return pid < len(r.numbers) && atomic.LoadUint64(&r.numbers[pid]) != nobody
}

// left says that a recorded process still runs. One that only waits for its parent to ask how it ended does not.
func (r *recorder) left() bool {
	for pid, fd := range r.choice {
		word := &r.numbers[pid]
		switch gone := ended(fd); {
		case gone && atomic.CompareAndSwapUint64(word, chosen, nobody): // it was about to end when it was chosen
			atomic.AddInt64(&r.counts.left, -1)
		case !gone && atomic.LoadUint64(word) == chosen:
			continue
		}
		unix.Close(fd)
		delete(r.choice, pid)
	}
	return atomic.LoadInt64(&r.counts.left) > 0
}

// Places in the tally.
const (
	inLost = 0
	inLeft = 8
)

// add adds what is in R2 to a count of the tally.
func (r *recorder) add(place uint32) asm.Instructions {
	return asm.Instructions{asm.LoadMapValue(asm.R1, r.tally.FD(), place), atomically(asm.AddAtomic, asm.R1, asm.R2, 0)}
}

// lose counts an event that did not fit.
func (r *recorder) lose(next string) asm.Instructions {
	return concat(asm.Instructions{asm.Mov.Imm(asm.R2, 1)}, r.add(inLost), asm.Instructions{asm.Ja.Label(next)})
}

// passOn is the program for a child: its arguments are the parent's and the child's task_struct. Whoever had the number
// before is gone.
//
// In registers: R6 the parent, R7 the child, R8 how many more there are, R9 the child's word.
func (r *recorder) passOn(o offsets) asm.Instructions {
	return concat(asm.Instructions{
		asm.LoadMem(asm.R6, asm.R1, 0, asm.DWord), asm.LoadMem(asm.R7, asm.R1, 8, asm.DWord),
		asm.LoadMem(asm.R1, asm.R6, o.tgid, asm.Word), asm.LoadMem(asm.R2, asm.R7, o.tgid, asm.Word), asm.JEq.Reg(asm.R1, asm.R2, "exit"), // a thread
		asm.Mov.Imm(asm.R8, 0), asm.Mov.Imm(asm.R9, nobody),
	}, element(r.processes, "born"), asm.Instructions{
		asm.LoadMem(asm.R1, asm.R0, 0, asm.DWord), asm.JEq.Imm(asm.R1, chosen, "ours"),
		asm.LoadMem(asm.R2, asm.R6, o.leader, asm.DWord), asm.LoadMem(asm.R2, asm.R2, o.start, asm.DWord), asm.JNE.Reg(asm.R1, asm.R2, "born"),
		asm.LoadMem(asm.R9, asm.R7, o.start, asm.DWord).WithSymbol("ours"), asm.Mov.Imm(asm.R8, 1),
		asm.LoadMem(asm.R1, asm.R7, o.tgid, asm.Word).WithSymbol("born"),
	}, element(r.processes, "outside"), r.replace("exit"), asm.Instructions{
		asm.JEq.Imm(asm.R8, 0, "exit").WithSymbol("outside"), // it is not ours, wherever it is
	}, r.lose("exit"), exitZero("exit"))
}

// takeBack is the program for the end of a thread: its argument is its task_struct. With the last one the process ends.
func (r *recorder) takeBack(o offsets) asm.Instructions {
	return concat(asm.Instructions{
		asm.LoadMem(asm.R1, asm.R1, 0, asm.DWord), asm.LoadMem(asm.R2, asm.R1, o.signal, asm.DWord), asm.LoadMem(asm.R2, asm.R2, o.live, asm.Word),
		asm.JNE.Imm(asm.R2, 0, "exit"), asm.LoadMem(asm.R1, asm.R1, o.tgid, asm.Word),
		asm.Mov.Imm(asm.R8, 0), asm.Mov.Imm(asm.R9, nobody),
	}, element(r.processes, "exit"), r.replace("exit"), exitZero("exit"))
}

// replace puts what is in R9 into the word at R0; R8 says how many processes that makes more, not counting who had it.
func (r *recorder) replace(next string) asm.Instructions {
	return concat(asm.Instructions{
		asm.LoadMem(asm.R1, asm.R0, 0, asm.DWord), asm.Or.Reg(asm.R1, asm.R9), asm.JEq.Imm(asm.R1, nobody, next), // as nearly always
		atomically(asm.Xchg, asm.R0, asm.R9, 0), asm.JLE.Imm(asm.R9, candidate, "counted"), asm.Sub.Imm(asm.R8, 1),
		asm.Mov.Reg(asm.R2, asm.R8).WithSymbol("counted"),
	}, r.add(inLeft), asm.Instructions{asm.Ja.Label(next)})
}
