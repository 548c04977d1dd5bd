//go:build linux && !amd64 && !arm64

package child

import (
	"runtime"
	"syscall"
	"unsafe"
)

// syscall6 makes a system call and returns what the kernel returns.
//
//go:nosplit
//go:norace
func syscall6(nr, a, b, c, d, e, f uintptr) uintptr {
	r, _, errno := syscall.RawSyscall6(nr, a, b, c, d, e, f)
	if errno != 0 {
		return -uintptr(errno)
	}
	return r
}

// clone is a plain fork, whose child has a copy of the stack; only the control block is shared.
//
//go:nosplit
//go:norace
func clone(memory *byte, _ uintptr, _ *int32) uintptr {
	var pid uintptr
	if runtime.GOARCH == "s390x" {
		pid = syscall6(syscall.SYS_CLONE, 0, exitSignal, 0, 0, 0, 0)
	} else {
		pid = syscall6(syscall.SYS_CLONE, exitSignal, 0, 0, 0, 0, 0)
	}
	if pid == 0 {
		perform((*control)(unsafe.Pointer(memory)))
	}
	return pid
}
