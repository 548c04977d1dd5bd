package bpf

// MaxStacked is what all filters of one task together may come to, in the kernel's own instructions (KernelLen), each
// filter but the newest counting StackedExtra more (MAX_INSNS_PER_PATH and seccomp_attach_filter in kernel/seccomp.c).
const (
	MaxStacked   = 1 << 18 / 8
	StackedExtra = 4
)

// KernelLen is the program's length once the kernel has translated it to eBPF, which is what counts against MaxStacked
// (bpf_convert_filter in net/core/filter.c). Where net.core.bpf_jit_harden blinds constants, it becomes longer still.
func (p Program) KernelLen() int {
	n := 3 // A and X are cleared, and the context is moved out of the way
	for _, in := range p {
		n++
		switch in.Code & 7 {
		case RET:
			if in.Code&0x18 == K {
				n++ // a move and an exit
			}
		case JMP:
			if in.Code&0xf0 == JA {
				break
			}
			if in.Code&X == 0 && int32(in.K) < 0 {
				n++ // an operand that would be sign-extended goes through a register
			}
			if in.Jf != 0 && (in.Jt != 0 || in.Code&0xf0 == JSET) {
				n++ // no such jump with two targets, nor a negated JSET
			}
		case ALU:
			if in.Code&0xf8 == DIV|X {
				n += 4 // division by zero answers 0: kill
			}
		}
	}
	return n
}
