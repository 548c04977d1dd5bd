package bpf

// CachesAllow tells whether the kernel's cache (5.11 and later) takes a call as always allowed by this filter, so that
// it never runs the filter for it. It is seccomp_is_const_allow (kernel/seccomp.c): the filter is emulated with nr and
// arch alone, and anything beyond loads of those two, jumps with a constant, AND with a constant and RET with a
// constant means no. Only the exact value 0x7fff0000 counts as allow.
//
// The kernel asks this for the numbers of the architectures it runs natively or as compat; a call is cached if every
// filter of the task says yes. Numbers beyond its table, x32's among them, are never cached.
func (p Program) CachesAllow(arch, nr uint32) bool {
	var a uint32
	for pc := 0; pc < len(p); pc++ {
		ins := &p[pc]
		k := ins.K
		var holds bool
		switch ins.Code {
		case LD | W | ABS:
			switch k {
			case OffsetNr:
				a = nr
			case OffsetArch:
				a = arch
			default:
				return false
			}
			continue
		case ALU | AND | K:
			a &= k
			continue
		case RET | K:
			return Action(k) == Allow
		case JMP | JA:
			if uint64(k) >= uint64(len(p)-pc-1) {
				return false
			}
			pc += int(k)
			continue
		case JMP | JEQ | K:
			holds = a == k
		case JMP | JGE | K:
			holds = a >= k
		case JMP | JGT | K:
			holds = a > k
		case JMP | JSET | K:
			holds = a&k != 0
		default:
			return false
		}
		if holds {
			pc += int(ins.Jt)
		} else {
			pc += int(ins.Jf)
		}
	}
	return false
}
