package abi

// X32Bit is set in seccomp_data.nr of x32 calls (__X32_SYSCALL_BIT), whose AUDIT_ARCH is that of x86_64.
const X32Bit = 0x40000000

// NoToken is an AUDIT_ARCH that no architecture has and no kernel gives (its machine is EM_NONE): a call with it stands
// for those of all architectures that nobody has.
const NoToken uint32 = 0

// Of tells whose call it is that has this AUDIT_ARCH and number; ok is false where the token is not an architecture's.
//
// With number 0 it tells whose token it is. Only x86_64 and x32 share one. The numbers from X32Bit on are x32's, as
// unsigned ones: 0x80000000 and 0xffffffff, too, although bit 30 is clear in the one, and the other is a tracer's "no
// call". The kernel makes a call of x86_64's table out of a number below the length of that table, and one of x32's out
// of a number that is less than the length of the other above X32Bit (arch/x86/entry/common.c, do_syscall_x64 and
// do_syscall_x32, both unsigned): it agrees about every number that is a call, and nothing else is one. So does the
// language, where x86_64's numbers end below 0x40000000, and everything above them gets badarch unless the gate names
// x32. To test the bit alone would hand the numbers from 0x80000000 to 0xbfffffff to x86_64, whose part of a gate does
// not decide them.
func Of(token, nr uint32) (a Arch, ok bool) {
	for a := range Arch(archCount) {
		if first, last := a.Numbers(); a.Token() == token && first <= nr && nr <= last {
			return a, true
		}
	}
	return 0, false
}

// Numbers returns the first and the last number that is a's own under its token, by which [Of] tells a from another
// architecture. Most of the numbers between them are not calls: see [Arch.Calls].
func (a Arch) Numbers() (first, last uint32) {
	switch a {
	case X86_64:
		return 0, X32Bit - 1
	case X32:
		return X32Bit, ^uint32(0)
	}
	return 0, ^uint32(0)
}
