//go:build linux && (amd64 || arm64)

package child

import (
	"syscall"
	"unsafe"
)

// syscall6 makes a system call and nothing else, and returns what the kernel returns.
//
//go:noescape
func syscall6(nr, a, b, c, d, e, f uintptr) uintptr

// cloneOnStack is clone(2) whose child calls the code at entry with the control block on the new stack.
//
//go:noescape
func cloneOnStack(nr, flags, stack, pidfd, control, entry uintptr) uintptr

// entry is where perform begins: the first word of a function's value. What assembly calls by name is a wrapper around
// it, which the race detector instruments, and the child would write to the detector's memory of this thread.
func entry() uintptr {
	f := perform
	return **(**uintptr)(unsafe.Pointer(&f))
}

func clone(memory *byte, size uintptr, pidfd *int32) uintptr {
	const flags = syscall.CLONE_VM | 0x1000 /* CLONE_PIDFD */ | syscall.CLONE_CHILD_CLEARTID | exitSignal
	(*control)(unsafe.Pointer(memory)).uses = 1
	base := uintptr(unsafe.Pointer(memory))
	return cloneOnStack(syscall.SYS_CLONE, flags, (base+size)&^15, uintptr(unsafe.Pointer(pidfd)), base, entry())
}
