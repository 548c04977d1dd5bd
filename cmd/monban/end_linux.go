package main

import (
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// end ends this process, with the status if it can be had. A filter around it may answer exit_group(2) in the kernel's
// place, or kill only the thread that calls it: then signals end it, and then a fault.
func end(status int) {
	const patience = 100 * time.Millisecond
	// One by one, each on a thread that is lost if a filter kills it.
	time.AfterFunc(patience, func() { _, _, _ = unix.Syscall(unix.SYS_KILL, uintptr(os.Getpid()), uintptr(unix.SIGKILL), 0) })
	time.AfterFunc(2*patience, func() {
		_, _, _ = unix.Syscall(unix.SYS_TGKILL, uintptr(os.Getpid()), uintptr(os.Getpid()), uintptr(unix.SIGKILL))
	})
	time.AfterFunc(3*patience, fault)
	// Not os.Exit: the scheduler, not told of its call, would try to wake a thread that is no more.
	_, _, _ = unix.Syscall(unix.SYS_EXIT_GROUP, uintptr(status), 0, 0)
	select {}
}

// unmapped is nil.
var unmapped *int

// fault ends this process by a signal that is forced on it: without a handler, or blocked, so that it does not reach
// one.
func fault() {
	runtime.LockOSThread()
	var byDefault [4]uintptr // struct sigaction
	_, _, _ = unix.Syscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGSEGV), uintptr(unsafe.Pointer(&byDefault)), 0, 8, 0, 0)
	all := unix.Sigset_t{}
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	_ = unix.PthreadSigmask(unix.SIG_SETMASK, &all, nil)
	*unmapped = int(syscall.SIGSEGV)
}

// spareProcessor sees to it that what a filter kills in the middle of Go's own code does not stop all other goroutines:
// they need a processor of theirs in the scheduler's sense.
func spareProcessor() {
	if runtime.GOMAXPROCS(0) < 2 {
		runtime.GOMAXPROCS(2)
	}
}
