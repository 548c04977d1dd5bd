package bpf

import (
	"math/bits"
	"slices"
	"strings"
)

// comment says what the numbers of an instruction mean.
func (l *listing) comment(pc int) string {
	ins := l.p[pc]
	op := ins.op()
	if op.form == 0 {
		return refusedCode(ins.Code)
	}
	if !l.stays(pc) {
		return op.name + ", jumps past the end"
	}
	if ins != ins.canonical() {
		return strings.Replace(l.plain(pc), "  ", " ", 1) + ", with a value in an unused field"
	}
	switch op.form {
	case formRetK:
		return actionComment(Action(ins.K))
	case formGoto:
		return arrow("-> ", l.p[pc+1+int(ins.K)])
	case formWord:
		if ins.K >= OffsetArgs && ins.K < DataSize {
			return l.argName(pc, int(ins.K-OffsetArgs)/8)
		}
	case formImm:
		if ins.Code == ALU|AND|K {
			return l.constant(pc)
		}
	case formCondK, formCondX:
		name := ""
		if op.form == formCondK {
			if name = l.constant(pc); name != "" {
				name = relation[ins.Code] + name
			}
		}
		yes := arrow("-> ", l.p[pc+1+int(ins.Jt)])
		no := arrow("else ", l.p[pc+1+int(ins.Jf)])
		if yes != "" && no != "" {
			no = ", " + no
		} else if name != "" && no != "" {
			name += ","
		}
		return strings.Join(slices.DeleteFunc([]string{name, yes + no}, func(s string) bool { return s == "" }), " ")
	}
	return ""
}

// relation is what a test other than for equality puts before the name of its constant.
var relation = map[uint16]string{JMP | JGT | K: "> ", JMP | JGE | K: ">= ", JMP | JSET | K: "& "}

// arrow tells what a jump ends in when its target decides at once.
func arrow(sign string, target Instruction) string {
	if target.Code != RET|K {
		return ""
	}
	return sign + Action(target.K).String()
}

// actionComment names a filter's result, and says so where the kernel doesn't take the value as it stands.
func actionComment(a Action) string {
	s := a.String()
	if a == a.Canonical() {
		return s
	}
	switch {
	case !a.Known():
		return s + ": an unknown action"
	case a.Kind() == Allow:
		return s + ", never cached: the data is not 0"
	case a.MaxData() == 0:
		return s + ", which has no data"
	}
	return s + ", the largest"
}

// constant names the constant that the accumulator meets: an architecture, a call, or a value of an argument.
func (l *listing) constant(pc int) string {
	in, ins := &l.in[pc], l.p[pc]
	if l.names == nil || !in.reached || !in.a.word {
		return ""
	}
	switch offset := in.a.offset; {
	case offset == OffsetArch:
		if in.a.mask == maxUint32 && ins.Code == JMP|JEQ|K {
			return l.names.Arch(ins.K)
		}
	case offset == OffsetNr:
		if ins.Code != ALU|AND|K && ins.Code != JMP|JSET|K {
			return l.callName(in, ins.K)
		}
	case offset >= OffsetArgs && (offset%8 == 4) == l.big:
		index := int(offset-OffsetArgs) / 8
		return l.each(in, func(token, nr uint32) string { return l.names.Constant(token, nr, index, ins.K) })
	}
	return ""
}

// callName names the call that nr is compared with, for each architecture that can be here; where a bit of nr was
// masked out, a name that the number with that bit has counts too.
func (l *listing) callName(in *flow, k uint32) string {
	hidden := ^in.a.mask
	if bits.OnesCount32(hidden) > 1 || k&hidden != 0 {
		return ""
	}
	candidates := []uint32{k}
	if hidden != 0 {
		candidates = append(candidates, k|hidden)
	}
	var found names
	for _, c := range in.calls {
		if !c.known {
			return ""
		}
		for _, nr := range candidates {
			if c.nr.contains(nr) {
				found.add(l.names.Call(c.arch, nr), l.names.Arch(c.arch))
			}
		}
	}
	return found.String()
}

// argName says which argument is loaded, if the call is known.
func (l *listing) argName(pc, index int) string {
	if l.names == nil {
		return ""
	}
	return l.each(&l.in[pc], func(token, nr uint32) string {
		call := l.names.Call(token, nr)
		if call == "" {
			return ""
		}
		if arg := l.names.Arg(token, nr, index); arg != "" {
			return call + " " + arg
		}
		return call
	})
}

// maxCalls is how many calls may lead to an instruction for its arguments to be named.
const maxCalls = 4

// each asks for a name under every call that can lead here. If they are more than a few, there is none.
func (l *listing) each(in *flow, name func(token, nr uint32) string) string {
	var found names
	for _, c := range in.calls {
		if !c.known {
			return ""
		}
		nrs, ok := c.nr.members(maxCalls)
		if !ok {
			return ""
		}
		for _, nr := range nrs {
			found.add(name(c.arch, nr), l.names.Arch(c.arch))
		}
	}
	return found.String()
}

// names collects different names and the architecture that each was first met on.
type names struct{ name, arch []string }

func (n *names) add(name, arch string) {
	if name != "" && !slices.Contains(n.name, name) {
		n.name, n.arch = append(n.name, name), append(n.arch, arch)
	}
}

// String is the one name, or two with their architectures; three or more say nothing.
func (n *names) String() string {
	switch len(n.name) {
	case 1:
		return n.name[0]
	case 2:
		if n.arch[0] == n.arch[1] {
			return n.name[0] + " or " + n.name[1]
		}
		return n.name[0] + " (" + n.arch[0] + ") or " + n.name[1] + " (" + n.arch[1] + ")"
	}
	return ""
}
