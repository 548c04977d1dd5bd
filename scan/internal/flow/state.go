package flow

import (
	"maps"
	"math"
	"slices"

	"monban/scan/internal/decode"
)

// A State is what is known before an instruction.
type State struct {
	Regs  [32]Value       // by number
	slots map[int64]Value // words of the stack, above the stack pointer at entry
	given int64           // words of the function's own frame from here up to its end may be changed by whoever has a pointer to them
	args  bool            // the words that the caller put there may be, too
	lent  []Param         // what these point to may have been changed
}

func newState() *State { return &State{slots: map[int64]Value{}} }

// Nothing is the state in which nothing is known.
func Nothing() *State {
	s := newState()
	for r := range s.Regs {
		s.Regs[r] = top
	}
	return s
}

func (s *State) clone() *State {
	return &State{Regs: s.Regs, slots: maps.Clone(s.slots), given: s.given, args: s.args, lent: s.lent}
}

// wholeFrame is below all that a function keeps on the stack.
const wholeFrame = math.MinInt64

// give notes that a pointer to a word of the stack is made. Who gets it may change that word, and those of the same
// object, which lie above it.
func (s *State) give(off int64) {
	if off >= 0 {
		s.args = true
	} else {
		s.given = min(s.given, off)
	}
}

// forget is for what may change all words that pointers were made to: calls, and writes through pointers that are not
// known.
func (s *State) forget() {
	for k := range s.slots {
		if k < 0 && s.given < 0 && k+8 > s.given || k >= 0 && s.args {
			s.slots[k] = top
		}
	}
}

// forgetFrame is for a write to a place in the frame that is not known.
func (s *State) forgetFrame() {
	for k := range s.slots {
		if k < 0 {
			s.slots[k] = top
		}
	}
}

// Slot is a word of the stack. At and above the entry it holds what the caller put there.
func (s *State) Slot(off, pushed int64) Value {
	if v, ok := s.slots[off]; ok {
		return v
	}
	if off >= pushed && !s.args {
		return Value{Params: []Param{{Reg: decode.NoReg, Slot: off}}}
	}
	return top
}

// put stores a word, and forgets what it overlaps.
func (s *State) put(off int64, width uint8, v Value) {
	for k := off - 7; k < off+int64(max(width, 1)); k++ {
		if _, ok := s.slots[k]; ok && k != off {
			s.slots[k] = top
		}
	}
	if width > 8 {
		for k := off; k < off+int64(width); k += 8 {
			s.slots[k] = top
		}
		return
	}
	s.slots[off] = v
}

// lend notes that what a value points to may be changed: it is written to, or given to a function.
func (s *State) lend(v Value) {
	for _, p := range v.Params {
		if !p.Deref && p.Global == 0 && !slices.Contains(s.lent, p) {
			s.lent = append(slices.Clip(s.lent), p)
		}
	}
}

// isLent says that the memory that a parameter points to need not be what it was at entry.
func (s *State) isLent(p Param) bool { return slices.Contains(s.lent, p) }

// join adds what another way brings, and says whether that changed anything.
func (s *State) join(t *State, pushed int64) (changed bool) {
	if t.given < s.given || t.args && !s.args {
		s.given, s.args, changed = min(s.given, t.given), s.args || t.args, true
	}
	for _, p := range t.lent {
		if !slices.Contains(s.lent, p) {
			s.lent, changed = append(slices.Clip(s.lent), p), true
		}
	}
	for r := range s.Regs {
		if old, more := &s.Regs[r], &t.Regs[r]; !old.Top && !old.equal(more) { // by pointer: this is where the time goes
			if j := old.Join(*more); !j.equal(old) {
				*old, changed = j, true
			}
		}
	}
	for k, v := range s.slots {
		if v.Top {
			continue
		}
		if j := v.Join(t.Slot(k, pushed)); !j.equal(&v) {
			s.slots[k] = j
			changed = true
		}
	}
	for k, v := range t.slots {
		if _, ok := s.slots[k]; !ok {
			if was := s.Slot(k, pushed); !was.equal(&v) {
				s.slots[k] = was.Join(v)
				changed = true
			}
		}
	}
	return changed
}
