package abi

import (
	_ "embed" // args.txt
	"slices"
	"strings"
	"sync"
)

// An Arg is one argument of a system call on one architecture.
type Arg struct {
	Name    string   // as the manual page writes it: family, type, flags, fd, request
	Aliases []string // other names for it, the kernel's own among them
	Type    string   // C type in the kernel
	Bits    int      // width that the kernel looks at: 16, 32 or 64
	Signed  bool
	Pointer bool
	Index   int // register, 0 to 5, that holds it: the low half where there are two
	High    int // register that holds the high half of a 64-bit value on a 32-bit architecture, else -1
}

// Is reports whether the argument goes by that name.
func (g Arg) Is(name string) bool { return g.Name == name || slices.Contains(g.Aliases, name) }

//go:embed data/args.txt
var argText string

// Args returns the call's arguments on a in the order of the C prototype; ok is false where they aren't known. A call
// without arguments has an empty list. An argument that seccomp_data has no room for, the seventh and on, is left out.
// The list is shared: do not change it.
func (a Arch) Args(call string) (args []Arg, ok bool) {
	type key struct {
		arch Arch
		call string
	}
	if known, ok := argsOf.Load(key{a, call}); ok {
		args = known.([]Arg)
		return args, args != nil
	}
	args, ok = a.readArgs(call)
	if Known(call) {
		argsOf.Store(key{a, call}, args)
	}
	return args, ok
}

var argsOf sync.Map // what Args has read

func (a Arch) readArgs(call string) (args []Arg, ok bool) {
	line, rest := seek(argText, call)
	for {
		name, words, _ := strings.Cut(line, "\t")
		if name != call || call == "" {
			return nil, false
		}
		scope, words, _ := strings.Cut(words, "\t")
		if a.in(scope) {
			if words == "?" {
				return nil, false
			}
			return a.layOut(words), true
		}
		line, rest, _ = strings.Cut(rest, "\n")
	}
}

// in reports whether the architecture belongs to a scope: "*", or names joined by commas, "32" and "64" among them.
func (a Arch) in(scope string) bool {
	if scope == "*" {
		return true
	}
	for word := range strings.SplitSeq(scope, ",") {
		if word == a.String() || word == "32" && a.Bits() == 32 || word == "64" && a.Bits() == 64 {
			return true
		}
	}
	return false
}

// layOut gives the arguments their registers. The words are "type name|alias" and "-", a register that is skipped.
func (a Arch) layOut(words string) []Arg {
	args := []Arg{}
	if words == "" {
		return args
	}
	next := 0
	for word := range strings.SplitSeq(words, ", ") {
		if word == "-" {
			next++
			continue
		}
		cut := strings.LastIndexByte(word, ' ')
		names := strings.Split(word[cut+1:], "|")
		arg := Arg{Name: names[0], Aliases: names[1:], Type: word[:cut], High: -1}
		arg.Bits, arg.Signed, arg.Pointer = a.ctype(arg.Type)
		if arg.Bits == 64 && a.Bits() == 32 {
			if a.pairsAligned() {
				next += next % 2
			}
			arg.Index, arg.High = next, next+1
			if archInfo[a].big {
				arg.Index, arg.High = arg.High, arg.Index
			}
			next++
		} else {
			arg.Index = next
		}
		if next++; next > 6 {
			break
		}
		args = append(args, arg)
	}
	return args
}

// pairsAligned reports whether a 64-bit argument begins at an even register.
func (a Arch) pairsAligned() bool {
	switch a {
	case ARM, MIPS, MIPSEL, PPC:
		return true
	}
	return false
}

// ctype tells how much of a register the kernel takes for a C type, and how.
func (a Arch) ctype(t string) (bits int, signed, pointer bool) {
	if strings.HasSuffix(t, "*") {
		return a.Bits(), false, true
	}
	switch t {
	case "cap_user_header_t", "cap_user_data_t", "__sighandler_t":
		return a.Bits(), false, true
	case "long", "ssize_t", "off_t":
		return a.Bits(), true, false
	case "unsigned long", "size_t", "aio_context_t", "old_sigset_t":
		return a.Bits(), false, false
	case "loff_t", "__s64":
		return 64, true, false
	case "u64", "__u64":
		return 64, false, false
	case "umode_t", "old_uid_t", "old_gid_t":
		return 16, false, false
	case "int", "pid_t", "key_t", "key_serial_t", "timer_t", "clockid_t", "mqd_t", "__s32", "s32", "rwf_t":
		return 32, true, false
	}
	return 32, false, false // unsigned int, u32, uid_t, gid_t, qid_t, enums
}
