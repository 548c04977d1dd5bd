package flow

import (
	"cmp"
	"slices"

	"monban/scan/internal/decode"
)

// A Param is a value that a function gets from whoever enters it: a register, a word of the stack, or a word of memory
// that one of these points to; or what a variable of the program holds.
type Param struct {
	Reg    decode.Reg // NoReg where it is on the stack or in a variable
	Slot   int64      // above the stack pointer at entry
	Global uint64     // the variable
	Deref  bool
	Off    int64 // of the word that is pointed to
}

// A Value is all that a register or a word may hold. Its zero value is none at all: nothing has come by yet.
type Value struct {
	Consts []int64 // sorted
	Params []Param // sorted
	Stack  bool    // the stack pointer at entry, plus Off
	Off    int64
	Top    bool // anything
}

// Top is anything.
func Top() Value { return top }

var top = Value{Top: true}

// maxConsts is how many numbers a value may have: system call tables have more, single calls never do.
const maxConsts = 64

// maxParams is the same of what it depends on.
const maxParams = 8

// Constant is one number.
func Constant(v int64) Value { return Value{Consts: []int64{v}} }

// None says that nothing has come by yet.
func (v Value) None() bool { return !v.Top && !v.Stack && len(v.Consts) == 0 && len(v.Params) == 0 }

func (v *Value) equal(w *Value) bool {
	return v.Top == w.Top && v.Stack == w.Stack && v.Off == w.Off && slices.Equal(v.Consts, w.Consts) && slices.Equal(v.Params, w.Params)
}

// Join is what holds where either may.
func (v Value) Join(w Value) Value {
	switch {
	case v.None():
		return w
	case w.None() || v.equal(&w):
		return v
	case v.Top || w.Top || v.Stack || w.Stack:
		return top
	}
	out := Value{Consts: slices.Clone(v.Consts), Params: slices.Clone(v.Params)}
	for _, c := range w.Consts {
		if k, found := slices.BinarySearch(out.Consts, c); !found {
			out.Consts = slices.Insert(out.Consts, k, c)
		}
	}
	for _, p := range w.Params {
		if !slices.Contains(out.Params, p) {
			out.Params = append(out.Params, p)
		}
	}
	slices.SortFunc(out.Params, compareParams)
	if len(out.Consts) > maxConsts || len(out.Params) > maxParams {
		return top
	}
	return out
}

func compareParams(a, b Param) int {
	return cmp.Or(cmp.Compare(a.Reg, b.Reg), cmp.Compare(a.Slot, b.Slot), cmp.Compare(a.Global, b.Global), compareBools(a.Deref, b.Deref),
		cmp.Compare(a.Off, b.Off))
}

// compareBools has false before true.
func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// Add is the value plus a constant.
func (v Value) Add(n int64) Value {
	switch {
	case v.Stack:
		v.Off += n
		return v
	case v.Top || len(v.Params) > 0:
		if n == 0 {
			return v
		}
		return top
	}
	if len(v.Consts) > 1 && n != 0 { // a loop would count on
		return top
	}
	out := Value{}
	for _, c := range v.Consts {
		out.Consts = append(out.Consts, c+n)
	}
	return out
}

// lowByte is the value with another lowest byte.
func (v Value) lowByte(b int64) (out Value) {
	if v.Top || v.Stack || len(v.Params) > 0 {
		return top
	}
	for _, c := range v.Consts {
		out = out.Join(Constant(c&^0xff | b))
	}
	return out
}

// param is what a value is, where that is one parameter and nothing else.
func (v *Value) param() (p Param, ok bool) {
	if len(v.Params) != 1 || len(v.Consts) > 0 || v.Top {
		return p, false
	}
	return v.Params[0], true
}
