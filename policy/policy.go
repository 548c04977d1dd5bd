package policy

import (
	"slices"

	"monban/abi"
	"monban/bpf"
)

// A Policy is the meaning of a gate: includes taken in, groups spelled out, one rule a call.
type Policy struct {
	Name      string      // where it came from, for messages: a path, @preset
	Kernel    abi.Version // the table it was written against; zero is the newest
	Archs     []abi.Arch  // the architectures that it speaks for, in order, never empty once loaded
	Default   Action      // known calls that no rule matches
	Unknown   Action      // numbers that Kernel's table does not have
	BadArch   Action      // any other architecture
	Compare64 bool        // comparisons look at the whole register, as u64() does
	Rules     []Rule      // in order; the first that matches decides
}

// A Rule gives one call, or any call, an action under a condition.
type Rule struct {
	Action   Action
	Call     string     // a system call's name; "" stands for any number
	Cond     Expr       // nil: always
	Archs    []abi.Arch // only on these ("on arm aarch64:"); nil: wherever the call exists
	Optional bool       // no error where no architecture of the policy has the call
	Pos      Pos
}

// A Pos is a place in a policy's text.
type Pos struct {
	File      string
	Line, Col int // from 1; 0 where the rule has no text
}

// An Action is a filter's answer as the language writes it; errno values are names until an architecture is known.
type Action struct {
	Kind  bpf.Action // without data
	Errno string     // errno only: a name such as EPERM, or "" for Data
	Data  uint16     // errno, trap and trace
}

// An Expr is a condition on one call: And, Or, Not, Compare or In.
type Expr interface {
	String() string // as the language writes it
	expr()
}

type (
	// And holds when all hold; an empty And always does.
	And []Expr
	// Or holds when any holds; an empty Or never does.
	Or []Expr
	// Not holds when X does not.
	Not struct{ X Expr }
	// Compare holds when the operand stands in relation Op to the constant.
	Compare struct {
		X  Operand
		Op Op
		Y  Const
	}
	// In holds when the operand lies in one of the ranges.
	In struct {
		X   Operand
		Set []Range
	}
)

func (And) expr()     {}
func (Or) expr()      {}
func (Not) expr()     {}
func (Compare) expr() {}
func (In) expr()      {}

// An Op is a relation. Order is signed where the argument's type is, unsigned under Wide.
type Op uint8

const (
	EQ Op = iota
	NE
	LT
	LE
	GT
	GE
)

// An Operand is what a comparison looks at: (argument & Mask) ^ Xor, at the argument's width.
type Operand struct {
	Name string // an argument's name, or "" for Arg; "ip" and "nr" are the other words of seccomp_data
	Arg  int    // position, 0 to 5, where Name is ""
	Wide bool   // u64(): the whole register
	Mask Const  // nil: all ones
	Xor  Const  // nil: zero
	Pos  Pos
}

// A Range is Lo..Hi, both included; Hi nil stands for Lo.
type Range struct{ Lo, Hi Const }

// A Const is a constant expression, resolved per architecture: Num, Sym, or operators over them.
type Const interface {
	String() string // as the language writes it
	constant()
}

type (
	// Num is a number, negative ones in two's complement.
	Num uint64
	// Sym is a named constant such as AF_UNIX.
	Sym struct {
		Name string
		Pos  Pos
	}
	// Unary is ~X or -X.
	Unary struct {
		Op byte // '~' or '-'
		X  Const
	}
	// Binary is X&Y, X|Y or X^Y.
	Binary struct {
		Op   byte
		X, Y Const
	}
)

func (Num) constant()    {}
func (Sym) constant()    {}
func (Unary) constant()  {}
func (Binary) constant() {}

// On are the architectures of a policy that the rule is for.
func (r *Rule) On(p *Policy) []abi.Arch {
	if len(r.Archs) == 0 {
		return p.Archs
	}
	return slices.DeleteFunc(slices.Clone(p.Archs), func(a abi.Arch) bool { return !slices.Contains(r.Archs, a) })
}
