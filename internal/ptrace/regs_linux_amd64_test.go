package ptrace

import (
	"testing"

	"golang.org/x/sys/unix"
)

// What a stop has ended by EINTR is made again in each of the processor's tables; connect is not, by whichever way it
// was called.
func TestEndsByEINTR(t *testing.T) {
	const x86, x32 = unix.AUDIT_ARCH_I386, 1 << 30
	for name, c := range map[string]struct {
		arch  uint32
		nr    uint64
		first uint64 // argument
		want  int
	}{
		"recvfrom":            {unix.AUDIT_ARCH_X86_64, 45, 0, byEINTR},
		"accept":              {unix.AUDIT_ARCH_X86_64, 43, 0, byEINTR},
		"connect":             {unix.AUDIT_ARCH_X86_64, 42, 0, notAtAll},
		"io_getevents":        {unix.AUDIT_ARCH_X86_64, 208, 0, byEINTR},
		"x32 recvfrom":        {unix.AUDIT_ARCH_X86_64, x32 | 517, 0, byEINTR},
		"x32 readv":           {unix.AUDIT_ARCH_X86_64, x32 | 515, 0, byEINTR},
		"x32 connect":         {unix.AUDIT_ARCH_X86_64, x32 | 42, 0, notAtAll},
		"i386 recvfrom":       {x86, 371, 0, byEINTR},
		"i386 recvmmsg":       {x86, 337, 0, byEINTR},
		"i386 recvmmsg64":     {x86, 417, 0, byEINTR},
		"i386 sendfile64":     {x86, 239, 0, byEINTR},
		"i386 connect":        {x86, 362, 0, notAtAll},
		"socketcall, recv":    {x86, 102, 10, byEINTR},
		"socketcall, accept4": {x86, 102, 18, byEINTR},
		"socketcall, connect": {x86, 102, 3, notAtAll},
	} {
		var r Regs
		result := -int64(unix.EINTR)
		r.Rax, r.Orig_rax, r.Rdi, r.Rbx = uint64(result), c.nr, c.first, c.first
		if got := r.interrupted(c.arch); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
