package record

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"monban/abi"
	"monban/policy"
)

// always are calls that any run may make without the program's doing, or that only tell a program about itself: how it
// ends, how a signal handler returns, what is resumed after a stop, what libc and language runtimes do when memory,
// time or other threads want it, and what the vDSO falls back to. A recording that happens to lack one would break the
// next run now and then.
var always = []string{
	"exit", "exit_group", "rt_sigreturn", "sigreturn", "restart_syscall", "rt_sigprocmask", "rt_sigaction", "sigaltstack",
	"futex", "futex_time64", "sched_yield", "nanosleep", "clock_nanosleep", "clock_nanosleep_time64", "clock_gettime", "clock_gettime64",
	"gettimeofday", "time", "getcpu", "brk", "munmap", "mremap", "madvise", "getpid", "gettid", "getrandom", "rseq", "set_robust_list",
	"sched_getaffinity", "membarrier",
}

// Always are the calls that any run may make.
func Always() []string { return slices.Clone(always) }

// AnyRun says that any run may make a call.
func AnyRun(call string) bool { return slices.Contains(always, call) }

// Generalise is the condition on a call's arguments that a recording's policy makes of what was seen; nil for the whole
// call.
//
// The rules: an argument that chooses (a socket's family, an ioctl's request) may have the values that it had. Flags
// (clone's, mmap's protection) may be any of the bits that were set. A socket's type may have SOCK_CLOEXEC and
// SOCK_NONBLOCK whether it had them or not, clone any exit signal, and mmap and mprotect no protection at all: none of
// these lets a program do more. An argument with more than 64 values is left open, and so is one that is an address, a
// length or a descriptor; those are not even recorded.
func Generalise(a abi.Arch, name string, c *Call, args Args) policy.Expr {
	var and policy.And
	for i, m := range Arguments(a, name) {
		v := c.Values[i]
		if v.Many || len(v.Seen) == 0 || args == None || args == Safe && !m.Safe {
			continue
		}
		and = append(and, m.condition(a, name, slices.Sorted(maps.Keys(v.Seen))))
	}
	switch len(and) {
	case 0:
		return nil
	case 1:
		return and[0]
	}
	return and
}

func (m *Argument) condition(a abi.Arch, call string, seen []uint64) policy.Expr {
	x := policy.Operand{Name: m.Name}
	if m.kind == flags {
		var bits uint64
		for _, v := range seen {
			bits |= v
		}
		if call == "clone" {
			bits |= 0xff // the signal at its end, CSIGNAL
		}
		full := ^uint64(0) >> (64 - m.Bits)
		x.Mask = constant(^bits&full, "")
		names, _ := a.MaskName(call, m.Position, bits)
		if names == "" {
			names = a.ConstantName(call, m.Position, bits) // open's access mode is a number among the flags
		}
		if names != "" && bits != 0 {
			x.Mask = policy.Unary{Op: '~', X: constant(bits, names)}
		} else if bits == 0 {
			return policy.Compare{X: policy.Operand{Name: m.Name}, Op: policy.EQ, Y: policy.Num(0)}
		}
		return policy.Compare{X: x, Op: policy.EQ, Y: policy.Num(0)}
	}
	if m.Name == "type" {
		const typeBits = 0xf // SOCK_TYPE_MASK of linux/net.h; above it are SOCK_CLOEXEC and SOCK_NONBLOCK
		x.Mask = policy.Num(typeBits)
		for i := range seen {
			seen[i] &= typeBits
		}
		slices.Sort(seen)
		seen = slices.Compact(seen)
	}
	in := policy.In{X: x}
	for _, v := range seen {
		name := a.ConstantName(call, m.Position, v)
		if m.Signed && m.Bits < 64 && v>>(m.Bits-1) == 1 && name == "" {
			v |= ^uint64(0) << m.Bits
		}
		in.Set = append(in.Set, policy.Range{Lo: constant(v, name)})
	}
	return in
}

// constant is a value by its names, joined by |, or as a number.
func constant(v uint64, names string) policy.Const {
	if names == "" {
		return policy.Num(v)
	}
	var c policy.Const
	for part := range strings.SplitSeq(names, "|") {
		term := policy.Const(policy.Sym{Name: part})
		if n, err := strconv.ParseUint(part, 0, 64); err == nil {
			term = policy.Num(n)
		}
		if c == nil {
			c = term
		} else {
			c = policy.Binary{Op: '|', X: c, Y: term}
		}
	}
	return c
}
