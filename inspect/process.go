package inspect

import (
	"fmt"

	"monban/abi"
	"monban/bpf"
	"monban/gate"
)

// A Process is what the kernel says of a live process's confinement.
type Process struct {
	PID     int
	Threads []Thread
	Stacks  []ThreadStack // different ones, in order of the first thread that has them
	Others  []string      // other processes with the filters of the first stack: "1234 nginx"
}

// A Thread is one of a process's.
type Thread struct {
	TID        int
	Name       string // its own, as programs set it
	Mode       string // off, strict, filter
	Filters    int    // how many; -1 where that is not known, and where it has no filters
	NoNewPrivs bool
}

// A ThreadStack is the filters of some threads, the oldest first.
type ThreadStack struct {
	Programs []bpf.Program
	TIDs     []int
}

// Add adds what filters a thread has.
func (p *Process) Add(tid int, programs []bpf.Program) {
	for i := range p.Stacks {
		if SameStack(p.Stacks[i].Programs, programs) {
			p.Stacks[i].TIDs = append(p.Stacks[i].TIDs, tid)
			return
		}
	}
	p.Stacks = append(p.Stacks, ThreadStack{programs, []int{tid}})
}

// Gates are the stacks as gates.
func (p *Process) Gates() []*gate.Gate {
	var out []*gate.Gate
	for i, s := range p.Stacks {
		name := fmt.Sprintf("pid:%d", p.PID)
		if len(p.Stacks) > 1 {
			name = fmt.Sprintf("pid:%d, stack %d", p.PID, i+1)
		}
		out = append(out, gate.OfPrograms(name, abi.Native().ByteOrder(), s.Programs...))
	}
	return out
}

// A ConfinedProcess is one of those that have filters, or are in strict mode.
type ConfinedProcess struct {
	PID          int
	User         string // its name, or its number
	Name         string
	Mode         string // of its first thread; mixed where others are in another
	Threads      int
	Filters      int    // of its first thread; -1 where that is not known
	Instructions int    // of all of those; -1 where they can't be read
	Equals       string // the preset that they equal together, "" for none
}
