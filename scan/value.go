package scan

import (
	"maps"
	"math"
	"slices"
)

// A param is a value that a function gets from whoever enters it: a register, a word of the stack, or a word of memory that one of
// these points to; or what a variable of the program holds.
type param struct {
	reg    reg    // noReg where it is on the stack or in a variable
	slot   int64  // above the stack pointer at entry
	global uint64 // the variable
	deref  bool
	off    int64 // of the word that is pointed to
}

// A value is all that a register or a word may hold. Its zero value is none at all: nothing has come by yet.
type value struct {
	consts []int64
	params []param
	stack  bool  // the stack pointer at entry, plus
	off    int64 //
	top    bool  // anything
}

var top = value{top: true}

// maxConsts is how many numbers a value may have: system call tables have more, single calls never do.
const maxConsts = 64

func constant(v int64) value { return value{consts: []int64{v}} }

func (v value) none() bool { return !v.top && !v.stack && len(v.consts) == 0 && len(v.params) == 0 }

func (v *value) equal(w *value) bool {
	return v.top == w.top && v.stack == w.stack && v.off == w.off && slices.Equal(v.consts, w.consts) && slices.Equal(v.params, w.params)
}

// join is what holds where either may.
func (v value) join(w value) value {
	switch {
	case v.none():
		return w
	case w.none() || v.equal(&w):
		return v
	case v.top || w.top || v.stack || w.stack:
		return top
	}
	out := value{consts: slices.Clone(v.consts), params: slices.Clone(v.params)}
	for _, c := range w.consts {
		if k, found := slices.BinarySearch(out.consts, c); !found {
			out.consts = slices.Insert(out.consts, k, c)
		}
	}
	for _, p := range w.params {
		if !slices.Contains(out.params, p) {
			out.params = append(out.params, p)
		}
	}
	slices.SortFunc(out.params, compareParams)
	if len(out.consts) > maxConsts || len(out.params) > 8 {
		return top
	}
	return out
}

func compareParams(a, b param) int {
	switch {
	case a.reg != b.reg:
		return int(a.reg) - int(b.reg)
	case a.slot != b.slot:
		return sign(a.slot < b.slot)
	case a.global != b.global:
		return sign(a.global < b.global)
	case a.deref != b.deref:
		return sign(b.deref)
	}
	return sign(a.off < b.off)
}

func sign(less bool) int {
	if less {
		return -1
	}
	return 1
}

// add is the value plus a constant.
func (v value) add(n int64) value {
	switch {
	case v.stack:
		v.off += n
		return v
	case v.top || len(v.params) > 0:
		if n == 0 {
			return v
		}
		return top
	}
	if len(v.consts) > 1 && n != 0 { // a loop would count on
		return top
	}
	out := value{}
	for _, c := range v.consts {
		out.consts = append(out.consts, c+n)
	}
	return out
}

// A state is what is known before an instruction.
type state struct {
	regs  [32]value
	slots map[int64]value // words of the stack, above the stack pointer at entry
	given int64           // words of the function's own frame from here up to its end may be changed by whoever has a pointer to them
	args  bool            // the words that the caller put there may be, too
	lent  []param         // what these point to may have been changed
}

func newState() *state { return &state{slots: map[int64]value{}} }

func (s *state) clone() *state {
	c := &state{regs: s.regs, slots: maps.Clone(s.slots), given: s.given, args: s.args, lent: s.lent}
	return c
}

// wholeFrame is below all that a function keeps on the stack.
const wholeFrame = math.MinInt64

// give notes that a pointer to a word of the stack is made. Who gets it may change that word, and those of the same object, which lie
// above it.
func (s *state) give(off int64) {
	if off >= 0 {
		s.args = true
	} else {
		s.given = min(s.given, off)
	}
}

// forget is for what may change all words that pointers were made to: calls, and writes through pointers that are not known.
func (s *state) forget() {
	for k := range s.slots {
		if k < 0 && s.given < 0 && k+8 > s.given || k >= 0 && s.args {
			s.slots[k] = top
		}
	}
}

// forgetFrame is for a write to a place in the frame that is not known.
func (s *state) forgetFrame() {
	for k := range s.slots {
		if k < 0 {
			s.slots[k] = top
		}
	}
}

// slot is a word of the stack. At and above the entry it holds what the caller put there.
func (s *state) slot(off, pushed int64) value {
	if v, ok := s.slots[off]; ok {
		return v
	}
	if off >= pushed && !s.args {
		return value{params: []param{{reg: noReg, slot: off}}}
	}
	return top
}

// put stores a word, and forgets what it overlaps.
func (s *state) put(off int64, width uint8, v value) {
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
func (s *state) lend(v value) {
	for _, p := range v.params {
		if !p.deref && p.global == 0 && !slices.Contains(s.lent, p) {
			s.lent = append(slices.Clip(s.lent), p)
		}
	}
}

// isLent says that the memory that a parameter points to need not be what it was at entry.
func (s *state) isLent(p param) bool { return slices.Contains(s.lent, p) }

// join adds what another way brings, and says whether that changed anything.
func (s *state) join(t *state, pushed int64) (changed bool) {
	if t.given < s.given || t.args && !s.args {
		s.given, s.args, changed = min(s.given, t.given), s.args || t.args, true
	}
	for _, p := range t.lent {
		if !slices.Contains(s.lent, p) {
			s.lent, changed = append(slices.Clip(s.lent), p), true
		}
	}
	for r := range s.regs {
		if old, more := &s.regs[r], &t.regs[r]; !old.top && !old.equal(more) { // by pointer: this is where the time goes
			if j := old.join(*more); !j.equal(old) {
				*old, changed = j, true
			}
		}
	}
	for k, v := range s.slots {
		if v.top {
			continue
		}
		if j := v.join(t.slot(k, pushed)); !j.equal(&v) {
			s.slots[k] = j
			changed = true
		}
	}
	for k, v := range t.slots {
		if _, ok := s.slots[k]; !ok {
			if was := s.slot(k, pushed); !was.equal(&v) {
				s.slots[k] = was.join(v)
				changed = true
			}
		}
	}
	return changed
}
