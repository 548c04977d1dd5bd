package record

import (
	"strings"
	"sync"

	"monban/abi"
	"monban/bpf"
	"monban/verdict"
)

// Args says which arguments a recording's policy looks at.
type Args int

// What --args takes.
const (
	None Args = iota // no argument: calls are allowed whatever their arguments
	Safe             // those that choose what the kernel does, and are the same in every run
	All              // also those that depend on the program's input or surroundings
)

// A kind is how the values of an argument are generalised.
type kind int

const (
	choice kind = iota // a number that chooses: the values seen, and no other
	flags              // bits: any of those seen
)

// matter is the table of arguments that matter: calls, argument, kind, and whether it is safe to hold programs to what
// was seen. Calls that any run may make (see always) are not in it: with which futex operation a lock is waited for is
// chance. The others are addresses, lengths, descriptors, and numbers that the kernel only hands on.
var matter = []struct {
	calls, arg string
	kind       kind
	safe       bool
}{
	{"socket socketpair", "family", choice, true},
	{"socket socketpair", "type", choice, true},
	{"ioctl", "request", choice, true},
	{"prctl", "option", choice, true},
	{"arch_prctl", "code", choice, true},
	{"clone", "flags", flags, true},
	{"unshare", "flags", flags, true},
	{"setns", "nstype", flags, true},
	{"mmap mmap2 mprotect pkey_mprotect", "prot", flags, true},
	{"personality", "persona", choice, true},
	{"seccomp", "operation", choice, true},
	{"bpf", "cmd", choice, true},
	{"keyctl", "operation", choice, true},
	{"ptrace", "request", choice, true},
	{"fcntl fcntl64", "cmd", choice, true},
	{"open openat", "flags", flags, false},
	{"setsockopt getsockopt", "level", choice, false},
	{"kill tkill tgkill", "sig", choice, false},
	{"mmap mmap2", "flags", flags, false},
	{"mount", "mountflags", flags, false},
}

// An Argument is one that matters, on one architecture.
type Argument struct {
	abi.Arg
	Position int // in the call's arguments
	Safe     bool
	kind     kind
}

// value is the argument's value in a call, as wide as the kernel looks at it.
func (m *Argument) value(d *bpf.Data) uint64 {
	v := d.Args[m.Index]
	if m.High >= 0 {
		return v&0xffffffff | d.Args[m.High]<<32
	}
	return v & (^uint64(0) >> (64 - m.Bits))
}

// set puts the argument's value into a call.
func (m *Argument) set(d *bpf.Data, v uint64) {
	d.Args[m.Index] = v
	if m.High >= 0 {
		d.Args[m.Index], d.Args[m.High] = v&0xffffffff, v>>32
	}
}

// words are those of struct seccomp_data that have the argument.
func (m *Argument) words() []verdict.Word {
	w := []verdict.Word{verdict.ArgHi(m.Index), verdict.ArgLo(m.Index)}
	if m.High >= 0 {
		w = append(w, verdict.ArgHi(m.High), verdict.ArgLo(m.High))
	}
	return w
}

// Arguments lists the arguments of a call that matter.
func Arguments(a abi.Arch, call string) []Argument {
	type key struct {
		arch abi.Arch
		call string
	}
	if known, ok := matterOf.Load(key{a, call}); ok {
		return known.([]Argument)
	}
	var out []Argument
	args, _ := a.Args(call)
	for _, m := range matter {
		for name := range strings.FieldsSeq(m.calls) {
			for i, arg := range args {
				if name == call && arg.Is(m.arg) {
					out = append(out, Argument{arg, i, m.safe, m.kind})
				}
			}
		}
	}
	matterOf.Store(key{a, call}, out)
	return out
}

var matterOf sync.Map

// mattering yields the calls that have arguments that matter, some more than once, and clone3, whose arguments lie in
// memory.
func mattering(yield func(string) bool) {
	for _, m := range matter {
		for name := range strings.FieldsSeq(m.calls) {
			if !yield(name) {
				return
			}
		}
	}
	yield("clone3")
}
